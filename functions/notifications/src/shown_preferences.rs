//! Preferences as they are shown.

use contracts::TimeZone;
use runtime::prelude::*;

use crate::{
    news::{Kind, Rank},
    preferences::{MailWhen, Preferences},
    wall_clock::QuietHours,
};

/// What a person wants to hear of, by which way, and when.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NotificationPreferences")]
pub struct ShownPreferences {
    /// Whose.
    user_id: UserId,
    /// Each kind of message, and what is wanted of it.
    kinds: Vec<ShownKind>,
    /// When no mail is wanted but what can't wait; absent if it always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet_hours: Option<QuietHours>,
    /// At which hour of the day the digest comes: 0 to 23.
    digest_hour: u8,
    /// The zone of these hours: the person's own, as their profile says.
    time_zone: TimeZone,
    /// When they last changed; absent until they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// Changes with each change.
    etag: String,
}

/// What is wanted of a kind of message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NotificationPreference")]
pub struct ShownKind {
    /// What the messages are about.
    kind: Kind,
    /// When mail is wanted.
    mail: MailWhen,
    /// Whether it's wanted in the list of notifications.
    inbox: bool,
    /// Whether it must be told, so that neither can be changed.
    required: bool,
}

impl ShownPreferences {
    /// Some preferences, of someone who lives in a zone.
    pub fn of(preferences: &Preferences, time_zone: TimeZone) -> Self {
        let shown = |kind: &Kind| ShownKind {
            kind: *kind,
            mail: preferences.mail(*kind),
            inbox: preferences.lists(*kind),
            required: kind.rank() != Rank::Optional,
        };
        Self {
            user_id: preferences.user_id.clone(),
            kinds: Kind::ALL.iter().map(shown).collect(),
            quiet_hours: preferences.quiet_hours,
            digest_hour: preferences.digest_hour,
            time_zone,
            updated_at: (preferences.revision > 0).then_some(preferences.updated_at),
            etag: preferences.etag(),
        }
    }
}
