//! The ports in one process: documents in `SQLite`, a bus without a wire, mail
//! in an inbox, files in a folder, keys in files. [`Platform`] puts them together for some domains.

mod bus;
mod client;
mod clockwork;
mod files;
mod inbox;
mod keyring;
mod platform;
mod smtp;
pub mod store;

pub use self::smtp::Smtp;
pub use bus::{DeadLetter, LocalBus, Waiting};
pub use client::LocalClient;
pub use clockwork::Clockwork;
pub use files::LocalFiles;
pub use inbox::{Inbox, Letter};
pub use keyring::{FileKeyring, secret};
pub use platform::{Options, Platform};
pub use runtime::{SystemClock, SystemRandom};
