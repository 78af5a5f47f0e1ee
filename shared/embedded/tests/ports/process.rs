//! A process with a bus, and nothing that runs by itself.

use std::sync::Arc;

use embedded::{DeadLetter, Inbox, LocalBus, LocalClient, store::Database};
use runtime::{Clock, Host, Ports, Random, Secret, Store, files::NoFiles, token::Verifier};
use testing::SeededRandom;

use crate::things::{Beside, domains, keyring, settings};

/// What outlives a process.
pub struct Disk {
    things: Arc<dyn Store>,
    people: Arc<dyn Store>,
    bus: Arc<dyn Store>,
    local: Arc<dyn Store>,
}

impl Disk {
    pub fn new() -> Self {
        let database = Database::in_memory().unwrap();
        let mut domains = domains().into_iter().map(|domain| {
            database.domain(domain.name, &domain.collections).unwrap() as Arc<dyn Store>
        });
        Self {
            things: domains.next().unwrap(),
            people: domains.next().unwrap(),
            bus: database.domain("bus", LocalBus::COLLECTIONS).unwrap(),
            local: database.domain("local", Inbox::COLLECTIONS).unwrap(),
        }
    }
}

/// A process with a bus.
pub struct Process {
    pub bus: Arc<LocalBus>,
    pub ports: Arc<Ports>,
    pub host: Host,
    pub beside: Beside,
}

impl Process {
    pub fn start(disk: &Disk, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let random: Arc<dyn Random> = Arc::new(SeededRandom::of(seed));
        let bus = Arc::new(LocalBus::new(disk.bus.clone(), clock.clone(), random.clone()));
        let ports = Ports {
            files: Arc::new(NoFiles("none here")),
            store: disk.things.clone(),
            client: Arc::new(LocalClient::new(random.clone())),
            bus: bus.clone(),
            mail: Arc::new(Inbox::new(disk.local.clone(), clock.clone())),
            clock,
            random,
            keyring: keyring(),
            verifier: Arc::new(Verifier::new(keyring(), "https://aula.example")),
            secret: Arc::new(Secret::new(&[7; 32])),
            settings: Arc::new(settings()),
        };
        let ports = Arc::new(ports);
        let of_people = Arc::new(Ports { store: disk.people.clone(), ..Ports::clone(&ports) });
        let hosted = domains().into_iter().zip([ports.clone(), of_people]).collect();
        let outboxes = vec![("things", disk.things.clone()), ("people", disk.people.clone())];
        let host = Host::new(hosted, None);
        bus.connect(host.clone(), outboxes);
        Self { bus, beside: Beside::new(&ports), ports, host }
    }

    pub async fn waits(&self) -> (u64, u64, u64) {
        let waiting = self.bus.waiting().await.unwrap();
        (waiting.events, waiting.deliveries, waiting.dead_letters)
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.bus.dead_letters(10, None).await.unwrap().items
    }
}
