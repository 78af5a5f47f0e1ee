//! A suppression: an address to which nothing is sent, because mail to it came
//! back or its owner complained.
//!
//! It's kept by a seal of the address, which nobody can read or guess at
//! without the platform's secret.

use runtime::prelude::*;

use crate::{
    delivery::Reason,
    news::{Kind, Rank},
};

/// An address that mail came back from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suppression {
    /// The seal of the address.
    pub id: String,
    /// Why nothing is sent there; absent while only some mail came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Since when nothing is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed_at: Option<Timestamp>,
    /// How often mail came back that could have arrived another time.
    pub soft_bounces: u32,
    /// Since when these are counted.
    pub counted_since: Timestamp,
    /// The message that was the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// When it first came to this.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

/// Why nothing is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There's no such mailbox.
    HardBounce,
    /// Mail came back several times, each time for a reason that could pass.
    SoftBounces,
    /// Its owner complained about a message.
    Complaint,
}

/// So many soft bounces within [`COUNTED_DAYS`] are as bad as a hard one.
const SOFT_MOST: u32 = 5;

/// For how many days soft bounces count.
const COUNTED_DAYS: i64 = 30;

impl Document for Suppression {
    const COLLECTION: &'static str = "suppressions";
    const INDEXES: &'static [Index] = &[Index::descending("suppressed_at")];
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Suppression {
    fn new(id: String, now: Timestamp) -> Self {
        Self {
            id,
            cause: None,
            suppressed_at: None,
            soft_bounces: 0,
            counted_since: now,
            delivery_id: None,
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// Those that nothing is sent to, the newest first.
    pub fn all() -> Query {
        Query::descending::<Self>("suppressed_at")
    }

    /// Nothing is sent there from now on.
    pub fn suppress(&mut self, cause: Cause, now: Timestamp) {
        // A mailbox that is gone forbids more than a complaint does.
        if self.cause.is_none() || cause == Cause::HardBounce {
            self.cause = Some(cause);
        }
        self.suppressed_at.get_or_insert(now);
        self.changed(now);
    }

    /// Mail came back that could have arrived another time.
    pub fn count_soft_bounce(&mut self, now: Timestamp) {
        if self.counted_since.plus_minutes(COUNTED_DAYS * 24 * 60) <= now {
            (self.soft_bounces, self.counted_since) = (0, now);
        }
        self.soft_bounces += 1;
        if self.soft_bounces >= SOFT_MOST && self.cause.is_none() {
            return self.suppress(Cause::SoftBounces, now);
        }
        self.changed(now);
    }

    fn changed(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    /// Why a message of a kind isn't sent there, if it isn't. Whoever complained
    /// still hears of what concerns their account's safety: that can't be
    /// switched off.
    pub fn forbids(&self, kind: Kind) -> Option<Reason> {
        match self.cause? {
            Cause::Complaint if kind.rank() == Rank::Security => None,
            Cause::HardBounce | Cause::SoftBounces | Cause::Complaint => Some(Reason::Suppressed),
        }
    }
}

/// What stands for an address: its seal.
pub fn id<C>(cx: &Context<C>, address: &str) -> String {
    cx.secret().seal_text("suppression", &[&address.trim().to_lowercase()])
}

/// What is known of an address.
pub async fn of<C>(cx: &Context<C>, address: &str) -> Result<Stored<Suppression>> {
    let id = id(cx, address);
    let known = cx.get::<Suppression>(&id).await?;
    Ok(known.unwrap_or_else(|| Stored::new(Suppression::new(id, cx.now))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::time;

    #[test]
    fn soft_bounces_count_for_a_month() {
        let mut now = time("2026-03-02T12:00:00Z");
        let mut it = Suppression::new("a".into(), now);
        for _ in 0..4 {
            it.count_soft_bounce(now);
        }
        assert_eq!(it.forbids(Kind::Reminder), None);
        now = now.plus_minutes(COUNTED_DAYS * 24 * 60);
        it.count_soft_bounce(now);
        assert_eq!((it.soft_bounces, it.forbids(Kind::Reminder)), (1, None));
        for _ in 0..4 {
            it.count_soft_bounce(now);
        }
        assert_eq!(it.cause, Some(Cause::SoftBounces));
        assert_eq!(it.forbids(Kind::ResetPassword), Some(Reason::Suppressed));
    }

    #[test]
    fn who_complains_still_hears_of_their_accounts_safety() {
        let now = time("2026-03-02T12:00:00Z");
        let mut it = Suppression::new("a".into(), now);
        it.suppress(Cause::Complaint, now);
        assert_eq!(it.forbids(Kind::Enrolled), Some(Reason::Suppressed));
        assert_eq!(it.forbids(Kind::PasswordChanged), None);
        it.suppress(Cause::HardBounce, now);
        assert_eq!(it.forbids(Kind::PasswordChanged), Some(Reason::Suppressed));
    }
}
