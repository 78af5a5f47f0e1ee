//! Asking another domain of the same process: its function is run, and nothing
//! goes over a wire.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use contracts::Language;
use runtime::{
    Bytes, Client, Host, Incoming, Origin, Outgoing, Random, Refusal, Reply, Sender, Trace,
    problems::UNAVAILABLE,
};

/// How long an answer may take: the caller's own deadline is three times that.
const DEADLINE: Duration = Duration::from_secs(10);

/// The way to every domain of the same process.
pub struct LocalClient {
    host: OnceLock<Host>,
    random: Arc<dyn Random>,
}

impl LocalClient {
    /// A way that leads nowhere yet: the functions need it before there's a host.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self { host: OnceLock::new(), random }
    }

    /// Leads to this host from now on, if it didn't lead to another one.
    pub fn lead_to(&self, host: Host) {
        let _led_before = self.host.set(host);
    }
}

#[async_trait]
impl Client for LocalClient {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let Some(host) = self.host.get() else {
            anyhow::bail!("{} was called before the platform had started", request.operation);
        };
        let operation = request.operation;
        let incoming = Incoming {
            bound: request.path,
            query: request.query,
            body: request.body,
            origin: Origin::Platform,
            sender: Sender::default(),
            language: Language::En,
            trace: Trace::continued(Some(&trace.traceparent()), &*self.random),
            idempotency_key: None,
        };
        match tokio::time::timeout(DEADLINE, host.request(operation, incoming)).await {
            Ok(reply) => Ok((reply.status, reply.body)),
            Err(_elapsed) => {
                tracing::warn!(operation, "another domain didn't answer in time");
                let reply = Reply::refused(Refusal::of(UNAVAILABLE), Language::En, trace);
                Ok((reply.status, reply.body))
            }
        }
    }
}
