//! The report: tables for people to read, and the targets.

use std::{fmt, time::Duration};

use super::{
    peer::Peer,
    platform::{Commits, Counters},
    scenarios::{Beginning, Run, Scenario},
};

/// Words in rows and columns, as wide as they must be.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    markdown: bool,
}

impl Table {
    /// An empty table.
    pub fn new(markdown: bool, headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()], markdown }
    }

    /// Adds a row.
    pub fn add(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(2)
    }

    fn line(&self, row: &[String]) -> String {
        let pad = |(column, cell): (usize, &String)| {
            let width = self.width(column);
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        let cells: Vec<_> = row.iter().enumerate().map(pad).collect();
        if self.markdown { format!("| {} |", cells.join(" | ")) } else { cells.join("  ") }
    }

    fn rule(&self) -> String {
        let dashes = |column| "-".repeat(self.width(column));
        let cells = (0..self.rows[0].len()).map(dashes);
        if self.markdown {
            let aligned = cells.enumerate().map(|(column, dashes)| match column {
                0 => format!("{dashes}-"),
                _ => format!("{dashes}:"),
            });
            format!("| {}|", aligned.collect::<Vec<_>>().join("| "))
        } else {
            cells.collect::<Vec<_>>().join("  ")
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, row) in self.rows.iter().enumerate() {
            writeln!(formatter, "{}", self.line(row).trim_end())?;
            if number == 0 {
                writeln!(formatter, "{}", self.rule())?;
            }
        }
        Ok(())
    }
}

/// How the platforms start.
pub fn beginnings(markdown: bool, names: &[&str], beginnings: &[Beginning]) -> Table {
    let headings =
        ["start", "first 200 ms", "fastest", "slowest", "CPU ms", "idle PSS MiB", "ratio"];
    let mut table = Table::new(markdown, &headings);
    for (name, beginning) in names.iter().zip(beginnings) {
        let (fastest, slowest) = beginning.range;
        table.add([
            (*name).to_owned(),
            milliseconds(beginning.start),
            milliseconds(fastest),
            milliseconds(slowest),
            milliseconds(beginning.cpu),
            mebibytes(beginning.idle_memory),
            ratio(beginning.start, beginnings.first().map(|first| first.start)),
        ]);
    }
    table
}

/// What each scenario took. The ratio is that of the processor time per request to this platform's.
pub fn runs(markdown: bool, runs: &[Run]) -> Table {
    let mut table = Table::new(
        markdown,
        &[
            "scenario",
            "by",
            "requests",
            "per s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU us each",
            "ratio",
            "commits",
            "tried each",
            "transactions",
            "fsyncs",
            "PSS MiB",
            "disk fsync/s",
            "load",
        ],
    );
    for run in runs {
        let ours = runs.iter().find(|other| other.scenario == run.scenario).map(Run::cpu_each);
        let Counters { commits, transactions, syncs, .. } = run.counters;
        table.add([
            run.scenario.to_string(),
            run.platform.to_owned(),
            run.answers.count().to_string(),
            format!("{:.0}", run.answers.rate()),
            milliseconds(run.answers.per_mille(500)),
            milliseconds(run.answers.per_mille(990)),
            milliseconds(run.answers.per_mille(999)),
            microseconds(run.cpu_each()),
            ratio(run.cpu_each(), ours),
            count(commits),
            each(run.counters.tried(), run),
            count(transactions),
            count(syncs),
            mebibytes(run.memory),
            format!("{:.0}", run.weather.syncs_per_second),
            run.weather.load.clone(),
        ]);
    }
    table
}

