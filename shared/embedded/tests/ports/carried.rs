//! The bus in one process keeps the rules of any bus.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Timestamp;
use embedded::{Inbox, LocalBus, LocalClient, store::Database};
use runtime::{
    Host, Ports, Random, Secret,
    conformance::bus::{self as must, Carried, letters},
    files::NoFiles,
    token::Verifier,
};
use testing::{SeededRandom, StandingClock};

use crate::things::{keyring, settings};

struct Local {
    ports: Arc<Ports>,
    bus: Arc<LocalBus>,
    clock: Arc<StandingClock>,
}

impl Local {
    fn new() -> Self {
        let clock = Arc::new(StandingClock::at(Timestamp::from_millis(1_772_452_800_000)));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::of(1));
        let database = Database::in_memory().unwrap();
        let domain = letters();
        let store = database.domain(domain.name, &domain.collections).unwrap();
        let events = database.domain("bus", LocalBus::COLLECTIONS).unwrap();
        let local = database.domain("local", Inbox::COLLECTIONS).unwrap();
        let bus = Arc::new(LocalBus::new(events, clock.clone(), random.clone()));
        let ports = Arc::new(Ports {
            files: Arc::new(NoFiles("none here")),
            store: store.clone(),
            client: Arc::new(LocalClient::new(random.clone())),
            bus: bus.clone(),
            mail: Arc::new(Inbox::new(local, clock.clone())),
            clock: clock.clone(),
            random,
            keyring: keyring(),
            verifier: Arc::new(Verifier::new(keyring(), "https://aula.example")),
            secret: Arc::new(Secret::new(&[7; 32])),
            settings: Arc::new(settings()),
        });
        let host = Host::new(vec![(domain, ports.clone())], None);
        bus.connect(host, vec![("letters", store)]);
        Self { ports, bus, clock }
    }
}

#[async_trait]
impl Carried for Local {
    fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    async fn pass_time(&self) {
        self.bus.relay().await.unwrap();
        self.clock.advance(600);
        self.bus.redeliver().await.unwrap();
    }

    async fn given_up(&self) -> usize {
        self.bus.dead_letters(100, None).await.unwrap().items.len()
    }

    async fn replay(&self) {
        for letter in self.bus.dead_letters(100, None).await.unwrap().items {
            self.bus.replay(&letter.id).await.unwrap();
        }
    }
}

macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            must::$rule(&Local::new()).await;
        }
    )+};
}

runtime::bus_rules!(tests);
