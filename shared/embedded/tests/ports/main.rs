//! The ports of one process, with two small domains on them.

mod answers;
mod bus;
mod carried;
mod client;
mod clockwork;
mod keyring;
mod platform;
mod process;
mod smtp;
mod things;
