//! The ports of one process, with two small domains on them.

mod bus;
mod client;
mod clockwork;
mod keyring;
mod platform;
mod process;
mod smtp;
mod things;
