//! A domain as a container: events over the Pub/Sub emulator, and who may call,
//! against a local stand-in for what Google knows.

mod bus;
mod courier;
mod google;
mod keys;
mod log;
mod outage;
mod peers;
mod process;
mod push;
mod serving;
mod slow;
mod spans;
mod stock;
