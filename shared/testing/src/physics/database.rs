//! The database: documents that are as they should be, and the time that it takes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use async_trait::async_trait;
use runtime::{Conflict, Domain, Key, Query, Record, Rows, Store, Write};

use super::time::Time;
use crate::simulation::{Dice, Documents};

/// A read, of one document or of many at once.
const READ: Duration = Duration::from_millis(10);

/// A commit takes from this to [`COMMIT_MORE`] longer.
const COMMIT: Duration = Duration::from_millis(30);
const COMMIT_MORE_MILLIS: usize = 20;

/// How long after it was changed a document takes the next write.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);

/// How many writes a second a new collection takes.
const RATE: f64 = 500.0;

/// How much more it takes each time that [`RAMP`] has passed.
const GROWTH: f64 = 1.5;
const RAMP: Duration = Duration::from_mins(5);

/// The database of one domain.
pub(super) struct Database {
    time: Time,
    kept: Mutex<Kept>,
    /// How long its collections have been in use.
    age: Duration,
    tally: Tally,
}

struct Kept {
    documents: Documents,
    /// When each document takes the next write.
    documents_ready: HashMap<Key, Duration>,
    /// When each collection does.
    collections_ready: HashMap<&'static str, Duration>,
    dice: Dice,
}

/// What was asked of the database.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) commits: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) reads: AtomicU64,
}

/// What becomes of a commit whose turn it may be.
enum Turn {
    Done,
    Lost(Conflict),
    At(Duration),
}

impl Database {
    /// An empty database, whose collections have been in use for so long.
    pub(super) fn new(domain: &Domain, time: Time, age: Duration) -> Arc<Self> {
        let kept = Kept {
            documents: Documents::new(domain.name, &domain.collections),
            documents_ready: HashMap::new(),
            collections_ready: HashMap::new(),
            dice: Dice::of(1),
        };
        Arc::new(Self { time, kept: Mutex::new(kept), age, tally: Tally::default() })
    }

    /// What was asked of it so far.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    async fn read<T>(
        &self,
        count: usize,
        read: impl FnOnce(&Documents) -> Result<T, String> + Send,
    ) -> anyhow::Result<T> {
        self.tally.reads.fetch_add(count as u64, Ordering::SeqCst);
        self.time.pass(READ).await;
        let kept = self.kept.lock().expect("no holder panics");
        read(&kept.documents).map_err(|error| anyhow!(error))
    }

    /// Has a commit take effect if it may by now.
    fn attempt(&self, writes: &[Write]) -> anyhow::Result<Turn> {
        let now = self.time.passed();
        let mut kept = self.kept.lock().expect("no holder panics");
        // A lost race is told at once; it heats nothing.
        let staged = kept.documents.stage(writes.to_vec()).map_err(|error| anyhow!(error))?;
        if let Err(conflict) = staged {
            return Ok(Turn::Lost(conflict));
        }
        if let Some(hour) = kept.ready(writes).filter(|hour| *hour > now) {
            return Ok(Turn::At(hour));
        }
        let written = kept.documents.commit(writes.to_vec()).map_err(|error| anyhow!(error))?;
        drop(written);
        kept.heat(writes, now, self.rate(now));
        Ok(Turn::Done)
    }

    /// How many writes a second a collection takes by now.
    fn rate(&self, now: Duration) -> f64 {
        let ramps = (self.age + now).as_secs() / RAMP.as_secs();
        RATE * GROWTH.powi(i32::try_from(ramps).unwrap_or(i32::MAX))
    }
}

impl Kept {
    /// When all that is written takes a write again.
    fn ready(&self, writes: &[Write]) -> Option<Duration> {
        let documents = writes.iter().filter_map(|it| self.documents_ready.get(it.key()));
        let collections =
            writes.iter().filter_map(|it| self.collections_ready.get(it.key().collection));
        documents.chain(collections).max().copied()
    }

    fn heat(&mut self, writes: &[Write], now: Duration, rate: f64) {
        let each = Duration::from_secs_f64(1.0 / rate);
        for write in writes {
            let key = write.key();
            if matches!(write, Write::Replace(..)) {
                self.documents_ready.insert(key.clone(), now + BETWEEN_WRITES);
            }
            let ready = self.collections_ready.entry(key.collection).or_default();
            *ready = now.max(*ready) + each;
        }
    }
}

#[async_trait]
impl Store for Database {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.read(1, |documents| documents.get(key)).await
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.read(keys.len(), |documents| keys.iter().map(|key| documents.get(key)).collect()).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.read(1, |documents| documents.query(query)).await
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.read(1, |documents| documents.count(query)).await
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        let more = self.kept.lock().expect("no holder panics").dice.below(COMMIT_MORE_MILLIS + 1);
        self.time.pass(COMMIT + Duration::from_millis(more as u64)).await;
        loop {
            match self.attempt(&writes)? {
                Turn::Done => {
                    self.tally.commits.fetch_add(1, Ordering::SeqCst);
                    self.tally.writes.fetch_add(writes.len() as u64, Ordering::SeqCst);
                    return Ok(Ok(()));
                }
                Turn::Lost(conflict) => {
                    self.tally.conflicts.fetch_add(1, Ordering::SeqCst);
                    return Ok(Err(conflict));
                }
                Turn::At(hour) => self.time.until(hour).await,
            }
        }
    }
}
