//! The machine's own time and randomness: what tests and the simulator replace.

use std::time::{SystemTime, UNIX_EPOCH};

use contracts::Timestamp;
use runtime::{Clock, Random};

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's randomness, fit for secrets.
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness nothing may go on: ids and secrets could be guessed.
        aws_lc_rs::rand::fill(bytes).expect("the machine has randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_the_time_of_this_age() {
        let this_age = "2025-01-01T00:00:00Z".parse().unwrap();
        assert!(SystemClock.now() > this_age);
    }

    #[test]
    fn no_secret_is_made_twice() {
        let random: &dyn Random = &SystemRandom;
        assert_ne!(random.secret(), random.secret());
    }
}
