//! What a step has touched: two steps that touch nothing in common can be
//! taken in either order, and the world is the same after both.

use std::sync::Arc;

use runtime::{Key, Query};
use serde_json::Value;

use super::documents::{Changed, finds};

/// What a step has touched.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own to touch")]
pub(crate) struct Footprint {
    /// The processes that went on: whatever runs in one may share memory.
    pub(crate) processes: Vec<usize>,
    pub(crate) reads: Vec<(usize, Read)>,
    pub(crate) writes: Vec<(usize, Changed)>,
    /// It touched what can't be told apart: what the test itself plays.
    pub(crate) played: bool,
    /// So much time has passed that whoever looks at the clock may act otherwise.
    pub(crate) ages: bool,
    /// Somebody looked at the clock.
    pub(crate) looks: bool,
    /// It's one of several reads whose answers are waited for together.
    pub(crate) together: Option<u64>,
    /// A commit was refused, because what it had read had changed.
    pub(crate) lost: bool,
}

/// What a step has read of a store.
#[derive(Clone)]
pub(crate) enum Read {
    One(Key),
    /// Whatever a query finds, now or later.
    Many(Arc<Query>),
}

impl Footprint {
    /// Whether the order of two steps may matter.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        (self.ages && (other.ages || other.looks))
            || (self.looks && other.ages)
            || self.shares_a_process_with(other)
            || (self.played && other.played)
            || self.overwrites(other)
            || other.overwrites(self)
    }

    /// Whatever runs in a process may depend on all that has, but for the order of
    /// answers that are waited for together.
    fn shares_a_process_with(&self, other: &Self) -> bool {
        let are_together = self.together.is_some() && self.together == other.together;
        !are_together && self.processes.iter().any(|process| other.processes.contains(process))
    }

    /// Whether it read what the other one writes.
    pub(crate) fn is_beaten_by(&self, other: &Self) -> bool {
        other.overwrites(self)
    }

    /// Whether it writes what the other one reads or writes.
    fn overwrites(&self, other: &Self) -> bool {
        self.writes.iter().any(|(store, changed)| {
            other.writes.iter().any(|(its_store, its)| {
                store == its_store && changed.collection == its.collection && changed.id == its.id
            }) || other
                .reads
                .iter()
                .any(|(its_store, read)| store == its_store && read.sees(changed))
        })
    }
}

impl Read {
    fn sees(&self, changed: &Changed) -> bool {
        let found = |query: &Query, document: &Option<Arc<Value>>| {
            document.as_ref().is_some_and(|document| finds(query, document))
        };
        match self {
            Self::One(key) => key.collection == changed.collection && key.id == changed.id,
            Self::Many(query) => {
                query.collection == changed.collection
                    && (found(query, &changed.before) || found(query, &changed.after))
            }
        }
    }
}
