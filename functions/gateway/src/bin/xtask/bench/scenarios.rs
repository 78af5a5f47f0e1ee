//! The scenarios: each is run on one platform after the other, so that both meet the same machine.

use std::{
    fmt,
    net::SocketAddr,
    ops::Range,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Options,
    load::{Answers, Load},
    machine::Weather,
    platform::{Audit, Counters, Patience, Platform, Section, SectionPlan, Verdict},
    process::{CpuTime, Server},
};

/// How many people enroll one after another, before the race.
const ENROLLMENTS: usize = 1_000;
const SIGN_IN_CONNECTIONS: usize = 8;
const STARTS: usize = 20;
const IDLE: Duration = Duration::from_secs(2);

/// How many people the scenarios need: those who enroll one after another, then those of the race.
pub fn crowd(options: &Options) -> usize {
    racers(options).end
}

fn racers(options: &Options) -> Range<usize> {
    let first = if options.rush { 0 } else { ENROLLMENTS };
    first..first + options.people
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Reads one course after another.
    Read,
    /// Lists the first page of a category and level.
    List,
    /// Signs in with a password.
    SignIn,
    /// One person after another takes a seat.
    Enroll,
    /// More people than there are seats, all at once; those who get none wait.
    Race,
    /// The same, where nobody can wait.
    Refusals,
}

impl Scenario {
    const ALL: [Self; 6] =
        [Self::Read, Self::List, Self::SignIn, Self::Enroll, Self::Race, Self::Refusals];

    fn is_race(self) -> bool {
        matches!(self, Self::Race | Self::Refusals)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Read => "read a course",
            Self::List => "list 20, filtered",
            Self::SignIn => "sign in",
            Self::Enroll => "enroll, one by one",
            Self::Race => "race, waiting list",
            Self::Refusals => "race, refusals",
        })
    }
}

/// How a platform starts and what it needs before it has done anything.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// The median time from the start to the first answer.
    pub start: Duration,
    /// The shortest and the longest.
    pub range: (Duration, Duration),
    /// The median processor time up to the first answer.
    pub cpu: Duration,
    /// The memory of a started server that nobody has asked anything, in KiB.
    pub idle_memory: u32,
}

/// One scenario, run on one platform.
#[derive(Debug)]
pub struct Run {
    /// The scenario.
    pub scenario: Scenario,
    /// The platform.
    pub platform: &'static str,
    /// What came back.
    pub answers: Answers,
    /// The server's processor time, up to the last answer.
    pub cpu: Duration,
    cpu_before: CpuTime,
    /// What of it the first process took, where there are several.
    pub first_cpu: Duration,
    /// The processor time of the emulators, where they are its children.
    pub engines_cpu: Option<Duration>,
    /// What the platform counted, up to the last answer.
    pub counters: Counters,
    /// The server's memory afterwards, in KiB.
    pub memory: u32,
    /// What the machine was like just before.
    pub weather: Weather,
    /// How a race came out.
    pub race: Option<Race>,
}

impl Run {
    /// The server's processor time per request.
    pub fn cpu_each(&self) -> Duration {
        self.cpu / self.answers.count().max(1)
    }

    /// A scenario in which some requests failed measures something else.
    fn require_successes(self) -> Result<Self> {
        let Self { scenario, platform, answers, .. } = &self;
        ensure!(answers.failures() == 0, "{scenario}, {platform}: answers {:?}", answers.statuses);
        Ok(self)
    }
}

/// How a race for seats came out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Race {
    /// The seats that there were.
    pub seats: usize,
    /// Those who were told that they have a seat.
    pub confirmed: usize,
    /// Those who were told to wait.
    pub waitlisted: usize,
    /// Those who were told that there is none.
    pub refused: usize,
    /// Those who were told anything else.
    pub other: usize,
    /// Those who have a seat, as the platform tells afterwards.
    pub read_back: usize,
    /// The server's processor time until the last event had arrived.
    pub settled_cpu: Duration,
    /// How long after the last answer that was.
    pub settled_after: Duration,
}

