//! A project on the emulator, for a test that has it to itself.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::Timestamp;
use google::firestore::{DomainStore, Firestore, Patience, Settings};
use runtime::{
    Clock, Key, Store, SystemClock, SystemRandom, Version, Write, conformance::COLLECTIONS,
};
use testing::{
    SeededRandom,
    emulators::{self, Emulator},
};

/// The emulator, if this machine has one.
pub(crate) fn emulator() -> Option<&'static Emulator> {
    emulators::firestore()
}

/// A project that no other test sees, at this host.
pub(crate) fn project(emulator: &Emulator, host: String, patience: Patience) -> Firestore {
    let settings = Settings::of(emulator.project()).at(host).with(patience);
    Firestore::new(settings, Arc::new(SystemClock), Arc::new(SystemRandom))
}

/// A project that no other test sees, at this host, whose pauses are told and not waited for.
pub(crate) fn project_in_no_time(
    emulator: &Emulator,
    host: String,
    chance: u64,
) -> (Firestore, Arc<Pauses>) {
    let (settings, pauses) = (Settings::of(emulator.project()).at(host), Arc::<Pauses>::default());
    let random = Arc::new(SeededRandom::of(chance));
    (Firestore::new(settings, pauses.clone(), random), pauses)
}

/// A clock on which nobody waits.
#[derive(Default)]
pub(crate) struct Pauses(Mutex<Vec<Duration>>);

impl Pauses {
    /// For how long it was to be waited, one time after the other.
    pub(crate) fn told(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for Pauses {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

/// A project that no other test sees.
pub(crate) fn new_project(emulator: &Emulator) -> Firestore {
    project(emulator, emulator.host(), Patience::default())
}

/// A domain of a project.
pub(crate) fn domain(project: &Firestore) -> Arc<DomainStore> {
    project.domain("first", COLLECTIONS).unwrap()
}

/// Where a thing is.
pub(crate) fn thing(id: &str) -> Key {
    Key { collection: "things", id: id.to_owned() }
}

/// Adds a thing.
pub(crate) fn create(id: &str, body: &serde_json::Value) -> Write {
    Write::Create(thing(id), body.to_string())
}

/// What a thing is and its version.
pub(crate) async fn read(store: &DomainStore, id: &str) -> Option<(serde_json::Value, Version)> {
    let record = store.get(&thing(id)).await.unwrap()?;
    Some((serde_json::from_str(&record.body).unwrap(), record.version))
}
