//! An endpoint: a request, where it goes and what comes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Problem;

/// A request that an operation answers.
///
/// The request's fields are bound by name, as in Google's HTTP transcoding
/// (AIP-127): a field named in the path is read from the path; every other
/// field is read from the query of a `GET` or `DELETE`, and from the JSON body
/// of anything else. A field named `etag` is read from `If-Match` too.
pub trait Endpoint:
    Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static
{
    /// The operation's id: `domain.verb`, or `domain.verb_noun`.
    const OPERATION: &'static str;
    /// The method and the path template.
    const ROUTE: Route;
    /// What the operation may refuse, beyond what any operation may.
    const PROBLEMS: &'static [Problem] = &[];
    /// What an `Idempotency-Key` does here; only `POST` takes one.
    const IDEMPOTENCY: Idempotency = Idempotency::Optional;
    /// How often one caller or address may ask.
    const RATE: Rate = Rate::Normal;
    /// What the body of a request is; only a method that has a body may say so.
    const BODY: Body = Body::Json;
    /// Fields that are read from a header, each with its header.
    const HEADERS: &'static [(&'static str, &'static str)] = &[];
    /// The media type of the answer. What isn't JSON is a [`Content`](crate::Content).
    const ANSWERS: &'static str = JSON;
    /// What it answers.
    type Response: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// What an `Idempotency-Key` does to a `POST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// A key makes a repeated request safe.
    Optional,
    /// Seats, stock or money move: a request without a key is refused.
    Required,
    /// The answer holds a secret, so it's never kept; a repeat runs again.
    Off,
}

/// The media type of JSON.
pub const JSON: &str = "application/json";

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A JSON object with the fields that aren't elsewhere.
    Json,
    /// A text that counts as it was sent, whatever it's called: the field
    /// `body` gets it, and the other fields are read from the query. It is
    /// documented as this media type.
    AsSent(&'static str),
}

/// How often one caller or address may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as a person with a browser or an app may need.
    Normal,
    /// Something that is guessed at, or costs much: signing in, codes.
    Strict,
}

/// Where a browser goes next, and what it's to remember until it comes back:
/// the answer of a [`Route::redirect`], which travels in headers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Redirect {
    /// Where it goes: `Location`.
    pub location: String,
    /// What it remembers: `Set-Cookie`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// An HTTP method that an endpoint may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads; never changes anything.
    Get,
    /// Creates, or does.
    Post,
    /// Changes some fields.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The method as HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether fields outside the path travel in the body, not the query.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Patch)
    }
}

/// Where a request goes, and the status of its success.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The path template, such as `/v1/courses/{course_id}`.
    pub path: &'static str,
    /// The status of a success.
    pub status: u16,
}

impl Route {
    /// Reads a thing or a list: `GET`, 200.
    pub const fn get(path: &'static str) -> Self {
        Self { method: Method::Get, path, status: 200 }
    }
    /// Sends a browser elsewhere: `GET`, 303. It answers a [`Redirect`].
    pub const fn redirect(path: &'static str) -> Self {
        Self { method: Method::Get, path, status: 303 }
    }
    /// Makes a new thing: `POST`, 201.
    pub const fn create(path: &'static str) -> Self {
        Self { method: Method::Post, path, status: 201 }
    }
    /// Does something to a thing: `POST` on a verb, 200.
    pub const fn act(path: &'static str) -> Self {
        Self { method: Method::Post, path, status: 200 }
    }
    /// Takes a request whose outcome isn't told here: `POST`, 202.
    pub const fn accept(path: &'static str) -> Self {
        Self { method: Method::Post, path, status: 202 }
    }
    /// Changes some fields of a thing: `PATCH`, 200.
    pub const fn update(path: &'static str) -> Self {
        Self { method: Method::Patch, path, status: 200 }
    }
    /// Removes a thing: `DELETE`, 204.
    pub const fn delete(path: &'static str) -> Self {
        Self { method: Method::Delete, path, status: 204 }
    }

    /// The names between braces in the path template.
    pub fn path_fields(self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it's between domains only: not in the API's document, and not
    /// reachable from outside.
    pub fn is_internal(self) -> bool {
        self.path.starts_with("/internal/")
    }

    /// Whether it's a document that anyone may read at a place of its own, and
    /// that the gateway itself reads: it can't be behind the gateway.
    pub fn is_well_known(self) -> bool {
        self.path.starts_with("/.well-known/")
    }
}
