//! Chance, all of it from one seed.

use runtime::Random;

use crate::SeededRandom;

/// Chance, all of it from one seed: the same throws in each run.
pub struct Dice(SeededRandom);

impl Dice {
    /// The dice of a seed.
    pub const fn of(seed: u64) -> Self {
        Self(SeededRandom::of(seed))
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below this one, which isn't 0.
    pub fn below(&mut self, end: usize) -> usize {
        let throw = self.throw() % u64::try_from(end).expect("a machine's numbers have 64 bits");
        usize::try_from(throw).expect("it's below a usize")
    }

    /// Yes, so many times in a thousand.
    pub fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    /// One of some, of which there is one at least.
    pub fn one_of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }
}
