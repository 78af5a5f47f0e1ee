//! Pub/Sub keeps the rules of any bus: its emulator pushes to a container that
//! really listens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use google::{DeadLetters, Names, Platform, lay_out};
use runtime::{
    Parked, Ports, Query,
    conformance::bus::{self as must, Carried, letters},
};
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
