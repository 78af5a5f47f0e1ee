//! Events over Pub/Sub: how they are published, pushed to their subscribers,
//! and what becomes of those that nobody can take.

mod bus;
mod dead_letters;
mod layout;
mod message;
mod push;
mod rest;

pub use self::{
    bus::PubSubBus,
    dead_letters::{DeadLetter, DeadLetters, parked_event},
    layout::lay_out,
    message::Names,
};
pub(crate) use push::{Receiver, router};
