//! Dead letters: what a subscriber couldn't take, however often it was tried.
//! They can be looked at, and replayed to that subscriber.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::Envelope;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    message::{Names, ONLY, WrappedMessage},
    rest::Rest,
};
use crate::{Http, identity::Metadata};

/// An event that a subscriber couldn't take.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message's id, to replay it.
    pub id: String,
    /// The service of the subscriber that couldn't take it.
    pub service: String,
    /// How often it was tried, if that's told.
    pub attempts: Option<u32>,
    /// The event; or why it isn't one.
    pub event: Result<Envelope, String>,
    message: Message,
}

#[derive(Clone, Debug)]
struct Message {
    ack_id: String,
    data: String,
    attributes: HashMap<String, String>,
}

/// The dead letters of the platform.
pub struct DeadLetters {
    names: Names,
    rest: Rest,
}

#[derive(Deserialize)]
struct Pulled {
    #[serde(default, rename = "receivedMessages")]
    received: Vec<Received>,
}

#[derive(Deserialize)]
struct Received {
    #[serde(rename = "ackId")]
    ack_id: String,
    message: WrappedMessage,
}

/// How many are pulled at once.
const BATCH: usize = 100;

/// How often nothing may be pulled before there's nothing: a pull may come back
/// empty though something waits.
const EMPTY_PULLS: u32 = 3;

impl DeadLetters {
    /// Those that an emulator keeps.
    pub fn on_emulator(names: Names, host: &str) -> Self {
        let rest = Rest { base: format!("http://{host}"), http: Arc::default(), metadata: None };
        Self { names, rest }
    }

    /// Those that Pub/Sub keeps, looked at as who the metadata server says.
    pub fn on_google(names: Names, http: Arc<Http>, metadata: Arc<Metadata>) -> Self {
        let base = "https://pubsub.googleapis.com".to_owned();
        Self { names, rest: Rest { base, http, metadata: Some(metadata) } }
    }

    /// Looks at some of them; they stay where they are.
    pub async fn list(&self, most: usize) -> anyhow::Result<Vec<DeadLetter>> {
        let letters = self.pull(most).await?;
        self.give_back(&letters).await?;
        Ok(letters)
    }

    /// Replays those that are `wanted`, of some: each is published once more,
    /// for the subscriber that couldn't take it alone. Gives back how many.
    pub async fn replay(
        &self,
        most: usize,
        wanted: impl Fn(&DeadLetter) -> bool,
    ) -> anyhow::Result<usize> {
        let letters = self.pull(most).await?;
        let (wanted, others): (Vec<_>, Vec<_>) = letters.into_iter().partition(wanted);
        self.give_back(&others).await?;
        let mut replayed = 0;
        for letter in &wanted {
            // What is no event has no topic to go to: it stays, to be looked at.
            let Ok(event) = &letter.event else { continue };
            let topic = self.names.topic(&event.kind);
            self.publish(&topic, letter).await?;
            // Only now: a crash in between replays it twice, and that is allowed.
            self.acknowledge(letter).await?;
            replayed += 1;
        }
        Ok(replayed)
    }

    async fn pull(&self, most: usize) -> anyhow::Result<Vec<DeadLetter>> {
        let subscription = self.names.dead_letters();
        let (mut letters, mut empty) = (Vec::new(), 0);
        while letters.len() < most && empty < EMPTY_PULLS {
            let wanted = (most - letters.len()).min(BATCH);
            let request = json!({ "maxMessages": wanted, "returnImmediately": true });
            let pulled: Pulled = self.rest.post(&subscription, "pull", &request).await?;
            if pulled.received.is_empty() {
                empty += 1;
            }
            letters.extend(pulled.received.into_iter().map(|it| self.letter(it)));
        }
        Ok(letters)
    }

    fn letter(&self, received: Received) -> DeadLetter {
        let Received { ack_id, message } = received;
        let (data, attributes) = (message.data.clone(), message.attributes.clone());
        let attribute = |name: &str| attributes.get(&format!("CloudPubSubDeadLetter{name}"));
        let subscription = attribute("SourceSubscription").map_or("", String::as_str);
        DeadLetter {
            id: message.message_id.clone(),
            service: self.names.service(subscription).unwrap_or(subscription).to_owned(),
            attempts: attribute("SourceDeliveryCount").and_then(|it| it.parse().ok()),
            event: message.read().event,
            message: Message { ack_id, data, attributes },
        }
    }

    async fn publish(&self, topic: &str, letter: &DeadLetter) -> anyhow::Result<()> {
        let mut attributes = letter.message.attributes.clone();
        attributes.retain(|name, _| !name.starts_with("CloudPubSubDeadLetter"));
        attributes.insert(ONLY.to_owned(), letter.service.clone());
        let message = json!({ "data": letter.message.data, "attributes": attributes });
        let published: Value =
            self.rest.post(topic, "publish", &json!({ "messages": [message] })).await?;
        published["messageIds"][0].as_str().context("Pub/Sub names what it has taken")?;
        Ok(())
    }

    async fn acknowledge(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        let request = json!({ "ackIds": [letter.message.ack_id] });
        let subscription = self.names.dead_letters();
        self.rest.post::<Value>(&subscription, "acknowledge", &request).await.map(drop)
    }

    /// Lets others have them again, at once.
    async fn give_back(&self, letters: &[DeadLetter]) -> anyhow::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = letters.iter().map(|it| &it.message.ack_id).collect();
        let request = json!({ "ackIds": ids, "ackDeadlineSeconds": 0 });
        let subscription = self.names.dead_letters();
        self.rest.post::<Value>(&subscription, "modifyAckDeadline", &request).await.map(drop)
    }
}

impl DeadLetter {
    /// What its content is, as bytes.
    pub fn content(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.message.data).unwrap_or_default()
    }
}
