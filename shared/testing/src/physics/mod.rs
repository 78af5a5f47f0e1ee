//! A database with Firestore's physics: how long a rush for seats would take
//! where the platform runs in the cloud, in a time that passes only while
//! somebody waits for it.
//!
//! The embedded store and the emulator are as fast as this machine; neither
//! shows what a single document that everybody writes does to people in the
//! cloud. What is modelled is what Google publishes, taken at its strictest:
//!
//! - a document takes one write a second
//!   ([best practices](https://firebase.google.com/docs/firestore/best-practices));
//! - a collection that is new takes 500 writes a second, and half as many more
//!   after each five minutes (the "500/50/5" rule of the same page);
//! - a commit takes 30 to 50 ms and a read 10, within a region;
//! - a commit whose precondition fails costs the time to be told so.
//!
//! A real database takes short bursts beyond that. So what the model shows is an
//! upper bound, and the same for all who are compared in it.

mod database;
mod rush;
mod time;

pub use rush::{Came, Rush};
