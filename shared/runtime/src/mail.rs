//! Mail: a message, and the port that hands it to a provider.

use std::{collections::BTreeMap, fmt, str::FromStr};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

/// A message to one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The `Message-ID` without angle brackets, the same each time that this message is tried.
    pub message_id: String,
    /// The address.
    pub to: String,
    /// What to call them.
    pub to_name: String,
    /// One line.
    pub subject: String,
    /// The content for readers of text.
    pub text: String,
    /// The content for readers of HTML.
    pub html: String,
    /// More headers, such as `X-Aula-Ref`.
    pub headers: Vec<(String, String)>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
}

/// Something attached to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file's name.
    pub filename: String,
    /// The media type, with its parameters.
    pub content_type: String,
    /// The content.
    pub content: String,
}

/// Why a message wasn't taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailError {
    /// The provider will never take it: the address doesn't exist, say.
    #[error("refused for good: {0}")]
    Refused(String),
    /// The provider didn't take it this time, certainly.
    #[error("not taken now: {0}")]
    Unavailable(String),
    /// The connection broke when it may have been taken already.
    #[error("it can't be told whether it was taken: {0}")]
    Unknown(String),
}

/// Whether a provider has a message already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has.
    Yes,
    /// It hasn't.
    No,
    /// It can't tell, as SMTP can't.
    CannotTell,
}

/// The port: a provider that takes messages.
#[async_trait]
pub trait Mail: Send + Sync + 'static {
    /// Hands a message over. `Ok` says that the provider has it for good.
    async fn send(&self, message: &Message) -> Result<(), MailError>;
    /// Asks whether a message was handed over before a crash.
    async fn taken(&self, message_id: &str) -> anyhow::Result<Taken>;
}

/// The mail providers that may tell what became of a mail, each with the
/// secret that it signs with, which no log ever shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Providers(BTreeMap<String, String>);

/// The shortest secret that is taken, in characters: a shorter one can be guessed.
const SECRET_LEAST: usize = 16;

impl Providers {
    /// Whether a provider of this name is known.
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// They as they are set, with their secrets: for the environment of a process.
    pub fn setting(&self) -> String {
        let pairs: Vec<_> =
            self.0.iter().map(|(name, secret)| format!("{name}:{secret}")).collect();
        pairs.join(",")
    }

    /// Whether a provider has signed a text: `seal` is its HMAC-SHA256 in
    /// hexadecimal digits. It takes a time that doesn't depend on where they differ.
    pub fn has_signed(&self, name: &str, text: &[u8], seal: &str) -> bool {
        let (Some(secret), Some(seal)) = (self.0.get(name), bytes(seal)) else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, text, &seal).is_ok()
    }

    /// How a provider signs a text, in hexadecimal digits; for tests and demonstrations.
    pub fn sign(&self, name: &str, text: &[u8]) -> Option<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.get(name)?.as_bytes());
        let seal = hmac::sign(&key, text);
        let digit = |it: u8| char::from_digit(it.into(), 16).unwrap_or_default();
        Some(seal.as_ref().iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect())
    }
}

/// The bytes that hexadecimal digits mean.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = hex.chars().map(|it| it.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair.get(1)?).ok();
    digits?.chunks(2).map(byte).collect()
}

impl FromStr for Providers {
    type Err = &'static str;

    /// Reads `name:secret,name:secret`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
        let mut providers = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, secret) = pair.split_once(':').ok_or("a provider is name:secret")?;
            if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
                return Err("a provider's name has lower-case letters, digits and hyphens");
            }
            if secret.chars().count() < SECRET_LEAST {
                return Err("a provider's secret has at least 16 characters");
            }
            if providers.insert(name.to_owned(), secret.to_owned()).is_some() {
                return Err("a provider is there twice");
            }
        }
        Ok(Self(providers))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers() -> Providers {
        "post:0123456789abcdef, other:fedcba9876543210".parse().unwrap()
    }

    #[test]
    fn a_provider_is_believed_by_its_own_secret_alone() {
        let providers = providers();
        let seal = providers.sign("post", b"text").unwrap();
        assert!(providers.has_signed("post", b"text", &seal));
        assert!(providers.has_signed("post", b"text", &seal.to_uppercase()));
        assert!(!providers.has_signed("post", b"texts", &seal));
        assert!(!providers.has_signed("other", b"text", &seal));
        assert!(!providers.has_signed("nobody", b"text", &seal));
        for seal in ["", "0", "xyz", &seal[2..], &format!("{seal}00")] {
            assert!(!providers.has_signed("post", b"text", seal), "{seal}");
        }
    }

    #[test]
    fn what_the_seal_is_made_of_is_standard() {
        let seal = "200cdab236595e602ee98295737072d06afc79903036c11169783160f9b0dcf1";
        assert_eq!(providers().sign("post", b"text").unwrap(), seal);
    }

    #[test]
    fn no_secret_is_shown_and_no_weak_one_taken() {
        assert_eq!(format!("{:?}", providers()), r#"{"other", "post"}"#);
        for text in ["post", "post:short", "Post:0123456789abcdef", ":0123456789abcdef"] {
            assert!(text.parse::<Providers>().is_err(), "{text}");
        }
        assert_eq!("".parse::<Providers>().unwrap(), Providers::default());
    }

    #[test]
    fn providers_are_read_as_they_were_set() {
        assert_eq!(providers().setting().parse::<Providers>().unwrap(), providers());
    }
}