impl Race {
    /// Whether everyone got a definite answer, every seat was given, and none twice.
    pub fn is_right(&self) -> bool {
        let people = self.confirmed + self.waitlisted + self.refused + self.other;
        self.other == 0
            && self.confirmed == self.seats.min(people)
            && self.read_back == self.confirmed
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Confirmed => self.confirmed += 1,
            Verdict::Waitlisted => self.waitlisted += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::Other => self.other += 1,
        }
    }
}

/// Starts every server in turn, again and again.
pub fn begin(launches: &[&dyn Fn() -> Result<Server>]) -> Result<Vec<Beginning>> {
    let mut starts = vec![Vec::new(); launches.len()];
    for _ in 0..STARTS {
        for (launch, starts) in launches.iter().zip(&mut starts) {
            let server = launch()?;
            starts.push((server.start, server.start_cpu));
            server.stop()?;
        }
    }
    let begin = |(launch, starts): (&&dyn Fn() -> Result<Server>, Vec<_>)| {
        let server = launch()?;
        let idle_memory = server.idle_memory(IDLE)?;
        server.stop()?;
        let (mut times, mut cpu): (Vec<Duration>, Vec<Duration>) = starts.into_iter().unzip();
        times.sort_unstable();
        cpu.sort_unstable();
        let range = (times[0], times[STARTS - 1]);
        Ok(Beginning { start: times[STARTS / 2], range, cpu: cpu[STARTS / 2], idle_memory })
    };
    launches.iter().zip(starts).map(begin).collect()
}

/// A platform with its server running, and the folder on whose disk they work.
struct Subject<'a> {
    platform: &'a dyn Platform,
    server: Server,
    folder: &'a Path,
}

/// What came of it on some platforms.
#[derive(Debug, Default)]
pub struct Measured {
    /// Every scenario on every platform, scenario by scenario.
    pub runs: Vec<Run>,
    /// What the platforms' own audits said in the end.
    pub audits: Vec<Audit>,
}

impl Measured {
    /// The same beside what was measured later.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.runs.extend(later.runs);
        self.runs.sort_by_key(|run| Scenario::ALL.iter().position(|it| *it == run.scenario));
        self.audits.extend(later.audits);
        self
    }
}

/// Runs the scenarios, or only the race, on every platform, and audits what they left.
pub fn run_all(platforms: &[&dyn Platform], options: &Options, folder: &Path) -> Result<Measured> {
    let subjects: Vec<_> = platforms
        .iter()
        .map(|&platform| Ok(Subject { platform, server: platform.launch()?, folder }))
        .collect::<Result<_>>()?;
    let mut runs = Vec::new();
    for scenario in Scenario::ALL {
        if options.rush && !scenario.is_race() {
            continue;
        }
        for subject in &subjects {
            let run = subject.run(scenario, options)?;
            eprintln!("{scenario}, {}: {:.0}/s", run.platform, run.answers.rate());
            runs.push(run);
        }
    }
    let mut audits = Vec::new();
    for platform in platforms {
        let audit = platform.audit();
        audits.extend(audit.with_context(|| format!("auditing {}", platform.name()))?);
    }
    subjects.into_iter().try_for_each(|subject| subject.server.stop())?;
    Ok(Measured { runs, audits })
}

