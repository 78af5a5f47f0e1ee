//! Dead letters: what a subscriber couldn't take, however often it was tried; and
//! what was parked, because it can never be. Both can be looked at, and replayed
//! to that subscriber alone.
//!
//! An operator's tool: it publishes by the official client, and pulls over REST.

use std::{collections::HashMap, sync::Mutex};

use anyhow::Context as _;
use base64::{Engine, prelude::BASE64_STANDARD};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher},
    model::Message as Outgoing,
};
use runtime::{Envelope, Parked, service_name};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    message::{Names, ONLY, WrappedMessage, read_wrapped},
    rest::Rest,
};

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
    emulator: Option<String>,
    base: OnceCell<BasePublisher>,
    topics: Mutex<HashMap<String, Publisher>>,
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
        Self::on(names, Rest::on_emulator(host), Some(host.to_owned()))
    }

    /// Those that Pub/Sub keeps, looked at as who is signed in on this machine.
    pub fn on_google(names: Names) -> anyhow::Result<Self> {
        Ok(Self::on(names, Rest::of_operator()?, None))
    }

    fn on(names: Names, rest: Rest, emulator: Option<String>) -> Self {
        Self { names, rest, emulator, base: OnceCell::new(), topics: Mutex::default() }
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
            let message = &letter.message;
            let (data, attributes) = (letter.content(), message.attributes.clone());
            self.publish(&event.kind, &letter.service, data, attributes).await?;
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

    /// Replays what was parked, to the subscriber that it was parked for alone; it
    /// subscribes to events of this type. It stays parked: whoever parked it has it.
    pub async fn replay_parked(&self, parked: &Parked, kind: &str) -> anyhow::Result<()> {
        let message = read_wrapped(parked.arrived.as_bytes()).map_err(anyhow::Error::msg)?;
        let data = BASE64_STANDARD.decode(&message.data).context("it isn't Base64")?;
        let service = service_name(&parked.subscriber);
        self.publish(kind, &service, data, message.attributes).await
    }

    /// Publishes something to the topic of a type of event, for one subscriber.
    async fn publish(
        &self,
        kind: &str,
        service: &str,
        data: Vec<u8>,
        mut attributes: HashMap<String, String>,
    ) -> anyhow::Result<()> {
        attributes.retain(|name, _| !name.starts_with("CloudPubSubDeadLetter"));
        attributes.insert(ONLY.to_owned(), service.to_owned());
        let message = Outgoing::new().set_data(data).set_attributes(attributes);
        let published = self.topic(kind).await?.publish(message).await;
        published.map(drop).map_err(|error| anyhow::anyhow!("publishing {kind}: {error}"))
    }

    async fn topic(&self, kind: &str) -> anyhow::Result<Publisher> {
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
        let base = self.base.get_or_try_init(connect).await?;
        let mut topics = self.topics.lock().expect("no holder panics");
        let open = || base.publisher(self.names.topic(kind)).build();
        Ok(topics.entry(kind.to_owned()).or_insert_with(open).clone())
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

/// The event that was parked; or why it isn't one.
pub fn parked_event(parked: &Parked) -> Result<Envelope, String> {
    read_wrapped(parked.arrived.as_bytes())?.read().event
}
