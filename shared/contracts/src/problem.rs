//! What an operation may refuse, as data (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Language;

/// The kinds of refusal, after `google.rpc.Code`, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is malformed or breaks a rule of its fields.
    InvalidArgument = 400,
    /// The caller didn't say who they are, or said it wrongly.
    Unauthenticated = 401,
    /// The caller may not do this.
    PermissionDenied = 403,
    /// There's no such thing, or none that the caller may see.
    NotFound = 404,
    /// The path exists, but not with this method.
    MethodNotAllowed = 405,
    /// The thing's state forbids it.
    Conflict = 409,
    /// The thing has changed since the caller read it.
    PreconditionFailed = 412,
    /// The request is larger than the platform takes.
    TooLarge = 413,
    /// The body isn't in a format that the platform reads.
    UnsupportedMediaType = 415,
    /// An idempotency key was used for another request.
    KeyReused = 422,
    /// The caller must say which version they saw.
    PreconditionRequired = 428,
    /// The caller asks too often.
    TooManyRequests = 429,
    /// A bug, or something out of order on our side.
    Internal = 500,
    /// We can't just now; trying again later may help.
    Unavailable = 503,
    /// It took longer than a request may.
    DeadlineExceeded = 504,
}

impl Code {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self as u16
    }
}

/// A refusal that callers can tell apart.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Its kind, which decides the HTTP status.
    pub code: Code,
    /// Its name, for programs: `section-full`.
    pub reason: &'static str,
    /// What is wrong, for people, in English.
    pub en: &'static str,
    /// What is wrong, for people, in Spanish.
    pub es: &'static str,
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason
    }
}

impl Eq for Problem {}

impl Problem {
    /// A refusal of a kind, with its name and its title in both languages.
    pub const fn new(code: Code, reason: &'static str, en: &'static str, es: &'static str) -> Self {
        Self { code, reason, en, es }
    }
    /// A refusal because there's no such thing.
    pub const fn not_found(reason: &'static str, en: &'static str, es: &'static str) -> Self {
        Self::new(Code::NotFound, reason, en, es)
    }
    /// A refusal because of the thing's state.
    pub const fn conflict(reason: &'static str, en: &'static str, es: &'static str) -> Self {
        Self::new(Code::Conflict, reason, en, es)
    }
    /// A refusal because of who asks.
    pub const fn denied(reason: &'static str, en: &'static str, es: &'static str) -> Self {
        Self::new(Code::PermissionDenied, reason, en, es)
    }
    /// A refusal because of what is asked.
    pub const fn invalid(reason: &'static str, en: &'static str, es: &'static str) -> Self {
        Self::new(Code::InvalidArgument, reason, en, es)
    }

    /// What is wrong, for people.
    pub fn title(&self, language: Language) -> &'static str {
        language.choose(self.en, self.es)
    }
}

/// A refusal on the wire: `application/problem+json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDetails {
    /// What kind of problem it is: `/problems/` and its reason.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong, in the caller's language.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong in particular, and what would mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The problem's name, for programs.
    pub reason: String,
    /// Each thing that is wrong, where there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Name this when you ask for help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The field that it's about, such as `meetings[0].starts_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Its name, for programs.
    pub reason: String,
    /// What is wrong, and what would mend it, for people.
    pub detail: String,
    /// The values that were compared.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}
