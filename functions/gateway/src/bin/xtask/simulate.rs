//! `cargo xtask simulate`: storms and orders beyond those that the suite runs, and a
//! storm again that broke a law.

use std::{
    collections::BTreeMap,
    fmt,
    ops::AddAssign,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use testing::simulation::{
    Bounds, Explored, Searched, World, explore_within, search,
    seats::{Cast, Section, Small, crowd, every_small_world_of},
    storm, weather,
};

/// Which storms to run, or which orders.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command")]
pub struct Options {
    /// Runs the storm of this seed.
    #[arg(
        long,
        required_unless_present_any = ["minutes", "orders"],
        conflicts_with_all = ["minutes", "orders", "from"]
    )]
    seed: Option<u64>,
    /// Prints each step of it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Runs it where seats are spread over blocks.
    #[arg(long, requires = "seed")]
    blocks: bool,
    /// Runs storms of the whole platform: the real courses and notifications, too.
    #[arg(long, conflicts_with_all = ["blocks", "orders"])]
    whole: bool,
    /// Runs one storm after the other for so many minutes, or until one breaks a law: by
    /// turns where seats are spread over blocks, and where they aren't. With `--orders`:
    /// begins no world after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Begins with this seed (1000 if it's not said; the suite runs those below), or
    /// with this world.
    #[arg(long)]
    from: Option<u64>,
    /// Searches every small world in which so many things happen at once, 4 at most, for
    /// all that comes of any order.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    orders: Option<u8>,
    /// Runs each order that may make a difference by itself, which takes much longer.
    #[arg(long, requires = "orders")]
    one_by_one: bool,
    /// Leaves each world after so many states, or orders.
    #[arg(long, requires = "orders")]
    most: Option<usize>,
    /// Tries only the orders in which so many commits lose a race at most.
    #[arg(long, requires = "orders")]
    lost: Option<usize>,
    /// Reads documents that are asked for together at one moment, as both real stores do
    /// (and as is done where orders aren't run one by one): that's fewer orders.
    #[arg(long, requires = "one_by_one")]
    at_one_moment: bool,
    /// Runs one world of so many.
    #[arg(long, requires = "orders", default_value_t = 1)]
    one_of: usize,
}

/// How many seeds are run between two looks at the watch.
const AT_ONCE: u64 = 100;

/// The first seed that the suite doesn't run.
const NEW_SEED: u64 = 1000;

pub fn run(options: &Options) -> anyhow::Result<()> {
    match (options.seed, options.orders) {
        (Some(seed), _) => see(seed, options),
        (None, Some(at_once)) if options.one_by_one => {
            try_orders(usize::from(at_once), options, explore_within)
        }
        (None, Some(at_once)) => try_orders(usize::from(at_once), options, search),
        (None, None) => brave_storms(options),
    }
}

/// Runs one storm.
fn see(seed: u64, options: &Options) -> anyhow::Result<()> {
    let open = |seed| {
        let cast = Cast::of(enrollments::domain);
        match options {
            Options { whole: true, .. } => gateway::simulated().world(seed),
            Options { blocks: true, .. } => crowd(&cast.in_blocks_of(1), seed),
            _ => crowd(&cast, seed),
        }
    };
    let run = storm(&open, seed, options.trace);
    print!("{}", run.trace);
    if let Some(violation) = run.violation {
        anyhow::bail!("seed {seed} breaks a law after {} steps: {violation}", run.steps);
    }
    println!("seed {seed}: {} steps, {} commits, no law broken", run.steps, run.commits);
    Ok(())
}

/// Runs one storm after the other.
fn brave_storms(options: &Options) -> anyhow::Result<()> {
    let gathered = Cast::of(enrollments::domain);
    let spread = gathered.clone().in_blocks_of(1);
    let (gathered, spread) = (|seed| crowd(&gathered, seed), |seed| crowd(&spread, seed));
    let whole = |seed| gateway::simulated().world(seed);
    let worlds: &[&dyn Fn(u64) -> World] =
        if options.whole { &[&whole] } else { &[&gathered, &spread] };
    let watch = Watch::of(options);
    let first = options.from.unwrap_or(NEW_SEED);
    let (mut next, mut steps) = (first, 0);
    while !watch.is_over() {
        for open in worlds {
            let weathered = weather(open, next..next + AT_ONCE);
            steps += weathered.map_err(|failure| anyhow::anyhow!("{failure}"))?.steps;
        }
        next += AT_ONCE;
    }
    let last = next - 1;
    let of = if options.whole { "of the whole platform" } else { "with blocks and without" };
    println!("seeds {first} to {last}, {of}: {steps} steps, no law broken");
    Ok(())
}

