//! The ports on Google's engines: documents in Firestore, events over Pub/Sub,
//! files in Cloud Storage, keys and identity from the platform. [`run`] makes a
//! domain a container of Cloud Run.

mod client;
mod environment;
mod events;
mod figures;
pub mod firestore;
mod http;
mod identity;
mod peers;
mod platform;
mod run;
mod spans;
#[cfg(feature = "files")]
pub mod storage;

pub use client::ServiceClient;
pub use environment::{Environment, Faults, PlatformSecret};
#[cfg(feature = "tools")]
pub use events::{DeadLetter, DeadLetters, parked_event};
pub use events::{Names, PubSubBus, lay_out};
pub use http::Http;
pub use identity::{Callers, CloudKeyring, GoogleTokens, Metadata, RemoteKeys, SigningKey};
pub use peers::Peers;
pub use platform::Platform;
pub use run::run;
