//! A mail event: what a provider tells of a message that it took.

use runtime::{derived_id, prelude::*};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailFate {
    /// It's in the mailbox.
    Delivered,
    /// It came back, and will again: there's no such mailbox, say.
    HardBounce,
    /// It came back, and may arrive another time: the mailbox is full, say.
    SoftBounce,
    /// Its reader complained: they called it spam, say.
    Complaint,
}

/// What became of one message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailEvent {
    /// The event's id, by which it's known if it's told again.
    pub id: Line<1, 200>,
    /// What became of the message.
    pub fate: MailFate,
    /// The address that it went to.
    pub address: Line<3, 320>,
    /// Its `Message-ID`, with or without angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Line<1, 400>>,
    /// What the server at the other end said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<0, 2000>>,
}

/// What became of some messages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailEvents {
    /// The events: 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    pub events: Vec<MailEvent>,
}

/// How many events are told at once.
pub const EVENTS_MOST: usize = 100;

/// An event that was taken in: it isn't again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakenIn {
    id: String,
    expires_at: Timestamp,
}

/// For how many days providers may tell an event again.
const TOLD_DAYS: i64 = 30;

impl Document for TakenIn {
    const COLLECTION: &'static str = "mail_events";
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl TakenIn {
    /// An event of a provider.
    pub fn new(provider: &str, event: &MailEvent, now: Timestamp) -> Self {
        let id = derived_id(&[provider, &event.id]);
        Self { id, expires_at: now.plus_minutes(TOLD_DAYS * 24 * 60) }
    }
}
