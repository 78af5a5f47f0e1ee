//! What a process has done, in numbers: `GET /local/stats`, as the server of one
//! machine has it. It's counted and told on emulators alone: a container of Cloud
//! Run has its metrics, and nothing there asks an instance.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use axum::{Json, Router, routing::get};
use runtime::{Conflict, Key, Query, Record, Rows, Store, Write};
use serde_json::{Value, json};

/// The numbers of a process. They are counted apart and needn't agree at every moment.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    commits: AtomicU64,
    writes: AtomicU64,
    conflicts: AtomicU64,
    failures: AtomicU64,
    /// Events that Pub/Sub has taken, by their types.
    published: Mutex<BTreeMap<String, u64>>,
}

impl Figures {
    /// Pub/Sub has taken events of a type.
    pub fn published(&self, kind: &str, count: usize) {
        let mut published = self.published.lock().expect("no holder panics");
        *published.entry(kind.to_owned()).or_default() += count as u64;
    }

    /// How a commit of so many documents came out.
    fn committed(&self, count: usize, outcome: &anyhow::Result<Result<(), Conflict>>) {
        let counter = match outcome {
            Ok(Ok(())) => {
                self.writes.fetch_add(count as u64, Relaxed);
                &self.commits
            }
            Ok(Err(_)) => &self.conflicts,
            Err(_) => &self.failures,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn told(&self) -> Value {
        let now = |counter: &AtomicU64| counter.load(Relaxed);
        json!({
            "store": {
                "commits": now(&self.commits),
                "writes": now(&self.writes),
                "conflicts": now(&self.conflicts),
                "failures": now(&self.failures),
            },
            "published": *self.published.lock().expect("no holder panics"),
        })
    }

    /// Where they are told.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/local/stats", get(async move || Json(self.told())))
    }
}

/// A store whose commits are counted.
pub(crate) struct Counted {
    pub store: Arc<dyn Store>,
    pub figures: Arc<Figures>,
}

#[async_trait]
impl Store for Counted {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.store.get(key).await
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        self.store.get_all(keys).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.store.query(query).await
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.store.count(query).await
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        let count = writes.len();
        let committed = self.store.commit(writes).await;
        self.figures.committed(count, &committed);
        committed
    }

    fn edition(&self, collection: &str) -> Option<u64> {
        self.store.edition(collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_by_how_it_came_out() {
        let figures = Figures::default();
        let lost = Conflict(Key { collection: "things", id: "x".to_owned() });
        figures.committed(3, &Ok(Ok(())));
        figures.committed(2, &Ok(Err(lost)));
        figures.committed(1, &Ok(Ok(())));
        figures.committed(9, &Err(anyhow::anyhow!("nobody answers")));
        let commits = json!({ "commits": 2, "writes": 4, "conflicts": 1, "failures": 1 });
        assert_eq!(figures.told(), json!({ "store": commits, "published": {} }));
    }

    #[test]
    fn what_is_published_is_counted_by_its_type() {
        let figures = Figures::default();
        figures.published("things.made.v1", 2);
        figures.published("things.made.v1", 1);
        figures.published("things.lost.v1", 1);
        let published = json!({ "things.made.v1": 3, "things.lost.v1": 1 });
        assert_eq!(figures.told()["published"], published);
    }
}
