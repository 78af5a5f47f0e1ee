//! A project on the emulator, for a test that has it to itself.

use std::sync::Arc;

use google::firestore::{DomainStore, Firestore, Patience, Settings};
use runtime::{Key, Store, SystemClock, SystemRandom, Version, Write, conformance::COLLECTIONS};
use testing::emulators::{self, Emulator};

/// The emulator, if this machine has one.
pub(crate) fn emulator() -> Option<&'static Emulator> {
    emulators::firestore()
}

/// A project that no other test sees, at this host.
pub(crate) fn project(emulator: &Emulator, host: String, patience: Patience) -> Firestore {
    let settings = Settings::of(emulator.project()).at(host).with(patience);
    Firestore::new(settings, Arc::new(SystemClock), Arc::new(SystemRandom))
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
