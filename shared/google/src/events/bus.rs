//! Publishing: what a function has committed goes out within its request, and
//! what couldn't is relayed by a job.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::future::try_join_all;
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher},
    model::Message,
};
use runtime::{Bus, Envelope, Key, Store, Write};
use tokio::{sync::OnceCell, time::timeout};

use super::message::{Names, attributes};

/// How long events may take to be published within a request; then it's
/// answered, and they wait for the relay.
const WITHIN: Duration = Duration::from_secs(5);

/// How long messages gather before they're sent: someone waits.
const GATHER: Duration = Duration::from_millis(1);

/// The bus of one domain, over Pub/Sub. It is connected when there's something
/// to publish.
pub struct PubSubBus {
    names: Names,
    emulator: Option<String>,
    store: Arc<dyn Store>,
    base: OnceCell<BasePublisher>,
    topics: Mutex<HashMap<String, Publisher>>,
}

impl PubSubBus {
    /// The bus of the domain that has this store; on an emulator, if there's one.
    pub fn new(names: Names, emulator: Option<String>, store: Arc<dyn Store>) -> Self {
        Self { names, emulator, store, base: OnceCell::new(), topics: Mutex::default() }
    }

    async fn base(&self) -> anyhow::Result<&BasePublisher> {
        let connect = || async {
            let builder = BasePublisher::builder();
            let builder = match &self.emulator {
                Some(host) => builder
                    .with_endpoint(format!("http://{host}"))
                    .with_credentials(anonymous::Builder::new().build()),
                None => builder,
            };
            builder.build().await.context("Pub/Sub can't be used")
        };
        self.base.get_or_try_init(connect).await
    }

    /// What publishes to the topic of a type of event.
    async fn topic(&self, kind: &str) -> anyhow::Result<Publisher> {
        let base = self.base().await?;
        let mut topics = self.topics.lock().expect("no holder panics");
        let open = || base.publisher(self.names.topic(kind)).set_delay_threshold(GATHER).build();
        Ok(topics.entry(kind.to_owned()).or_insert_with(open).clone())
    }

    async fn publish_one(&self, event: &Envelope) -> anyhow::Result<()> {
        let topic = self.topic(&event.kind).await?;
        let message =
            Message::new().set_data(event.data.get().to_owned()).set_attributes(attributes(event));
        topic.publish(message).await.map(drop).map_err(|error| {
            // Once its worker has died, a publisher publishes nothing any more.
            self.topics.lock().expect("no holder panics").remove(&event.kind);
            anyhow::anyhow!("publishing {}: {error}", event.kind)
        })
    }

    /// Publishes what has just been committed, and takes it out of the outbox.
    async fn relay(&self, events: &[Envelope]) -> anyhow::Result<()> {
        let rows = events.iter().map(|event| async {
            let key = Key::of::<Envelope>(&event.id);
            Ok(self.store.get(&key).await?.map(|row| Write::Delete(key, row.version)))
        });
        // Whoever is the first to relay a row removes it; so most rows are there.
        let ((), rows) = futures_util::try_join!(self.publish(events), try_join_all(rows))?;
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        if !rows.is_empty() {
            // Lost to the relay: then it has published them too, and that is allowed.
            let _lost = self.store.commit(rows).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for PubSubBus {
    async fn committed(&self, domain: &'static str, events: &[Envelope]) {
        let error = match timeout(WITHIN, self.relay(events)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_elapsed) => format!("it took more than {} s", WITHIN.as_secs()),
        };
        // They're safe: the relay job publishes them within a minute or two.
        tracing::warn!(domain, error, "events wait in the outbox");
    }

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        try_join_all(events.iter().map(|event| self.publish_one(event))).await.map(drop)
    }
}
