//! The simulator: domains in a world of one thread, where chance or a search
//! decides who goes on, and what fails.
//!
//! A function sees the world only through its ports, so whole domains run on
//! simulated ones ([`World`]): each call of a port waits at a gate until it's
//! let through. [`storm`] lets one after the other through as a seed's chance
//! has it, and meanwhile fails calls, loses answers, repeats and delays
//! deliveries and kills processes. [`explore`](explore()) tries every order
//! that may make a difference in a small world without faults,
//! [`search`](search()) every state that such orders come to, and
//! [`sweep`](sweep()) every single fault at every step of one order. [`Laws`]
//! look at what is stored after every commit.
//!
//! The same seed gives the same run, byte for byte: there are no threads, no
//! timers and no randomness but the seed's.

mod dice;
mod documents;
mod explore;
mod footprint;
mod gate;
mod laws;
mod pending;
mod person;
pub mod platform;
mod ports;
mod process;
mod roles;
mod search;
pub mod seats;
mod service;
mod steps;
mod storm;
mod sweep;
mod trace;
mod world;

pub use dice::Dice;
pub use documents::Changed;
pub(crate) use documents::Documents;
pub use explore::{Bounds, Explored, explore, explore_within};
pub use laws::{Commit, Laws, Stores, Word};
pub use person::{Asked, Heard, Person};
pub(crate) use process::Process;
pub use search::{Searched, search};
pub(crate) use service::Given;
pub use service::Service;
pub use storm::{Failure, Run, Weathered, storm, weather};
pub use sweep::{Swept, sweep};
pub use trace::Trace;
pub use world::World;
