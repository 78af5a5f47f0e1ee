//! A delivery: one message to one person, and how far it has got.
//!
//! It is sent at most once. Who sends it first notes that it is being handed
//! over, for a while; only then does the provider see it; then it's noted what
//! the provider said. Whoever finds a delivery whose while is over knows that
//! something broke in between, and asks the provider whether it has the
//! message. If nobody can tell, the message counts as unknown, and isn't sent
//! again by itself.

use std::time::Duration;

use runtime::{mail::MailError, prelude::*};

use crate::news::{Kind, News};

/// How far a message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be sent, for the first time or again.
    Scheduled,
    /// It is being handed to the provider.
    HandingOver,
    /// The provider has it.
    Sent,
    /// It waits for the person's daily digest.
    Collected,
    /// It was told in a digest, and goes the way of that.
    Digested,
    /// It wasn't wanted any more, or couldn't be written to anybody.
    Skipped,
    /// The provider took it, and it came back.
    Bounced,
    /// It won't arrive: the provider refused it, or too many tries were in vain.
    Failed,
    /// The provider may have it or not; it isn't sent again by itself.
    Unknown,
}

/// Why a message was skipped, delayed, lost or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There's no such person any more.
    NoContact,
    /// There's no such section any more.
    SectionNotFound,
    /// The section was cancelled.
    SectionCancelled,
    /// The person has no seat in the section any more.
    EnrollmentEnded,
    /// The meeting was taken out of the section.
    MeetingRemoved,
    /// The meeting was moved to another time.
    MeetingMoved,
    /// The meeting has begun.
    MeetingBegun,
    /// A later reminder of the same meeting is due as well.
    Overtaken,
    /// It was due before the person was told of the meeting's time.
    TooLate,
    /// Newer facts have been told since.
    Superseded,
    /// The code can't be used any more.
    CodeExpired,
    /// The offer can't be accepted any more.
    OfferExpired,
    /// The person doesn't want such messages.
    SwitchedOff,
    /// The person doesn't want it now: it's sent when their quiet hours end.
    QuietHours,
    /// The person wants it in their daily digest.
    Daily,
    /// There's nothing left that the digest could tell.
    NothingToTell,
    /// Nothing is sent to that address: mail came back, or its owner complained.
    Suppressed,
    /// There's no such mailbox.
    HardBounce,
    /// It couldn't arrive just then: the mailbox was full, say.
    SoftBounce,
    /// The person told their provider that they don't want such mail.
    Complaint,
    /// The person was erased.
    Erased,
    /// The message can't be written to such an address.
    NotWritten,
    /// The provider refused it for good.
    Refused,
    /// The provider didn't take it; it's tried again.
    Unavailable,
    /// The provider didn't take it though it was tried often.
    TriesExhausted,
    /// The connection broke when the provider may have had it.
    ConnectionLost,
    /// We stopped while it was handed over.
    Interrupted,
}

/// One message to one person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, made of what it tells.
    pub id: String,
    /// To whom.
    pub user_id: UserId,
    /// What it is about.
    pub kind: Kind,
    /// The resource that it is about.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it tells.
    pub news: News,
    /// The `Message-ID`, the same for each try.
    pub message_id: String,
    /// How far it has got.
    pub state: DeliveryState,
    /// Why it was skipped, delayed, lost or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What the provider said last, without addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often it was handed to the provider.
    pub attempts: u32,
    /// When the sweep looks after it; absent when there's nothing more to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Before when it isn't wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    /// The address that it goes to, if that isn't the person's, locked: it's
    /// dropped with the last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_to: Option<String>,
    /// When an admin had it sent once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resent_at: Option<Timestamp>,
    /// Until when whoever hands it over has it for themself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until: Option<Timestamp>,
    /// When the provider took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

/// Indexes of deliveries, the newest first, by some of their fields.
macro_rules! newest_by {
    ($([$($field:literal),*]),+ $(,)?) => {
        &[$(Index::descending("created_at").equals(&[$($field),*])),+, Index::ascending("due_at")]
    };
}

impl Document for Delivery {
    const COLLECTION: &'static str = "deliveries";
    const INDEXES: &'static [Index] = newest_by!(
        [],
        ["user_id"],
        ["state"],
        ["kind"],
        ["user_id", "state"],
        ["user_id", "kind"],
        ["state", "kind"],
        ["user_id", "state", "kind"],
        ["reason"],
        ["user_id", "reason"],
        ["state", "reason"],
        ["kind", "reason"],
        ["user_id", "state", "reason"],
        ["user_id", "kind", "reason"],
        ["state", "kind", "reason"],
        ["user_id", "state", "kind", "reason"],
    );
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// How long one has to hand a message over, in seconds.
pub const LEASE_SECONDS: i64 = 15;

