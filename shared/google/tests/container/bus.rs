//! Pub/Sub keeps the rules of any bus: its emulator pushes to a container that
//! really listens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use google::{DeadLetters, Names, Platform, lay_out, parked_event};
use runtime::{
    Parked, Ports, Query,
    conformance::bus::{self as must, Carried, letters},
};
use serde_json::json;
use testing::emulators;

use crate::serving::{Container, environment, store};

struct Pushed {
    ports: Arc<Ports>,
    dead_letters: DeadLetters,
    container: Container,
}

impl Pushed {
    /// On a store that is quick.
    async fn new() -> Option<Self> {
        Self::on(None).await
    }

    /// On Firestore, if there's an emulator at a host.
    async fn on(firestore: Option<&str>) -> Option<Self> {
        let emulator = emulators::pubsub()?;
        let (project, host) = (emulator.project(), emulator.host());
        let domain = letters();
        let set = [
            ("GOOGLE_CLOUD_PROJECT", project.as_str()),
            ("PUBSUB_EMULATOR_HOST", host.as_str()),
            ("AULA_TOPICS_PREFIX", "test-"),
            ("AULA_UNSIGNED_PUSH", "true"),
            ("FIRESTORE_EMULATOR_HOST", firestore.unwrap_or_default()),
        ];
        let environment = environment(&domain, &set);
        let store = store(&domain);
        let platform = match firestore {
            Some(_) => Platform::new(environment, domain).unwrap(),
            None => Platform::on(environment, domain, store.clone()),
        };
        let container = Container::serve(&platform, store).await;
        let names = Names::new(&project, "test-");
        lay_out(&host, &names, &[letters()], |_| container.url.clone()).await.unwrap();
        let served = platform.host().function("letters.relay").unwrap();
        Some(Self {
            ports: served.ports.clone(),
            dead_letters: DeadLetters::on_emulator(names, &host),
            container,
        })
    }
}

#[async_trait]
impl Carried for Pushed {
    fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    /// Nothing tells when the emulator has given up, or pushed for the last time:
    /// the rules look again after this long, and not for ever.
    async fn pass_time(&self) {
        self.ports.clock.sleep(Duration::from_millis(100)).await;
    }

    async fn given_up(&self) -> usize {
        let parked = Query::descending::<Parked>("parked_at");
        let parked = self.ports.store.count(&parked).await.unwrap();
        let letters = self.dead_letters.list(100).await.unwrap();
        letters.len() + usize::try_from(parked).unwrap()
    }

    async fn replay(&self) {
        self.dead_letters.replay(100, |_| true).await.unwrap();
    }
}

macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let Some(pushed) = Pushed::new().await else { return };
            must::$rule(&pushed).await;
        }
    )+};
}

runtime::bus_rules!(tests);

#[tokio::test]
async fn a_container_keeps_its_documents_in_firestore() {
    let Some(firestore) = emulators::firestore() else { return };
    let Some(pushed) = Pushed::on(Some(&firestore.host())).await else { return };
    let seen = runtime::Key { collection: "seen", id: "a".to_owned() };
    // An emulator that has just started is slow at first, and nothing of ours.
    assert!(pushed.ports.store.get(&seen).await.unwrap().is_none());
    must::what_a_subscriber_tells_is_carried_too(&pushed).await;
    assert!(pushed.ports.store.get(&seen).await.unwrap().is_some());
    assert!(pushed.container.store.get(&seen).await.unwrap().is_none(), "it's nowhere else");
}

#[tokio::test]
async fn what_was_parked_can_be_replayed_to_its_subscriber() {
    let Some(pushed) = Pushed::new().await else { return };
    // It's kept as it was pushed, and read again by a version that understands it.
    let data = BASE64_STANDARD.encode(json!({ "id": "a", "act": "Take", "text": "" }).to_string());
    let attributes = json!({
        "ce-id": "e1",
        "ce-type": "letters.sent.v1",
        "ce-source": "letters",
        "ce-time": "2026-03-02T12:00:00.000Z",
    });
    let arrived = json!({ "message": { "data": data, "attributes": attributes } }).to_string();
    let now = pushed.ports.clock.now();
    let parked = Parked::new("letters.on_letters_sent", "it was too new", &arrived, now);
    assert_eq!(parked_event(&parked).unwrap().id, "e1");
    pushed.dead_letters.replay_parked(&parked, "letters.sent.v1").await.unwrap();
    let seen = runtime::Key { collection: "seen", id: "a".to_owned() };
    let mut looks = 0;
    while pushed.ports.store.get(&seen).await.unwrap().is_none() {
        looks += 1;
        assert!(looks < 400, "it was replayed, and never arrived");
        pushed.pass_time().await;
    }

    let nonsense = Parked::new("letters.on_letters_sent", "it's nonsense", "nonsense", now);
    assert!(parked_event(&nonsense).is_err());
    let refused = pushed.dead_letters.replay_parked(&nonsense, "letters.sent.v1").await;
    assert!(refused.unwrap_err().to_string().starts_with("it isn't a push of Pub/Sub"));
}
