//! A domain as a container: events over the Pub/Sub emulator, and who may call,
//! against a local stand-in for what Google knows.

mod bus;
mod google;
mod keys;
mod log;
mod peers;
mod process;
mod push;
mod serving;
mod spans;
