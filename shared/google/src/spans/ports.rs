//! Ports that are watched: what goes through them is a step of the trace, where
//! that is kept.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Bytes, Client, Conflict, Key, Outgoing, Query, Record, Rows, Store, Trace, Write};

use super::{Attribute, Kind, Spans};

/// A store whose commits are steps.
pub(crate) struct Commits {
    pub store: Arc<dyn Store>,
    pub spans: Arc<Spans>,
}

#[async_trait]
impl Store for Commits {
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
        let Some(trace) = self.spans.below() else { return self.store.commit(writes).await };
        let (began, count) = (self.spans.begin(), writes.len());
        let committed = self.store.commit(writes).await;
        let outcome = match &committed {
            Ok(Ok(())) => "committed",
            Ok(Err(_)) => "conflict",
            Err(_) => "failed",
        };
        let attributes = vec![
            Attribute::new("db.system.name", "gcp.firestore"),
            Attribute::new("db.operation.name", "commit"),
            Attribute::new("db.operation.batch.size", count),
            Attribute::new("aula.outcome", outcome),
        ];
        self.spans.end(&began, &trace, ("commit", Kind::Client), attributes, committed.is_ok());
        committed
    }

    fn edition(&self, collection: &str) -> Option<u64> {
        self.store.edition(collection)
    }
}

/// The way to other domains, each call a step.
pub(crate) struct Calls {
    pub client: Arc<dyn Client>,
    pub spans: Arc<Spans>,
}

#[async_trait]
impl Client for Calls {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let Some(below) = self.spans.below() else { return self.client.send(request, trace).await };
        let (began, operation) = (self.spans.begin(), request.operation);
        let answered = self.client.send(request, &below).await;
        let mut attributes = vec![Attribute::new("rpc.method", operation)];
        let status = answered.as_ref().ok().map(|(status, _)| *status);
        attributes.extend(status.map(|it| Attribute::new("http.response.status_code", it)));
        let is_well = status.is_some_and(|status| status < 500);
        self.spans.end(&began, &below, (operation, Kind::Client), attributes, is_well);
        answered
    }
}
