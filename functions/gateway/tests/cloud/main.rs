//! The cloud on one machine, as its users and whoever ends its processes see it:
//! the house's own journeys, on Google's emulators and a process for each function.
//!
//! A program of its own, because it needs the emulators: where there are none it
//! says so loudly and passes, and where `AULA_REQUIRE_EMULATORS` is 1 it fails.

mod cloud;
mod fleet;
mod front;
mod journeys;
mod kills;
mod operator;
mod stats;

#[path = "../house/discretion.rs"]
mod discretion;
#[path = "../house/foreign_tokens.rs"]
mod foreign_tokens;
#[path = "../house/main_job.rs"]
mod main_job;
#[path = "../house/school.rs"]
mod school;
#[path = "../house/seats.rs"]
mod seats;
#[path = "../house/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the house's tests use more of it")]
mod support;
