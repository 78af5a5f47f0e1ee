//! The whole platform in one process: `cargo run`.

use std::process::ExitCode;

use clap::Parser as _;
use gateway::command::Command;
use mimalloc::MiMalloc;

/// A request makes some two hundred small allocations: with the system's
/// allocator they were a fifth of its cost.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    Command::parse().run()
}
