//! The server as it runs on a laptop: a process of its own, talked to over HTTP
//! by a client of a few lines.

mod client;
mod issuer;
mod mail;
mod people;
mod said;
mod secrets;
pub mod server;

pub use client::{Answer, Client};
pub use issuer::Issuer;
pub use people::{ADMIN_EMAIL, PASSWORD, Person};
pub use said::Said;
pub use server::{Options, Server};

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until something is there, for a minute at most.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_mins(1), what, look)
}

/// Waits until something is there: what happens in another process can only be
/// looked for again and again.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < patience, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
