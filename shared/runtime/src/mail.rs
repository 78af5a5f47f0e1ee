//! Mail: a message, and the port that hands it to a provider.

use async_trait::async_trait;
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
#[derive(Debug, thiserror::Error)]
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
