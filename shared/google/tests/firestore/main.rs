//! Firestore does what any store must, on its emulator. What only a network
//! can do to it, a proxy in front of the emulator does.

mod contention;
mod emulator;
mod network;
mod proxy;
mod rules;
mod scan;
