//! Preferences: what a person wants to hear of, by which way, and when.

use std::collections::{BTreeMap, BTreeSet};

use contracts::TimeZone;
use runtime::prelude::*;

use crate::{
    delivery::Reason,
    digest::Window,
    news::{Kind, Rank},
    wall_clock::QuietHours,
};

/// When mail of a kind is wanted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MailWhen {
    /// As soon as there is something to tell.
    #[default]
    AtOnce,
    /// Once a day, with all else of that day.
    Daily,
    /// Never.
    Off,
}

/// What a person wants to hear of. Whoever has never said has the usual ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preferences {
    /// Whose.
    pub user_id: UserId,
    /// When mail is wanted, of the kinds of which it was said.
    mail: BTreeMap<Kind, MailWhen>,
    /// The kinds that aren't wanted in the list of notifications.
    unlisted: BTreeSet<Kind>,
    /// When no mail is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// At which hour of the day the digest is wanted.
    pub digest_hour: u8,
    /// Since when they are kept.
    pub created_at: Timestamp,
    /// When they last changed.
    pub updated_at: Timestamp,
    /// Grows with each change; 0 are the usual ones.
    pub revision: u64,
}

/// At which hour of the day the digest comes, unless said.
const DIGEST_HOUR: u8 = 8;

impl Document for Preferences {
    const COLLECTION: &'static str = "preferences";
    fn key(&self) -> String {
        self.user_id.to_string()
    }
}

/// What becomes of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It's wanted now.
    Send,
    /// It's wanted later.
    Wait(Timestamp),
    /// It's told with all else of a day.
    Collect {
        /// The hour at which the person wants that.
        hour: u8,
        /// The day.
        window: Window,
    },
    /// It isn't wanted.
    Skip(Reason),
}

/// Some mail of which it's asked what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is about.
    pub kind: Kind,
    /// From when on it would be worth nothing, if there's such a time.
    pub worthless_at: Option<Timestamp>,
    /// The person's zone.
    pub zone: &'a TimeZone,
    /// When.
    pub now: Timestamp,
}

