//! Events, carried when the test says so.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::Event;
use runtime::{Bus, Envelope, Host, Ports, Trace};

/// An event of another domain that has just happened, as the bus carries it.
pub(crate) fn envelope<E: Event>(event: &E, ports: &Ports) -> Envelope {
    let (source, _) = E::TYPE.split_once('.').expect("an event is domain.fact.vN");
    let trace = Trace::continued(None, &*ports.random);
    Envelope {
        id: ports.random.id(),
        kind: E::TYPE.to_owned(),
        source: source.to_owned(),
        subject: event.subject(),
        emitted_at: ports.clock.now(),
        traceparent: trace.traceparent(),
        correlation_id: trace.trace_id.to_string(),
        causation_id: trace.span_id.to_string(),
        data: serde_json::value::to_raw_value(event).expect("events are JSON"),
    }
}

/// The bus that the domain sees: it only notes what was told.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<Envelope>>);

impl Told {
    /// Everything that was told, in the order of the commits.
    pub(crate) fn events(&self) -> Vec<Envelope> {
        self.0.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl Bus for Told {
    async fn committed(&self, _: &'static str, events: &[Envelope]) {
        self.0.lock().expect("no holder panics").extend_from_slice(events);
    }

    async fn publish(&self, _: &[Envelope]) -> anyhow::Result<()> {
        anyhow::bail!("a function doesn't publish: it commits, and the relay publishes")
    }
}

/// The bus that the relay sees: it hands events to the domain's own
/// subscribers, one after the other, and keeps what failed.
pub(crate) struct Courier {
    pub(crate) host: Host,
    pub(crate) failed: Mutex<Vec<Failed>>,
}

/// An event that a subscriber couldn't take.
pub(crate) struct Failed {
    pub(crate) subscriber: String,
    pub(crate) event: Arc<Envelope>,
    pub(crate) because: String,
}

impl Courier {
    pub(crate) async fn hand_over(&self, subscriber: String, event: Arc<Envelope>) {
        if let Err(error) = self.host.deliver(&subscriber, event.clone()).await {
            let because = crate::app::chain(error);
            let failed = Failed { subscriber, event, because };
            self.failed.lock().expect("no holder panics").push(failed);
        }
    }
}

#[async_trait]
impl Bus for Courier {
    async fn committed(&self, _: &'static str, _: &[Envelope]) {}

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        for event in events {
            let subscribers: Vec<_> =
                self.host.subscribers(&event.kind).map(str::to_owned).collect();
            for subscriber in subscribers {
                self.hand_over(subscriber, Arc::new(event.clone())).await;
            }
        }
        Ok(())
    }
}
