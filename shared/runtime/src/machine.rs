//! The machine's own time and randomness: what tests and the simulator replace.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{Clock, Random};
use contracts::Timestamp;

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
///
/// It is the operating system's, drawn a little ahead on each thread: a system
/// call for each id would cost more than the id. The cryptographic library's own
/// generator isn't used, because it measures the processor's jitter when it's
/// first asked, and that takes longer than all the rest of the platform's start.
pub struct SystemRandom;

/// Random bytes that nobody has been given yet.
struct Ahead {
    bytes: [u8; 512],
    used: usize,
}

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; 512], used: 512 }) };
}

impl Ahead {
    fn give(&mut self, wanted: &mut [u8]) {
        for byte in wanted {
            if self.used == self.bytes.len() {
                // Without randomness nothing may go on: ids and secrets could be guessed.
                getrandom::fill(&mut self.bytes).expect("the machine has randomness");
                self.used = 0;
            }
            // What was given away isn't kept: it may be a secret now.
            *byte = std::mem::take(&mut self.bytes[self.used]);
            self.used += 1;
        }
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        AHEAD.with_borrow_mut(|ahead| ahead.give(bytes));
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
        let secrets: std::collections::BTreeSet<_> = (0..100).map(|_| random.secret()).collect();
        assert_eq!(secrets.len(), 100);
    }
}
