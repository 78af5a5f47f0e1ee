//! The same program with Google's crates in it: what an operator asks of the
//! platform in the cloud. `cargo run -- events list --project …` builds it and runs it.

use std::process::ExitCode;

use clap::Parser as _;
use gateway::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
