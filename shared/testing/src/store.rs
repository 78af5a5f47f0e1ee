//! A store that counts what is asked of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use runtime::{Conflict, Key, Query, Record, Rows, Store, Write};

/// A store that counts what is asked of it.
pub(crate) struct Counted {
    store: Arc<dyn Store>,
    commits: AtomicUsize,
    reads: AtomicUsize,
}

impl Counted {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, commits: AtomicUsize::new(0), reads: AtomicUsize::new(0) }
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Counted {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.get(key).await
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        self.reads.fetch_add(keys.len(), Ordering::SeqCst);
        self.store.get_all(keys).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.query(query).await
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.count(query).await
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        let outcome = self.store.commit(writes).await?;
        if outcome.is_ok() {
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        Ok(outcome)
    }

    async fn note(&self, creates: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        self.store.note(creates).await
    }

    fn edition(&self, collection: &str) -> Option<u64> {
        self.store.edition(collection)
    }
}