/// Tries a world's orders within these bounds.
type Try<T> = fn(&dyn Fn() -> World, Bounds) -> Result<T, String>;

/// What came of it.
trait Tried: AddAssign + Default + fmt::Display + Send {
    /// Whether there were more than were to be tried.
    fn is_left_early(&self) -> bool;
}

impl Tried for Explored {
    fn is_left_early(&self) -> bool {
        self.unfinished > 0
    }
}

impl Tried for Searched {
    fn is_left_early(&self) -> bool {
        self.unfinished > 0
    }
}

/// Tries every order of small worlds, on as many threads as there are cores.
fn try_orders<T: Tried>(at_once: usize, options: &Options, within: Try<T>) -> anyhow::Result<()> {
    let watch = Watch::of(options);
    let from = usize::try_from(options.from.unwrap_or_default())?;
    let worlds = every_small_world_of(at_once).enumerate().skip(from).step_by(options.one_of);
    let bounds = Bounds { orders: options.most.unwrap_or(usize::MAX), losses: options.lost };
    let left = Mutex::new(worlds);
    let tallies = Mutex::new(BTreeMap::<Section, Tally<T>>::new());
    let help = || -> anyhow::Result<()> {
        let cast = Cast::of(enrollments::domain);
        loop {
            let next = left.lock().expect("no holder panics").next();
            let Some((number, (section, small))) = next else { return Ok(()) };
            if options.minutes.is_some() && watch.is_over() {
                println!("there was no time for world {number} and those behind it");
                left.lock().expect("no holder panics").by_ref().for_each(drop);
                return Ok(());
            }
            let acts = small.acts.clone();
            let reads_at_one_moment = options.at_one_moment || !options.one_by_one;
            let small = Small { reads_at_one_moment, ..small };
            let prepared = small.prepare(&section.cast(&cast));
            let tried = within(&|| prepared.open(), bounds).map_err(|broken| {
                let again = format!("cargo xtask simulate --orders {at_once} --from {number}");
                anyhow::anyhow!(
                    "{broken}\nworld {number}, {section}: {acts:?}\nagain with: {again}"
                )
            })?;
            if tried.is_left_early() {
                println!("world {number} was left early, {section}: {acts:?}");
            }
            tallies.lock().expect("no holder panics").entry(section).or_default().add(1, tried);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let helping: Vec<_> = (0..threads).map(|_| scope.spawn(help)).collect();
        helping.into_iter().try_for_each(|it| it.join().expect("nobody panics"))
    })?;
    let mut all = Tally::default();
    for (section, tally) in tallies.into_inner().expect("no holder panics") {
        println!("{at_once} at once, {section}: {tally}");
        all.add(tally.worlds, tally.tried);
    }
    println!("{at_once} at once, all: {all}");
    println!("no law broken in {} s", watch.began.elapsed().as_secs());
    Ok(())
}

/// What was tried.
#[derive(Default)]
struct Tally<T> {
    worlds: usize,
    tried: T,
}

impl<T: AddAssign> Tally<T> {
    fn add(&mut self, worlds: usize, tried: T) {
        self.worlds += worlds;
        self.tried += tried;
    }
}

impl<T: fmt::Display> fmt::Display for Tally<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds, {}", self.worlds, self.tried)
    }
}

/// How long it may take.
struct Watch {
    began: Instant,
    limit: Duration,
}

impl Watch {
    fn of(options: &Options) -> Self {
        let limit = Duration::from_secs(60 * options.minutes.unwrap_or_default());
        Self { began: Instant::now(), limit }
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() >= self.limit
    }
}
