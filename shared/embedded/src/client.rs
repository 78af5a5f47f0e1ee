//! Asking another domain of the same process: its function is run, and nothing
//! goes over a wire.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::ensure;
use async_trait::async_trait;
use contracts::Language;
use runtime::{
    Bytes, Client, Host, Incoming, Origin, Outgoing, Random, Sender, SystemClock, Trace,
    calling::{Patient, Sent, Way},
    deadline,
};

/// The way to every domain of the same process.
pub struct LocalClient(Patient<Within>);

struct Within {
    host: OnceLock<Host>,
    random: Arc<dyn Random>,
}

impl LocalClient {
    /// A way that leads nowhere yet: the functions need it before there's a host.
    pub fn new(random: Arc<dyn Random>) -> Self {
        let within = Within { host: OnceLock::new(), random: random.clone() };
        Self(Patient::new(within, Arc::new(SystemClock), random))
    }

    /// Leads to this host from now on, if it didn't lead to another one.
    pub fn lead_to(&self, host: Host) {
        let _led_before = self.0.way().host.set(host);
    }
}

#[async_trait]
impl Client for LocalClient {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        self.0.send(request, trace).await
    }
}

#[async_trait]
impl Way for Within {
    /// Each function for itself, as if it were a service of its own.
    fn peer(&self, operation: &'static str) -> anyhow::Result<String> {
        ensure!(
            self.host.get().is_some(),
            "{operation} was called before the platform had started"
        );
        Ok(operation.to_owned())
    }

    async fn send_once(
        &self,
        _: &str,
        request: &Outgoing,
        trace: &Trace,
        within: Duration,
    ) -> Sent {
        let Some(host) = self.host.get() else { return Sent::NotBegun("no host".to_owned()) };
        let incoming = Incoming {
            bound: request.path.clone(),
            query: request.query.clone(),
            body: request.body.clone(),
            origin: Origin::Platform,
            sender: Sender::default(),
            language: Language::En,
            trace: Trace::continued(Some(&trace.traceparent()), &*self.random),
            idempotency_key: None,
        };
        let run = deadline::within(within, host.request(request.operation, incoming));
        match tokio::time::timeout(within, run).await {
            Ok(reply) => Sent::Answered(reply.status, reply.body),
            Err(_elapsed) => Sent::Unknown("it didn't answer in time".to_owned()),
        }
    }
}