/// How the races came out. "Settled" is when the last event had arrived.
pub fn races(markdown: bool, runs: &[Run]) -> Table {
    let mut table = Table::new(
        markdown,
        &[
            "outcome",
            "by",
            "all ms",
            "201 confirmed",
            "201 waitlisted",
            "409",
            "other",
            "read back",
            "CPU us each",
            "until settled",
            "settled after ms",
            "right",
        ],
    );
    for run in runs {
        let Some(race) = run.race else { continue };
        table.add([
            run.scenario.to_string(),
            run.platform.to_owned(),
            milliseconds(run.answers.elapsed),
            race.confirmed.to_string(),
            race.waitlisted.to_string(),
            race.refused.to_string(),
            race.other.to_string(),
            race.read_back.to_string(),
            microseconds(run.cpu_each()),
            microseconds(race.settled_cpu / run.answers.count().max(1)),
            milliseconds(race.settled_after),
            if race.is_right() { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    table
}

/// What the races took on the emulators: the commits of the function that enrolls, and whose
/// processor time it was. Nothing if no platform has a process for each function.
pub fn emulated(markdown: bool, runs: &[Run]) -> Option<Table> {
    let headings = [
        "on the emulators",
        "commits to enroll",
        "lost races",
        "tried each",
        "documents written",
        "CPU us each: functions",
        "gateway",
        "the emulators'",
    ];
    let mut table = Table::new(markdown, &headings);
    for run in runs {
        let Some(Commits { made, conflicts, writes }) = run.counters.enrolling else { continue };
        let each_of = |time: Duration| microseconds(time / run.answers.count().max(1));
        table.add([
            run.scenario.to_string(),
            made.to_string(),
            conflicts.to_string(),
            each(Some(made + conflicts), run),
            writes.to_string(),
            each_of(run.cpu.saturating_sub(run.first_cpu)),
            each_of(run.first_cpu),
            run.engines_cpu.map_or(UNKNOWN.to_owned(), each_of),
        ]);
    }
    (table.rows.len() > 1).then_some(table)
}

/// A promise, what was measured, and whether it was kept; nothing when it could not be measured.
struct Target {
    promise: String,
    measured: String,
    met: Option<bool>,
}

/// How much slower this machine is now than the one that the targets were set
/// on: what the peer takes here, by what it took there.
///
/// A time that's promised holds for a machine. The peer does the same job in the
/// same minute, so what slows it down (a slower or a shared processor) slows this
/// platform down too, and can be divided out.
#[derive(Clone, Copy, Debug)]
struct Pace(f64);

impl Pace {
    /// What the peer took on the reference: two quiet cores of 2.6 GHz.
    const START: Duration = Duration::from_millis(506);

    fn of(peer: Duration, reference: Duration) -> Self {
        Self(peer.as_secs_f64() / reference.as_secs_f64())
    }

    /// By the processor time that the peer takes for a request.
    fn of_scenario(scenario: Scenario, runs: &[Run]) -> Option<Self> {
        let reference = match scenario {
            Scenario::Read => Duration::from_micros(636),
            Scenario::List => Duration::from_micros(941),
            Scenario::Race | Scenario::Refusals => Duration::from_micros(1_585),
            Scenario::SignIn | Scenario::Enroll => return None,
        };
        let is_its = |it: &&Run| it.scenario == scenario && it.platform == Peer::NAME;
        let peer = runs.iter().find(is_its)?;
        Some(Self::of(peer.cpu_each(), reference))
    }

    /// What a time that was measured here is on the reference.
    fn on_reference(self, time: Duration) -> Duration {
        time.div_f64(self.0)
    }
}

/// A time that is promised to be at most so long, on the reference if its pace is known.
fn time_target(
    promise: String,
    time: Duration,
    limit: Duration,
    pace: Option<Pace>,
    words: fn(Duration) -> String,
) -> Target {
    let there = pace.map_or(time, |pace| pace.on_reference(time));
    let measured = match pace {
        Some(Pace(times)) => {
            format!("{} here, {} on the reference ({times:.1}x)", words(time), words(there))
        }
        None => words(time),
    };
    Target { promise, measured, met: Some(there <= limit) }
}

/// Whether this platform, which comes first everywhere, is what it promises to be.
pub fn targets(markdown: bool, beginnings: &[Beginning], runs: &[Run]) -> Table {
    let mut targets = Vec::new();
    if let Some(beginning) = beginnings.first() {
        let pace = beginnings.get(1).map(|peer| Pace::of(peer.start, Pace::START));
        targets.extend(beginning_targets(beginning, pace));
    }
    let ours = runs.first().map(|run| run.platform);
    for run in runs.iter().filter(|run| Some(run.platform) == ours) {
        let pace = Pace::of_scenario(run.scenario, runs);
        match run.scenario {
            Scenario::Read => targets.push(cpu_target(run, 20, pace)),
            Scenario::List => targets.push(cpu_target(run, 45, pace)),
            Scenario::SignIn => targets.push(sign_in_target(run)),
            Scenario::Enroll => (),
            Scenario::Race | Scenario::Refusals => targets.extend(race_targets(run, pace)),
        }
    }
    table_of(markdown, targets)
}

/// How a domain's container begins, and how large it is.
#[derive(Clone, Copy, Debug)]
pub struct Cold {
    /// The domain's name.
    pub domain: &'static str,
    /// Its one file, in bytes.
    pub size: u64,
    /// How it begins.
    pub beginning: Beginning,
}

/// Whether every container begins as it is promised to, beside the peer if there's one.
pub fn cold_targets(markdown: bool, containers: &[Cold], peer: Option<&Beginning>) -> Table {
    let targets = containers.iter().flat_map(|it| it.targets(peer)).collect();
    table_of(markdown, targets)
}

impl Cold {
    fn targets(&self, peer: Option<&Beginning>) -> Vec<Target> {
        let Self { domain, size, beginning: Beginning { start, idle_memory, .. } } = *self;
        let mut targets = vec![
            Target {
                promise: format!("{domain}: one file of at most 8,000,000 bytes"),
                measured: format!("{}.{:03} MB", size / 1_000_000, size % 1_000_000 / 1_000),
                met: Some(size <= 8_000_000),
            },
            Target {
                promise: format!("{domain}: first 200 within 5 ms"),
                measured: format!("{} ms", milliseconds(start)),
                met: Some(start <= Duration::from_millis(5)),
            },
            Target {
                promise: format!("{domain}: idle with at most 6 MiB"),
                measured: format!("{} MiB", mebibytes(idle_memory)),
                met: Some(idle_memory <= 6 * 1024),
            },
        ];
        if let Some(peer) = peer {
            let memory = idle_memory.max(1);
            targets.push(Target {
                promise: format!("{domain}: a hundred times as fast as the peer"),
                measured: ratio(peer.start, Some(start)),
                met: Some(peer.start >= start * 100),
            });
            targets.push(Target {
                promise: format!("{domain}: a tenth of the peer's memory"),
                measured: format!("{:.1}x", f64::from(peer.idle_memory) / f64::from(memory)),
                met: Some(peer.idle_memory >= memory.saturating_mul(10)),
            });
        }
        targets
    }
}

fn table_of(markdown: bool, targets: Vec<Target>) -> Table {
    let mut table = Table::new(markdown, &["target", "measured", "met"]);
    for Target { promise, measured, met } in targets {
        let met = met.map_or("n/a", |met| if met { "yes" } else { "NO" });
        table.add([promise, measured, met.to_owned()]);
    }
    table
}

fn beginning_targets(beginning: &Beginning, pace: Option<Pace>) -> [Target; 2] {
    [
        time_target(
            "start: at most 10 ms".to_owned(),
            beginning.start,
            Duration::from_millis(10),
            pace,
            |time| format!("{} ms", milliseconds(time)),
        ),
        Target {
            promise: "idle: at most 20 MiB".to_owned(),
            measured: format!("{} MiB", mebibytes(beginning.idle_memory)),
            met: Some(beginning.idle_memory <= 20 * 1024),
        },
    ]
}

fn cpu_target(run: &Run, limit: u64, pace: Option<Pace>) -> Target {
    time_target(
        format!("{}: at most {limit} us of CPU a request", run.scenario),
        run.cpu_each(),
        Duration::from_micros(limit),
        pace,
        |time| format!("{} us", microseconds(time)),
    )
}

fn sign_in_target(run: &Run) -> Target {
    let hash = run.counters.password_hash.filter(|&hash| hash > 0).map(Duration::from_micros);
    Target {
        promise: "sign in: at most 1.1 times the hash itself".to_owned(),
        measured: hash.map_or("n/a".to_owned(), |hash| {
            let times = run.cpu_each().as_secs_f64() / hash.as_secs_f64();
            format!("{times:.2} of {} us", microseconds(hash))
        }),
        met: hash.map(|hash| run.cpu_each() * 10 <= hash * 11),
    }
}

/// In a race of so many the time counts, and not how many transactions it takes: that
/// grows with the people who wait.
const MANY: usize = 10_000;

fn race_targets(run: &Run, pace: Option<Pace>) -> Vec<Target> {
    let transactions = run.counters.transactions;
    let race = run.race.unwrap_or_default();
    // Whoever is refused changes nothing, so that costs less than to wait.
    let (cpu, most) = if run.scenario == Scenario::Refusals { (25, 16) } else { (60, 64) };
    let mut targets = vec![
        cpu_target(run, cpu, pace),
        Target {
            promise: format!("{}: every seat once, no other answer", run.scenario),
            measured: format!("{} of {}, {} other", race.read_back, race.seats, race.other),
            met: Some(race.is_right()),
        },
    ];
    if run.answers.latencies.len() >= MANY {
        targets.push(Target {
            promise: format!("{}: everyone is answered within 2 s", run.scenario),
            measured: format!("{} ms", milliseconds(run.answers.elapsed)),
            met: Some(run.answers.elapsed <= Duration::from_secs(2)),
        });
    } else {
        targets.push(Target {
            promise: format!("{}: at most {most} transactions", run.scenario),
            measured: count(transactions),
            met: transactions.map(|transactions| transactions <= most),
        });
    }
    targets
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

fn mebibytes(kibibytes: u32) -> String {
    format!("{:.1}", f64::from(kibibytes) / 1024.0)
}

/// What isn't known, or isn't there.
const UNKNOWN: &str = "-";

fn count(count: Option<u64>) -> String {
    count.map_or(UNKNOWN.to_owned(), |count| count.to_string())
}

/// How many of something there were for each answer: where many are decided together, few.
fn each(count: Option<u64>, run: &Run) -> String {
    let Some(count) = count.and_then(|it| u32::try_from(it).ok()) else {
        return UNKNOWN.to_owned();
    };
    format!("{:.3}", f64::from(count) / f64::from(run.answers.count().max(1)))
}

fn ratio(theirs: Duration, ours: Option<Duration>) -> String {
    let ours = ours.unwrap_or_default().as_secs_f64().max(1e-9);
    format!("{:.1}x", theirs.as_secs_f64() / ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(markdown: bool) -> Table {
        let mut table = Table::new(markdown, &["what", "ms"]);
        table.add(["read".to_owned(), "12.50".to_owned()]);
        table
    }

    #[test]
    fn a_plain_table_is_aligned() {
        assert_eq!(table(false).to_string(), "what     ms\n----  -----\nread  12.50\n");
    }

    #[test]
    fn a_markdown_table_is_one_for_its_readers_too() {
        assert_eq!(
            table(true).to_string(),
            "| what |    ms |\n| -----| -----:|\n| read | 12.50 |\n"
        );
    }
}
