//! What a database has done since it was opened, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// What a database has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Commits that were kept.
    pub commits: u64,
    /// Documents that they created, replaced or deleted.
    pub writes: u64,
    /// Commits that were refused because a document had changed.
    pub conflicts: u64,
    /// Commits that failed because the disk or the database did.
    pub failures: u64,
    /// Transactions that carried the commits to the disk, many in one: each
    /// waited for the disk once.
    pub transactions: u64,
    /// Documents that were read one by one.
    pub reads: u64,
    /// Queries, and counts.
    pub queries: u64,
    /// Documents that the queries found.
    pub found: u64,
}

/// The same while it's being counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub commits: Counter,
    pub writes: Counter,
    pub conflicts: Counter,
    pub failures: Counter,
    pub transactions: Counter,
    pub reads: Counter,
    pub queries: Counter,
    pub found: Counter,
}

/// One number. They are counted apart and needn't agree at every moment.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn one(&self) {
        self.many(1);
    }

    /// Counts some.
    pub fn many(&self, count: usize) {
        self.0.fetch_add(count as u64, Relaxed);
    }
}

impl Counters {
    /// The numbers now.
    pub fn read(&self) -> Statistics {
        let now = |counter: &Counter| counter.0.load(Relaxed);
        Statistics {
            commits: now(&self.commits),
            writes: now(&self.writes),
            conflicts: now(&self.conflicts),
            failures: now(&self.failures),
            transactions: now(&self.transactions),
            reads: now(&self.reads),
            queries: now(&self.queries),
            found: now(&self.found),
        }
    }
}
