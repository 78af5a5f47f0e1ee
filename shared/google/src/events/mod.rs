//! Events over Pub/Sub: how they are published, pushed to their subscribers,
//! and what becomes of those that nobody can take.

mod bus;
#[cfg(feature = "tools")]
mod dead_letters;
mod layout;
mod message;
mod push;
mod rest;

#[cfg(feature = "tools")]
pub use self::dead_letters::{DeadLetter, DeadLetters, parked_event};
pub use self::{bus::PubSubBus, layout::lay_out, message::Names};
pub(crate) use push::{Receiver, router};
