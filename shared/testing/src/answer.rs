//! What came back.

use contracts::Problem;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON; null if there's none.
    pub body: Value,
    /// The content as text.
    pub text: String,
    /// The headers.
    pub headers: HeaderMap,
}

impl Answer {
    pub(crate) fn new(status: u16, content: &[u8], headers: HeaderMap) -> Self {
        let body = serde_json::from_slice(content).unwrap_or_default();
        Self { status, body, text: String::from_utf8_lossy(content).into_owned(), headers }
    }

    /// Asserts that it's this refusal.
    #[track_caller]
    pub fn is(&self, problem: Problem) -> &Self {
        let expected = (problem.code.status(), problem.reason);
        let reason = self.body["reason"].as_str().unwrap_or_default();
        assert_eq!((self.status, reason), expected, "{}", self.body);
        self
    }

    /// Asserts that it's a success, and gives its body.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self.body.clone()
    }

    /// Asserts that it's a success, and reads its body.
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        let body = self.ok();
        serde_json::from_value(body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts that the request is called invalid because of this field, for this reason.
    #[track_caller]
    pub fn blames(&self, field: &str, reason: &str) -> &Self {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let blamed = errors.iter().any(|it| it["field"] == field && it["reason"] == reason);
        assert!(
            self.status == 400 && blamed,
            "expected 400 with {field}: {reason}; got {}: {}",
            self.status,
            self.body
        );
        self
    }

    /// A header as text; empty if it's missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
