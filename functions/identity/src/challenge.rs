//! A challenge: what a passkey signs to let its person in, with nothing else shown.
//!
//! Nothing is kept of it until it's answered: anyone may ask for one, a page may
//! do so each time that it's opened, and most are never answered. So it's in the
//! hands of whoever asked, locked; what is kept, as long as it could be shown
//! again, is that it was answered.

use runtime::{Secret, prelude::*};

use crate::pending::INVALID_PENDING_TOKEN;

/// How long it waits for its answer, in minutes.
const WAITS_MINUTES: i64 = 5;
/// The purpose that it's locked for.
const PURPOSE: &str = "passkey-sign-in";

/// What a passkey signs to let its person in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    id: String,
    expires_at: Timestamp,
}

/// A challenge that was answered, rightly or not: it isn't answered again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    id: String,
    expires_at: Timestamp,
}

impl Document for Answered {
    const COLLECTION: &'static str = "answered_challenges";
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Challenge {
    /// A new one.
    pub fn new<C>(cx: &Context<C>) -> Self {
        Self { id: cx.random().id(), expires_at: cx.now.plus_minutes(WAITS_MINUTES) }
    }

    /// Until when it can be answered.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What a passkey signs.
    pub fn text(&self, secret: &Secret) -> String {
        secret.seal_text("passkey-sign-in-challenge", &[&self.id])
    }

    /// What its holder shows with the answer. It isn't what is signed, so that an
    /// answer by itself is of no use to anyone.
    pub fn token<C>(&self, cx: &Context<C>) -> String {
        let json = serde_json::to_string(self).expect("tokens are JSON");
        cx.secret().lock(PURPOSE, "", &json, cx.random())
    }

    /// The one that a token means, if it still waits.
    pub async fn of<C>(cx: &Context<C>, token: &str) -> Result<Self> {
        let json = cx.secret().unlock(PURPOSE, "", token);
        let challenge = json.and_then(|it| serde_json::from_str::<Self>(&it).ok());
        let waits = challenge.filter(|it| cx.now < it.expires_at).ok_or(INVALID_PENDING_TOKEN)?;
        match cx.get::<Answered>(&waits.id).await? {
            None => Ok(waits),
            Some(_) => Err(INVALID_PENDING_TOKEN.into()),
        }
    }

    /// It was answered, which is to be created: of two who answer at once one is too late.
    pub fn answered(&self) -> Answered {
        Answered { id: self.id.clone(), expires_at: self.expires_at }
    }
}
