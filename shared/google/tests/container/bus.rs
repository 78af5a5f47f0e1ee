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
    _container: Container,
}

impl Pushed {
    async fn new() -> Option<Self> {
        let emulator = emulators::pubsub()?;
        let (project, host) = (emulator.project(), emulator.host());
        let domain = letters();
        let set = [
            ("GOOGLE_CLOUD_PROJECT", project.as_str()),
            ("PUBSUB_EMULATOR_HOST", host.as_str()),
            ("AULA_TOPICS_PREFIX", "test-"),
            ("AULA_UNSIGNED_PUSH", "true"),
        ];
        let store = store(&domain);
        let platform = Platform::on(environment(&domain, &set), domain, store.clone());
        let container = Container::serve(&platform, store).await;
        let names = Names::new(&project, "test-");
        lay_out(&host, &names, &[letters()], |_| container.url.clone()).await.unwrap();
        let served = platform.host().function("letters.relay").unwrap();
        Some(Self {
            ports: served.ports.clone(),
            dead_letters: DeadLetters::on_emulator(names, &host),
            _container: container,
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
