//! `cargo xtask simulate`: storms beyond those that the suite runs, and one again
//! that broke a law.

use std::time::{Duration, Instant};

use clap::Args;
use testing::simulation::{
    seats::{Cast, crowd},
    storm, weather,
};

/// Which storms to run.
#[derive(Debug, Args)]
pub struct Options {
    /// Runs this one.
    #[arg(long, required_unless_present = "minutes", conflicts_with = "minutes")]
    seed: Option<u64>,
    /// Prints each step of it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Runs it where seats are spread over blocks.
    #[arg(long, requires = "seed")]
    blocks: bool,
    /// Runs one after the other for so many minutes, or until one breaks a law: by
    /// turns where seats are spread over blocks, and where they aren't.
    #[arg(long)]
    minutes: Option<u64>,
    /// Begins with this one; the suite runs those below a thousand.
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    from: u64,
}

/// How many seeds are run between two looks at the watch.
const AT_ONCE: u64 = 100;

pub fn run(options: &Options) -> anyhow::Result<()> {
    let gathered = Cast::of(enrollments::domain);
    let spread = gathered.clone().where_seats_are_spread();
    if let Some(seed) = options.seed {
        let cast = if options.blocks { spread } else { gathered };
        let run = storm(&|seed| crowd(&cast, seed), seed, options.trace);
        print!("{}", run.trace);
        if let Some(violation) = run.violation {
            anyhow::bail!("seed {seed} breaks a law after {} steps: {violation}", run.steps);
        }
        println!("seed {seed}: {} steps, {} commits, no law broken", run.steps, run.commits);
        return Ok(());
    }
    let began = Instant::now();
    let limit = Duration::from_secs(60 * options.minutes.unwrap_or_default());
    let (mut next, mut steps) = (options.from, 0);
    while began.elapsed() < limit {
        for cast in [&gathered, &spread] {
            let weathered = weather(&|seed| crowd(cast, seed), next..next + AT_ONCE);
            steps += weathered.map_err(|failure| anyhow::anyhow!("{failure}"))?.steps;
        }
        next += AT_ONCE;
    }
    let last = next - 1;
    println!("seeds {} to {last}, with blocks and without: {steps} steps", options.from);
    println!("no law broken");
    Ok(())
}
