//! What people have told a platform and were told by it in confidence: none of it
//! may stand in a log.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// The members of a request or an answer that are nobody else's business.
const CONFIDENTIAL: [&str; 12] = [
    "access_token",
    "code",
    "current_password",
    "device_token",
    "email",
    "link_token",
    "otpauth_url",
    "password",
    "pending_token",
    "refresh_token",
    "secret",
    "token",
];

/// What is shorter may stand anywhere by chance.
const SHORTEST: usize = 6;

/// What was said in confidence so far.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    /// Notes one, with the parts of it that say something alone.
    pub fn note(&self, secret: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = secret.split('.').filter(|_| secret.starts_with("eyJ"));
        let whole = std::iter::once(secret).chain(parts);
        all.extend(whole.filter(|it| it.len() >= SHORTEST).map(str::to_owned));
    }

    /// Notes those of a body, whatever it is.
    pub fn note_body(&self, body: &Value) {
        match body {
            Value::Array(items) => items.iter().for_each(|it| self.note_body(it)),
            Value::Object(members) => {
                let is_person = members.contains_key("email");
                for (name, value) in members {
                    let is_confidential = CONFIDENTIAL.contains(&name.as_str());
                    match value {
                        Value::String(text) if is_confidential || (is_person && name == "name") => {
                            self.note(text);
                        }
                        Value::String(text) => self.note_text(text),
                        other => self.note_body(other),
                    }
                }
            }
            Value::String(text) => self.note_text(text),
            _ => {}
        }
    }

    /// Notes an address, the codes in a text, and the tokens in its links.
    fn note_text(&self, text: &str) {
        if text.contains('@') && !text.contains(' ') {
            self.note(text);
        }
        // A trace has runs of digits too; a code stands in a letter.
        let digits = text.split(|it: char| !it.is_ascii_digit()).filter(|_| text.contains(' '));
        digits.filter(|it| it.len() == 8).for_each(|it| self.note(it));
        let is_of_a_token = |it: char| it.is_ascii_alphanumeric() || "-_.~%".contains(it);
        for (_, link) in text.match_indices("token=").map(|(at, it)| (at, &text[at + it.len()..])) {
            let end = link.find(|it| !is_of_a_token(it)).unwrap_or(link.len());
            self.note(&link[..end]);
        }
    }

    /// Checks that these lines hold none of it, nor anything of its kind.
    #[track_caller]
    pub fn are_not_in(&self, lines: &[String]) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = ["eyJ", "Bearer ", "token=", "%40", "PRIVATE KEY"];
        for line in lines {
            let told = all.iter().map(String::as_str).chain(kinds).find(|it| line.contains(it));
            assert_eq!(told, None, "it's in the log: {line}");
            // Error Reporting's own word has one.
            let line = line.replace(r#""@type""#, "");
            assert!(!line.contains('@'), "an address is in the log: {line}");
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