impl Preferences {
    /// What someone wants who has never said.
    pub fn usual(user_id: &UserId, now: Timestamp) -> Self {
        Self {
            user_id: user_id.clone(),
            mail: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            quiet_hours: None,
            digest_hour: DIGEST_HOUR,
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// When mail of a kind is wanted. What must be told always is.
    pub fn mail(&self, kind: Kind) -> MailWhen {
        match kind.rank() {
            Rank::Security | Rank::Binding => MailWhen::AtOnce,
            Rank::Optional => self.mail.get(&kind).copied().unwrap_or_default(),
        }
    }

    /// Whether a kind is wanted in the list of notifications.
    pub fn lists(&self, kind: Kind) -> bool {
        kind.rank() != Rank::Optional || !self.unlisted.contains(&kind)
    }

    /// Wants mail of a kind then; of one that must be told nothing changes.
    pub fn want_mail(&mut self, kind: Kind, when: MailWhen) {
        if kind.rank() == Rank::Optional {
            self.mail.insert(kind, when);
        }
    }

    /// Wants a kind in the list of notifications, or doesn't.
    pub fn want_listed(&mut self, kind: Kind, listed: bool) {
        if listed {
            self.unlisted.remove(&kind);
        } else if kind.rank() == Rank::Optional {
            self.unlisted.insert(kind);
        }
    }

    /// Which version this is. Those that nobody has ever saved have one too, and
    /// none that's guessed by who leaves it at nothing.
    pub fn etag(&self) -> String {
        (self.revision + 1).to_string()
    }

    /// Notes that something was changed.
    pub fn changed(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    /// What becomes of some mail. What would be worth nothing by then doesn't
    /// wait; and of what must not be missed for one's own safety nothing waits.
    pub fn wish(&self, asked: Asked<'_>) -> Wish {
        let Asked { kind, worthless_at, zone, now } = asked;
        let may_wait = |until: Timestamp| worthless_at.is_none_or(|it| until < it);
        if kind.rank() == Rank::Security {
            return Wish::Send;
        }
        match self.mail(kind) {
            MailWhen::Off => return Wish::Skip(Reason::SwitchedOff),
            // The digest itself isn't told in a digest.
            MailWhen::Daily if kind != Kind::Digest => {
                let hour = self.digest_hour;
                let window = Window::next(hour, zone, now);
                if may_wait(window.due_at) {
                    return Wish::Collect { hour, window };
                }
            }
            _ => {}
        }
        let end = self.quiet_hours.and_then(|it| it.end(now, zone));
        end.filter(|end| may_wait(*end)).map_or(Wish::Send, Wish::Wait)
    }
}

/// What a person wants to hear of.
pub async fn of<C>(cx: &Context<C>, user_id: &UserId) -> Result<Stored<Preferences>> {
    let known = cx.get::<Preferences>(user_id.as_str()).await?;
    Ok(known.unwrap_or_else(|| Stored::new(Preferences::usual(user_id, cx.now))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::time;

    fn preferences() -> Preferences {
        let mut it = Preferences::usual(&"ada".into(), time("2026-03-02T12:00:00Z"));
        it.quiet_hours =
            Some(QuietHours { from: "22:00".parse().unwrap(), until: "07:00".parse().unwrap() });
        it
    }

    fn wish(it: &Preferences, kind: Kind, now: &str, worthless_at: Option<&str>) -> Wish {
        let zone = "Europe/Madrid".parse().unwrap();
        let worthless_at = worthless_at.map(time);
        it.wish(Asked { kind, worthless_at, zone: &zone, now: time(now) })
    }

    #[test]
    fn mail_waits_till_the_quiet_hours_end_unless_it_would_come_too_late() {
        let it = preferences();
        let (night, end) = ("2026-03-02T22:00:00Z", "2026-03-03T06:00:00Z");
        assert_eq!(wish(&it, Kind::Enrolled, night, None), Wish::Wait(time(end)));
        assert_eq!(wish(&it, Kind::Reminder, night, Some(end)), Wish::Send);
        let later = Some("2026-03-03T06:00:01Z");
        assert_eq!(wish(&it, Kind::Reminder, night, later), Wish::Wait(time(end)));
        assert_eq!(wish(&it, Kind::Reminder, end, None), Wish::Send);
    }

    #[test]
    fn security_neither_waits_nor_is_switched_off() {
        let mut it = preferences();
        it.want_mail(Kind::PasswordChanged, MailWhen::Off);
        it.want_listed(Kind::PasswordChanged, false);
        let night = "2026-03-02T22:00:00Z";
        assert_eq!(wish(&it, Kind::PasswordChanged, night, None), Wish::Send);
        assert!(it.lists(Kind::PasswordChanged));
    }

    #[test]
    fn what_is_told_daily_is_collected_unless_it_would_come_too_late() {
        let mut it = preferences();
        it.want_mail(Kind::Reminder, MailWhen::Daily);
        it.want_mail(Kind::Digest, MailWhen::Daily);
        let noon = "2026-03-02T12:00:00Z";
        let Wish::Collect { window, .. } = wish(&it, Kind::Reminder, noon, None) else { panic!() };
        assert_eq!(window.due_at, time("2026-03-03T07:00:00Z"));
        assert_eq!(wish(&it, Kind::Reminder, noon, Some("2026-03-03T07:00:00Z")), Wish::Send);
        assert_eq!(wish(&it, Kind::Digest, noon, None), Wish::Send);
    }

    #[test]
    fn what_is_switched_off_is_skipped_and_the_rest_is_not() {
        let mut it = preferences();
        it.want_mail(Kind::Reminder, MailWhen::Off);
        it.want_listed(Kind::Reminder, false);
        let noon = "2026-03-02T12:00:00Z";
        assert_eq!(wish(&it, Kind::Reminder, noon, None), Wish::Skip(Reason::SwitchedOff));
        assert_eq!(wish(&it, Kind::Rescheduled, noon, None), Wish::Send);
        assert!(!it.lists(Kind::Reminder) && it.lists(Kind::Rescheduled));
        it.want_listed(Kind::Reminder, true);
        assert!(it.lists(Kind::Reminder));
    }
}
