//! The whole platform in one process: `cargo run`.

use std::process::ExitCode;

use clap::Parser as _;
use gateway::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