/// How long before the lease is over the provider must have given up: so that nobody asks after a
/// message that is still on its way.
const MARGIN_MILLIS: i64 = 3_000;

/// A new message's event has it sent at once; the sweep gives that so many
/// seconds before it looks after it.
const SWEPT_AFTER_SECONDS: i64 = 30;

/// What the address of a message is locked for.
const ADDRESS: &str = "delivery";

/// How often a message is tried: over some hours.
const TRIES: u32 = 10;

/// What is to be done about a delivery now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, or nothing yet.
    Nothing,
    /// Send it.
    Send,
    /// Ask the provider whether it has it: something broke while it was handed over.
    Ask,
}

impl Delivery {
    /// A message that is to be sent now.
    pub fn new(user_id: &UserId, news: News, mail_host: &str, now: Timestamp) -> Self {
        let (id, kind) = (news.id(user_id), news.kind());
        Self {
            message_id: format!("{}.{id}@{mail_host}", kind.as_str()),
            id,
            user_id: user_id.clone(),
            kind,
            reference: news.reference(user_id),
            news,
            state: DeliveryState::Scheduled,
            reason: None,
            last_error: None,
            attempts: 0,
            due_at: Some(now.plus_seconds(SWEPT_AFTER_SECONDS)),
            not_before: None,
            locked_to: None,
            resent_at: None,
            lease_until: None,
            sent_at: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// The same, to an address that isn't the person's.
    #[must_use]
    pub fn addressed<C>(mut self, cx: &Context<C>, address: &str) -> Self {
        self.locked_to = Some(cx.secret().lock(ADDRESS, &self.id, address, cx.random()));
        self
    }

    /// The address that it goes to, if that isn't the person's.
    pub fn address<C>(&self, cx: &Context<C>) -> Option<String> {
        cx.secret().unlock(ADDRESS, &self.id, self.locked_to.as_deref()?)
    }

    /// Whether it has waited, so that what it tells may not hold any more.
    pub const fn has_waited(&self) -> bool {
        let in_digest = matches!(self.state, DeliveryState::Collected | DeliveryState::Digested);
        self.attempts > 0 || self.not_before.is_some() || in_digest
    }

    /// Those to a person, the newest first.
    pub fn of(user_id: &UserId) -> Query {
        Query::descending::<Self>("created_at").equals("user_id", user_id)
    }

    /// The one that a `Message-ID` is of, by its id.
    pub fn id_of(message_id: &str) -> Option<&str> {
        let (left, _) = message_id.trim_matches(['<', '>', ' ']).split_once('@')?;
        left.rsplit_once('.').map(|(_, id)| id)
    }

    /// Those that the sweep looks after.
    pub fn due(now: Timestamp) -> Query {
        Query::ascending::<Self>("due_at").at_most(now)
    }

    /// What is to be done about it now.
    pub fn next(&self, now: Timestamp) -> Next {
        let past = |time: Option<Timestamp>| time.is_none_or(|time| time <= now);
        match self.state {
            DeliveryState::Scheduled if !past(self.not_before) => Next::Nothing,
            DeliveryState::Scheduled if self.attempts == 0 || past(self.due_at) => Next::Send,
            DeliveryState::HandingOver if past(self.lease_until) => Next::Ask,
            _ => Next::Nothing,
        }
    }

    /// Is handed to the provider from now on, for a while.
    pub fn hand_over(&mut self, now: Timestamp) {
        self.enter(DeliveryState::HandingOver, None, now);
        self.attempts += 1;
        self.lease_until = Some(now.plus_seconds(LEASE_SECONDS));
        self.due_at = self.lease_until;
    }

    /// How long the provider may take from now on; nothing if there's no time left to begin.
    pub fn patience(&self, now: Timestamp) -> Option<Duration> {
        let left = self.lease_until?.as_millis() - MARGIN_MILLIS - now.as_millis();
        let left = u64::try_from(left).ok().filter(|&left| left > 0);
        left.map(Duration::from_millis)
    }

    /// The provider has it.
    pub fn sent(&mut self, now: Timestamp) {
        self.enter(DeliveryState::Sent, None, now);
        self.sent_at = Some(now);
    }

    /// It isn't wanted any more.
    pub fn skip(&mut self, reason: Reason, now: Timestamp) {
        self.enter(DeliveryState::Skipped, Some(reason), now);
    }

    /// It isn't wanted before a time.
    pub fn wait(&mut self, until: Timestamp, now: Timestamp) {
        self.enter(DeliveryState::Scheduled, Some(Reason::QuietHours), now);
        self.not_before = Some(until);
        self.due_at = Some(until);
    }

    /// It waits for a digest.
    pub fn collect(&mut self, now: Timestamp) {
        self.enter(DeliveryState::Collected, Some(Reason::Daily), now);
    }

    /// A digest tells it; if it still waited for one.
    pub fn digest(&mut self, now: Timestamp) {
        if self.state == DeliveryState::Collected {
            self.enter(DeliveryState::Digested, Some(Reason::Daily), now);
        }
    }

    /// It came back, or its reader complained. What a provider tells of a
    /// message that we never handed over is a mistake.
    pub fn came_back(&mut self, reason: Reason, said: &str, now: Timestamp) {
        if self.attempts == 0 {
            return;
        }
        if reason == Reason::Complaint {
            // Whoever complains has it.
            self.enter(DeliveryState::Sent, Some(reason), now);
            self.sent_at.get_or_insert(now);
        } else {
            self.enter(DeliveryState::Bounced, Some(reason), now);
        }
        self.last_error = Some(without_addresses(said)).filter(|it| !it.is_empty());
    }

    /// An admin has it sent once more, though the provider may have it.
    pub fn resend(&mut self, now: Timestamp) {
        self.enter(DeliveryState::Scheduled, None, now);
        (self.resent_at, self.due_at) = (Some(now), Some(now));
    }

    /// It won't arrive.
    pub fn fail(&mut self, reason: Reason, now: Timestamp) {
        self.enter(DeliveryState::Failed, Some(reason), now);
    }

    /// Nobody can tell whether the provider has it.
    pub fn lose(&mut self, reason: Reason, now: Timestamp) {
        self.enter(DeliveryState::Unknown, Some(reason), now);
    }

    /// The provider doesn't have it: it's tried again after a while, unless
    /// that was done often enough.
    pub fn try_again(&mut self, reason: Reason, now: Timestamp) {
        if self.attempts >= TRIES {
            return self.fail(Reason::TriesExhausted, now);
        }
        self.enter(DeliveryState::Scheduled, Some(reason), now);
        self.due_at = Some(now.plus_seconds(pause_seconds(self.attempts)));
    }

    /// The provider couldn't be asked: it's asked again in a minute.
    pub fn ask_again(&mut self, now: Timestamp) {
        self.enter(DeliveryState::HandingOver, Some(Reason::Interrupted), now);
        self.lease_until = Some(now.plus_minutes(1));
        self.due_at = self.lease_until;
    }

    /// It couldn't even be looked after, for want of something else: another time.
    pub fn postpone(&mut self, now: Timestamp) {
        self.due_at = Some(now.plus_minutes(1));
    }

    /// What comes of the provider's answer to try number `attempt`; whether
    /// anything does. A late answer still tells more than `unknown` does.
    pub fn settle(&mut self, attempt: u32, answer: &Result<(), MailError>, now: Timestamp) -> bool {
        use DeliveryState::{HandingOver, Scheduled, Unknown};
        let open = match answer {
            Ok(()) => matches!(self.state, HandingOver | Unknown | Scheduled),
            Err(_) => matches!(self.state, HandingOver | Unknown),
        };
        if self.attempts != attempt || !open {
            return false;
        }
        match answer {
            Ok(()) => self.sent(now),
            Err(MailError::Refused(_)) => self.fail(Reason::Refused, now),
            Err(MailError::Unavailable(_)) => self.try_again(Reason::Unavailable, now),
            Err(MailError::Unknown(_)) => self.lose(Reason::ConnectionLost, now),
        }
        self.last_error = match answer {
            Ok(()) => None,
            Err(
                MailError::Refused(said) | MailError::Unavailable(said) | MailError::Unknown(said),
            ) => Some(without_addresses(said)),
        };
        true
    }

    fn enter(&mut self, state: DeliveryState, reason: Option<Reason>, now: Timestamp) {
        (self.state, self.reason) = (state, reason);
        (self.due_at, self.lease_until) = (None, None);
        // What is unknown may be sent again by an admin; all else that ends here is over.
        if matches!(state, DeliveryState::Sent | DeliveryState::Skipped | DeliveryState::Failed) {
            self.locked_to = None;
        }
        self.updated_at = now;
        self.revision += 1;
    }
}

/// How long to wait after so many tries: 5 seconds, then three times as long
/// each time, an hour at most.
fn pause_seconds(attempts: u32) -> i64 {
    5_i64.saturating_mul(3_i64.saturating_pow(attempts.saturating_sub(1))).min(3600)
}

/// What a provider said, fit to be kept: servers like to repeat the address.
fn without_addresses(said: &str) -> String {
    let words = said.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// The host that the `Message-ID`s of a platform end with: its own, if mail knows such a name.
pub fn mail_host(public_url: &str) -> &str {
    let authority = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host =
        authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let label = |it: &str| {
        !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_number = host.rsplit('.').next().is_some_and(|it| it.parse::<u32>().is_ok());
    let is_name = host.contains('.') && host.split('.').all(label) && !is_number;
    if is_name { host } else { "aula.local" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(now: Timestamp) -> Delivery {
        let news = News::PasswordChanged { changed_at: now };
        Delivery::new(&"ada".into(), news, "aula.example", now)
    }

    fn now() -> Timestamp {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_message_id_is_the_same_each_time_and_names_the_host() {
        let one = delivery(now()).message_id;
        assert_eq!(one, delivery(now()).message_id);
        assert!(one.starts_with("password_changed.") && one.ends_with("@aula.example"), "{one}");
    }

    #[test]
    fn only_a_real_name_is_a_mail_host() {
        for (url, host) in [
            ("https://aula.example", "aula.example"),
            ("https://www.aula.example:8443/path", "www.aula.example"),
            ("http://localhost:8080", "aula.local"),
            ("http://127.0.0.1:8080", "aula.local"),
            ("http://[::1]:8080", "aula.local"),
            ("http://a.b>\r\nBcc: x", "aula.local"),
            ("", "aula.local"),
        ] {
            assert_eq!(mail_host(url), host, "{url}");
        }
    }

    #[test]
    fn one_who_hands_it_over_has_it_alone_until_the_lease_is_over() {
        let mut it = delivery(now());
        assert_eq!(it.next(now()), Next::Send);
        it.hand_over(now());
        assert_eq!(it.next(now().plus_seconds(LEASE_SECONDS - 1)), Next::Nothing);
        assert_eq!(it.next(now().plus_seconds(LEASE_SECONDS)), Next::Ask);
        it.sent(now());
        assert_eq!(it.next(now().plus_minutes(600)), Next::Nothing);
        assert_eq!((it.due_at, it.sent_at), (None, Some(now())));
    }

    #[test]
    fn the_provider_has_what_is_left_of_the_lease_and_not_its_last_seconds() {
        let mut it = delivery(now());
        assert_eq!(it.patience(now()), None);
        it.hand_over(now());
        let after = |seconds| it.patience(now().plus_seconds(seconds)).map(|it| it.as_secs());
        assert_eq!([after(0), after(5), after(11)], [Some(12), Some(7), Some(1)]);
        assert_eq!([after(12), after(15), after(600)], [None; 3]);
    }

    #[test]
    fn a_try_in_vain_is_repeated_later_and_later_for_some_hours() {
        let (mut it, mut time) = (delivery(now()), now());
        let mut pauses = Vec::new();
        while it.state != DeliveryState::Failed {
            assert_eq!(it.next(time), Next::Send);
            it.hand_over(time);
            let attempt = it.attempts;
            assert!(it.settle(attempt, &Err(MailError::Unavailable("451".into())), time));
            if let Some(due_at) = it.due_at {
                assert_eq!(it.next(due_at.plus_seconds(-1)), Next::Nothing);
                pauses.push(due_at.as_seconds() - time.as_seconds());
                time = due_at;
            }
        }
        assert_eq!(pauses, [5, 15, 45, 135, 405, 1215, 3600, 3600, 3600]);
        assert_eq!((it.reason, it.attempts), (Some(Reason::TriesExhausted), 10));
    }

    #[test]
    fn what_may_have_been_taken_is_not_sent_again_by_itself() {
        let mut it = delivery(now());
        it.hand_over(now());
        it.settle(1, &Err(MailError::Unknown("broken pipe".into())), now());
        assert_eq!((it.state, it.reason), (DeliveryState::Unknown, Some(Reason::ConnectionLost)));
        assert_eq!((it.next(now().plus_minutes(600)), it.due_at), (Next::Nothing, None));
    }

    #[test]
    fn a_late_answer_counts_unless_there_was_another_try() {
        let mut it = delivery(now());
        it.hand_over(now());
        it.lose(Reason::Interrupted, now());
        assert!(it.settle(1, &Ok(()), now()));
        assert_eq!(it.state, DeliveryState::Sent);
        assert!(!it.settle(1, &Err(MailError::Refused("550".into())), now()));

        let mut it = delivery(now());
        it.hand_over(now());
        it.try_again(Reason::Interrupted, now());
        it.hand_over(now());
        assert!(!it.settle(1, &Ok(()), now()));
    }

    #[test]
    fn what_a_provider_said_is_kept_without_addresses() {
        let said = "550 5.1.1 <ada@mail.example>: user\r\nunknown";
        assert_eq!(without_addresses(said), "550 5.1.1 … user unknown");
        assert_eq!(without_addresses(&"x".repeat(999)).len(), 200);
    }
}
