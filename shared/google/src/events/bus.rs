//! Publishing: what a function has committed goes out within its request, and
//! what couldn't is relayed by a job.
//!
//! It goes over REST, by the client that a container has for everything else: a
//! function needs one call, and the official client would bring a second stack
//! for it. What that would do is to try again, and so it's done here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::try_join_all;
use runtime::{Bus, Envelope, Key, Store, Write};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{
    message::{Names, attributes},
    rest::Rest,
};
use crate::{
    Http,
    figures::Figures,
    identity::Metadata,
    spans::{Attribute, Kind, Spans},
};

/// How long events may take to be published within a request; then it's
/// answered, and they wait for the relay.
const WITHIN: Duration = Duration::from_secs(5);

/// How long to wait before it's tried again: an event that is published twice is
/// taken once, and one that isn't waits a minute.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// How much is published with one call, in bytes: Pub/Sub takes ten megabytes.
const MOST: usize = 7 << 20;

/// The bus of one domain, over Pub/Sub. It is connected when there's something
/// to publish.
pub struct PubSubBus {
    names: Names,
    rest: Rest,
    store: Arc<dyn Store>,
    spans: Option<Arc<Spans>>,
    figures: Option<Arc<Figures>>,
}

#[derive(Serialize)]
struct Messages {
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    data: String,
    attributes: BTreeMap<&'static str, String>,
}

impl Message {
    fn of(event: &Envelope) -> Self {
        let data = BASE64_STANDARD.encode(event.data.get());
        Self { data, attributes: attributes(event).into_iter().collect() }
    }

    fn weight(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len() + 8);
        self.data.len() + attributes.sum::<usize>()
    }
}

/// What Pub/Sub answers.
#[derive(Deserialize)]
struct Published {
    #[serde(default, rename = "messageIds")]
    message_ids: Vec<String>,
}

impl PubSubBus {
    /// The bus of the domain that has this store; on an emulator, if there's one.
    pub fn new(
        names: Names,
        emulator: Option<&str>,
        http: Arc<Http>,
        metadata: Arc<Metadata>,
        store: Arc<dyn Store>,
    ) -> Self {
        let rest = Rest::of_container(emulator, http, metadata);
        Self { names, rest, store, spans: None, figures: None }
    }

    /// The same, where what is published is a step of the trace.
    #[must_use]
    pub(crate) fn watched_by(self, spans: Option<Arc<Spans>>) -> Self {
        Self { spans, ..self }
    }

    /// The same, where what is published is counted.
    #[must_use]
    pub(crate) fn counted_in(self, figures: Option<Arc<Figures>>) -> Self {
        Self { figures, ..self }
    }

    async fn publish_unwatched(&self, events: &[Envelope]) -> anyhow::Result<()> {
        let mut kinds = BTreeMap::<&str, Vec<&Envelope>>::new();
        for event in events {
            kinds.entry(&event.kind).or_default().push(event);
        }
        let publishing = kinds.into_iter().map(|(kind, events)| self.publish_all(kind, events));
        try_join_all(publishing).await.map(drop)
    }

    /// Publishes events of one type.
    async fn publish_all(&self, kind: &str, events: Vec<&Envelope>) -> anyhow::Result<()> {
        let topic = self.names.topic(kind);
        for messages in batches(events.into_iter().map(Message::of)) {
            let count = messages.len();
            let published = self.post(&topic, &Messages { messages }).await;
            published.with_context(|| format!("publishing {kind}"))?;
            if let Some(figures) = &self.figures {
                figures.published(kind, count);
            }
        }
        Ok(())
    }

    async fn post(&self, topic: &str, messages: &Messages) -> anyhow::Result<()> {
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.rest.post::<Published>(topic, "publish", messages).await {
                Ok(published) => {
                    let all = published.message_ids.len() == messages.messages.len();
                    ensure!(all, "Pub/Sub didn't take all");
                    return Ok(());
                }
                Err(error) => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Publishes what has just been committed, and takes it out of the outbox.
    async fn relay(&self, events: &[Envelope]) -> anyhow::Result<()> {
        let keys: Vec<_> = events.iter().map(|it| Key::of::<Envelope>(&it.id)).collect();
        // Whoever is the first to relay a row removes it; so most rows are there.
        let ((), rows) = futures_util::try_join!(self.publish(events), self.store.get_all(&keys))?;
        let rows = keys.into_iter().zip(rows);
        let rows: Vec<_> =
            rows.filter_map(|(key, row)| Some(Write::Delete(key, row?.version))).collect();
        if !rows.is_empty() {
            // Lost to the relay: then it has published them too, and that is allowed.
            let _lost = self.store.commit(rows).await?;
        }
        Ok(())
    }
}

/// Messages in batches that Pub/Sub takes with one call.
fn batches(messages: impl Iterator<Item = Message>) -> Vec<Vec<Message>> {
    let (mut batches, mut weight) = (Vec::<Vec<_>>::new(), 0);
    for message in messages {
        weight += message.weight();
        if let Some(batch) = batches.last_mut().filter(|_| weight <= MOST) {
            batch.push(message);
        } else {
            weight = message.weight();
            batches.push(vec![message]);
        }
    }
    batches
}

#[async_trait]
impl Bus for PubSubBus {
    async fn committed(&self, domain: &'static str, events: &[Envelope]) {
        if events.is_empty() {
            return;
        }
        let error = match timeout(WITHIN, self.relay(events)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_elapsed) => format!("it took more than {} s", WITHIN.as_secs()),
        };
        // They're safe: the relay job publishes them within a minute or two.
        tracing::warn!(domain, error, "events wait in the outbox");
    }

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        let below = self.spans.as_ref().and_then(|spans| Some((spans, spans.below()?)));
        let Some((spans, trace)) = below else { return self.publish_unwatched(events).await };
        let began = spans.begin();
        let published = self.publish_unwatched(events).await;
        let attributes = vec![
            Attribute::new("messaging.system", "gcp_pubsub"),
            Attribute::new("messaging.operation.type", "send"),
            Attribute::new("messaging.batch.message_count", events.len()),
        ];
        spans.end(&began, &trace, ("publish", Kind::Producer), attributes, published.is_ok());
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_carries_no_more_than_pubsub_takes() {
        let message = |size: usize| Message { data: "x".repeat(size), attributes: <_>::default() };
        let sizes = [MOST - 10, 10, 1, MOST + 1, 5, 5];
        let batches = batches(sizes.into_iter().map(message));
        let told: Vec<Vec<_>> =
            batches.iter().map(|it| it.iter().map(Message::weight).collect()).collect();
        assert_eq!(told, [vec![MOST - 10, 10], vec![1], vec![MOST + 1], vec![5, 5]]);
    }
}
