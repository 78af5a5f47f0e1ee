//! Firestore does what any store must, on its emulator. What only a network
//! can do to it, a proxy in front of the emulator does.

mod aborted;
mod contention;
mod emulator;
mod lines;
mod network;
mod proxy;
mod rules;
mod scan;
