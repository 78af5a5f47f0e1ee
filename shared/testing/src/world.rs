//! Time and randomness, as the test sets them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use contracts::Timestamp;
use runtime::{Clock, Random};

/// A clock that stands until the test moves it.
pub struct StandingClock(AtomicI64);

impl StandingClock {
    /// A clock that stands at this time.
    pub fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.as_millis()))
    }

    /// Moves it on.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness that is the same in each run (`SplitMix64`).
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// Another seed gives other bytes.
    pub const fn of(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Goes on as if it had this seed.
    pub(crate) fn begin_anew(&self, seed: u64) {
        self.0.store(seed, Ordering::SeqCst);
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in bytes.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(GOLDEN, Ordering::SeqCst).wrapping_add(GOLDEN);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
