//! A delivery: an event that a subscriber couldn't take yet, and when it's
//! tried again; and a dead letter, which isn't tried by itself any more.

use contracts::Timestamp;
use runtime::{Document, Envelope, Index, Parked, Random, derived_id};
use serde::{Deserialize, Serialize};

/// An event that a subscriber couldn't take yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    id: String,
    /// The function that is to take it.
    pub subscriber: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it's tried again.
    pub next_attempt_at: Timestamp,
    /// Why it wasn't taken the last time.
    pub last_error: String,
    /// The event.
    pub event: Envelope,
}

impl Document for Delivery {
    const COLLECTION: &'static str = "deliveries";
    const INDEXES: &'static [Index] = &[Index::ascending("next_attempt_at")];
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// An event that a subscriber can't take: it failed too often, or can't be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id, to replay it.
    pub id: String,
    /// The function that should have taken it.
    pub subscriber: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Timestamp,
    /// When it's forgotten: what it tells of somebody may be told for so long only.
    /// Those of earlier versions stay until they're replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why it wasn't taken the last time.
    pub last_error: String,
    /// The event.
    pub event: Envelope,
}

impl Document for DeadLetter {
    const COLLECTION: &'static str = "dead_letters";
    const INDEXES: &'static [Index] = &[Index::descending("died_at")];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl DeadLetter {
    /// Whether it was given up at once, because it can't be read.
    pub const fn is_parked(&self) -> bool {
        self.attempts < ATTEMPTS
    }
}

/// After so many failures an event is a dead letter.
const ATTEMPTS: u32 = 8;

/// The first pause and the longest, in milliseconds.
const PAUSES: (u64, u64) = (1_000, 600_000);

/// The longest text that is kept of an error, in characters.
const ERROR_MOST: usize = 2_000;

impl Delivery {
    /// A delivery that has failed for the first time.
    pub fn failed(
        event: Envelope,
        subscriber: &str,
        error: &str,
        now: Timestamp,
        random: &dyn Random,
    ) -> Self {
        let mut delivery = Self::new(event, subscriber, now);
        delivery.fail(error, now, random);
        delivery
    }

    /// A delivery that is due now.
    pub fn new(event: Envelope, subscriber: &str, now: Timestamp) -> Self {
        Self {
            // The same event fails once for the same subscriber, though it's relayed twice.
            id: derived_id(&["delivery", &event.id, subscriber]),
            subscriber: subscriber.to_owned(),
            attempts: 0,
            next_attempt_at: now,
            last_error: String::new(),
            event,
        }
    }

    /// Notes a failure.
    pub fn fail(&mut self, error: &str, now: Timestamp, random: &dyn Random) {
        self.attempts += 1;
        self.last_error = error.chars().take(ERROR_MOST).collect();
        let pause = i64::try_from(pause_millis(self.attempts, random)).unwrap_or(i64::MAX);
        self.next_attempt_at = Timestamp::from_millis(now.as_millis().saturating_add(pause));
    }

    /// Whether it has failed often enough.
    pub fn is_hopeless(&self) -> bool {
        self.attempts >= ATTEMPTS
    }

    /// The dead letter that it becomes.
    pub fn die(self, now: Timestamp) -> DeadLetter {
        let Self { id, subscriber, attempts, last_error, event, .. } = self;
        let expires_at = Some(now.plus_seconds(Parked::KEPT_SECONDS));
        DeadLetter { id, subscriber, attempts, died_at: now, expires_at, last_error, event }
    }
}

/// The pause after a failure: three times the one before, and each a little
/// different, so that those that failed together don't come back together.
fn pause_millis(attempts: u32, random: &dyn Random) -> u64 {
    let (first, longest) = PAUSES;
    let longest =
        first.saturating_mul(3_u64.saturating_pow(attempts.saturating_sub(1))).min(longest);
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    // Between four fifths of it and all.
    longest - u64::from(u32::from_le_bytes(bytes)) % (longest / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct All(u8);

    impl Random for All {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn pauses_grow_from_a_second_to_ten_minutes() {
        let seconds = |attempts| pause_millis(attempts, &All(0)) / 1000;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(seconds), [1, 3, 9, 27, 81, 243, 600, 600]);
        assert_eq!(seconds(u32::MAX), 600);
    }

    #[test]
    fn a_pause_is_shorter_by_a_fifth_at_most() {
        for byte in 0..=u8::MAX {
            let pause = pause_millis(7, &All(byte));
            assert!((480_000..=600_000).contains(&pause), "{pause}");
        }
    }
}
