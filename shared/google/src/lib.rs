//! The ports on Google's engines: documents in Firestore, events over Pub/Sub,
//! files in Cloud Storage, keys and identity from the platform. [`run`] makes a
//! domain a container of Cloud Run.

mod client;
mod environment;
mod events;
pub mod firestore;
mod http;
mod identity;
mod peers;
mod platform;
mod run;

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Conflict, Domain, Key, Query, Record, Rows, Store, Write};

pub use client::ServiceClient;
pub use environment::{Environment, Faults, PlatformSecret};
pub use events::{DeadLetter, DeadLetters, Names, PubSubBus, lay_out};
pub use http::Http;
pub use identity::{Callers, CloudKeyring, GoogleTokens, KeySet, Metadata, SigningKey};
pub use peers::Peers;
pub use platform::Platform;
pub use run::run;

fn store(_: &Environment, _: &Domain) -> Arc<dyn Store> {
    Arc::new(NoStore)
}

struct NoStore;

#[async_trait]
impl Store for NoStore {
    async fn get(&self, _: &Key) -> anyhow::Result<Option<Record>> {
        anyhow::bail!("there's no store yet")
    }
    async fn query(&self, _: &Query) -> anyhow::Result<Rows> {
        anyhow::bail!("there's no store yet")
    }
    async fn count(&self, _: &Query) -> anyhow::Result<u64> {
        anyhow::bail!("there's no store yet")
    }
    async fn commit(&self, _: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        anyhow::bail!("there's no store yet")
    }
}