impl Subject<'_> {
    fn run(&self, scenario: Scenario, options: &Options) -> Result<Run> {
        let time = Duration::from_secs(options.seconds);
        let repeat =
            |requests: &[Vec<u8>], connections| self.repeat(scenario, time, requests, connections);
        match scenario {
            Scenario::Read => repeat(&self.platform.reads(), options.connections),
            Scenario::List => repeat(&self.platform.lists(), options.connections),
            Scenario::SignIn => repeat(&self.platform.sign_ins(), SIGN_IN_CONNECTIONS),
            Scenario::Enroll => self.enroll(),
            Scenario::Race | Scenario::Refusals => self.race(scenario, options),
        }
    }

    /// Sends requests over and over, first for a fifth of the time unmeasured.
    fn repeat(
        &self,
        scenario: Scenario,
        time: Duration,
        requests: &[Vec<u8>],
        connections: usize,
    ) -> Result<Run> {
        Load::lasting(time / 5, requests, connections).send(self.server.address)?;
        let run = self.measure(scenario, &Load::lasting(time, requests, connections))?;
        run.require_successes()
    }

    /// One person after another takes a seat of a section that has enough of them.
    fn enroll(&self) -> Result<Run> {
        let plan = SectionPlan { seats: ENROLLMENTS, waitlist: true, in_days: 30 };
        let section = self.platform.open_section(self.server.address, plan)?;
        let requests = self.platform.enrollments(&section, 0..ENROLLMENTS);
        self.measure(Scenario::Enroll, &Load::once(&requests, 1))?.require_successes()
    }

    /// More people than there are seats, all at once.
    fn race(&self, scenario: Scenario, options: &Options) -> Result<Run> {
        let waitlist = scenario == Scenario::Race;
        let in_days = if waitlist { 40 } else { 50 };
        let plan = SectionPlan { seats: options.seats, waitlist, in_days };
        let section = self.platform.open_section(self.server.address, plan)?;
        let requests = self.platform.enrollments(&section, racers(options));
        let load = Load::once(&requests, options.connections).keeping_bodies();
        let mut run = self.measure(scenario, &load)?;
        run.race = Some(self.outcome(&section, options.seats, &run)?);
        Ok(run)
    }

    fn outcome(&self, section: &Section, seats: usize, run: &Run) -> Result<Race> {
        let settled_after = settle(self.platform, self.server.address)?;
        let settled_cpu = self.server.cpu()?.since(&run.cpu_before);
        let read_back = self.platform.confirmed(self.server.address, section)?;
        let mut race = Race { seats, read_back, settled_cpu, settled_after, ..Race::default() };
        for (_, status, body) in &run.answers.bodies {
            race.count(self.platform.verdict(*status, body));
        }
        Ok(race)
    }

    /// Runs a load once nothing is under way any more, and looks at everything before and after.
    fn measure(&self, scenario: Scenario, load: &Load) -> Result<Run> {
        let Self { platform, server, folder } = self;
        settle(*platform, server.address)?;
        let weather = Weather::now(folder)?;
        let counters = platform.counters(server.address)?;
        // After all that may take a while: a server closes a connection that says nothing.
        let mut connections = load.connect(server.address)?;
        let (first_before, engines_before) = (server.first_cpu()?, server.engines_cpu()?);
        let cpu_before = server.cpu()?;
        let answers = load.run(&mut connections)?;
        let cpu = server.cpu()?.since(&cpu_before);
        let first_cpu = server.first_cpu()?.since(&first_before);
        let engines = server.engines_cpu()?;
        let engines_cpu = (!engines.is_of_nobody()).then(|| engines.since(&engines_before));
        let counters = platform.counters(server.address)?.since(counters);
        Ok(Run {
            scenario,
            platform: platform.name(),
            answers,
            cpu,
            cpu_before,
            first_cpu,
            engines_cpu,
            counters,
            memory: server.memory()?,
            weather,
            race: None,
        })
    }
}

/// Waits until no event is on its way any more; how long that took.
pub fn settle(platform: &dyn Platform, address: SocketAddr) -> Result<Duration> {
    let Patience { every, without_progress } = platform.patience();
    let begin = Instant::now();
    let (mut fewest, mut since) = (u64::MAX, begin);
    loop {
        let waiting = platform.counters(address)?.outbox.unwrap_or_default();
        if waiting == 0 {
            return Ok(begin.elapsed());
        }
        if waiting < fewest {
            (fewest, since) = (waiting, Instant::now());
        }
        let name = platform.name();
        ensure!(since.elapsed() < without_progress, "{waiting} events of {name} don't arrive");
        thread::sleep(every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_is_right_when_every_seat_was_given_once() {
        let race = Race { seats: 5, confirmed: 5, waitlisted: 9, read_back: 5, ..Race::default() };
        assert!(race.is_right());
        assert!(!Race { read_back: 6, ..race }.is_right());
        assert!(!Race { confirmed: 6, read_back: 6, ..race }.is_right());
        assert!(!Race { confirmed: 4, read_back: 4, ..race }.is_right());
        assert!(!Race { other: 1, ..race }.is_right());
    }

    #[test]
    fn with_more_seats_than_people_everyone_has_one() {
        assert!(Race { seats: 50, confirmed: 5, read_back: 5, ..Race::default() }.is_right());
    }
}
