//! The local inbox, as those who wait for mail see it.

use serde_json::Value;

use super::{Client, until};

impl Client {
    /// Every mail to an address, newest first.
    pub fn mail_to(&self, address: &str) -> Vec<Value> {
        let path = format!("/local/inbox?format=json&to={}", address.replace('+', "%2B"));
        self.get(&path, "").ok().as_array().expect("a list").clone()
    }

    /// Waits for a mail to an address whose subject or text has these words.
    pub fn wait_for_mail(&self, address: &str, words: &str) -> Value {
        until(&format!("mail to {address} with {words:?}"), || {
            self.mail_to(address).into_iter().find(|mail| {
                let has = |member: &str| mail[member].as_str().is_some_and(|it| it.contains(words));
                has("subject") || has("text")
            })
        })
    }

    /// Waits for the newest code that was mailed to an address.
    pub fn wait_for_code(&self, address: &str) -> String {
        until(&format!("a code to {address}"), || {
            self.mail_to(address).iter().find_map(|mail| code_in(mail["text"].as_str()?))
        })
    }
}

/// The first run of eight digits.
fn code_in(text: &str) -> Option<String> {
    let mut runs = text.split(|it: char| !it.is_ascii_digit());
    runs.find(|run| run.len() == 8).map(str::to_owned)
}
