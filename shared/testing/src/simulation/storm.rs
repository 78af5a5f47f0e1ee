//! A storm: a seed's chance decides who goes on and what fails; then it calms,
//! and everything must come to rest as it should be.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::{Dice, Trace, World, pending::How};

/// What came of one storm.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What opens its world, and not another: options of `cargo xtask simulate`.
    pub opened_by: &'static str,
    /// How many steps it took.
    pub steps: u64,
    /// How many commits were made.
    pub commits: u64,
    /// The law that was broken, if one was.
    pub violation: Option<String>,
    /// What was seen to happen, and how often.
    pub seen: BTreeMap<String, u64>,
    /// What happened, line by line, if it was kept.
    pub trace: Trace,
}

/// What came of many storms that broke no law.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weathered {
    /// How many.
    pub seeds: u64,
    /// How many steps they took.
    pub steps: u64,
    /// How many commits were made.
    pub commits: u64,
    /// What was seen to happen, and how often: a search that has never met a
    /// fault or a rule shows nothing about it.
    pub seen: BTreeMap<String, u64>,
}

/// What a storm is made of: who hasn't met all of it has seen fair weather.
const TROUBLE: &[&str] = &[
    "a call failed",
    "an answer was lost",
    "a process died",
    "a connection broke",
    "a request came twice",
    "a delivery came twice",
    "a delivery was dropped",
    "a race was lost",
    "an answer was given again",
];

impl Weathered {
    /// What has never happened of all trouble that there is, and of what else was expected: a
    /// search that hasn't met it shows less than it says.
    pub fn unmet<'a>(&self, expected: &[&'a str]) -> Vec<&'a str> {
        let all = TROUBLE.iter().chain(expected);
        all.copied().filter(|what| !self.seen.contains_key(*what)).collect()
    }
}

/// A seed that breaks a law.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run, with its trace.
    pub run: Run,
    /// How many seeds were tried, this one included.
    pub tried: u64,
}

/// After so many steps it calms, though people may still want something.
const STORM_MOST: u64 = 4_000;

/// Whoever hasn't come to rest after so many steps never will.
const STEPS_MOST: u64 = 40_000;

/// For so many steps of the calm, what failed before it may still be told.
const GRACE: u64 = 300;

/// The storm's temper: how often what happens, in a thousand. Each seed has
/// its own, so that some are wild in one way only.
#[derive(Debug)]
struct Temper {
    fails: usize,
    unheard: usize,
    fatal: usize,
    twice: usize,
    crashes: usize,
    ticks: usize,
    slow: usize,
    slowest: usize,
}

impl Temper {
    fn of(dice: &mut Dice) -> Self {
        let mut often = |most: usize| if dice.chance(400) { 0 } else { dice.below(most) };
        Self {
            fails: often(60),
            unheard: often(120),
            fatal: often(60),
            twice: often(150),
            crashes: often(15),
            ticks: often(30),
            slow: often(300),
            slowest: 1 + often(150),
        }
    }

    const fn of_how(&self, how: How) -> usize {
        match how {
            How::Well => 0,
            How::Fails => self.fails,
            How::Unheard => self.unheard,
            How::Fatal => self.fatal,
            How::Twice => self.twice,
        }
    }
}

/// Runs many seeds, until one breaks a law.
pub fn weather(open: &dyn Fn(u64) -> World, seeds: Range<u64>) -> Result<Weathered, Box<Failure>> {
    let mut weathered = Weathered::default();
    for seed in seeds {
        let run = storm(open, seed, false);
        weathered.seeds += 1;
        weathered.steps += run.steps;
        weathered.commits += run.commits;
        for (what, count) in run.seen {
            *weathered.seen.entry(what).or_default() += count;
        }
        if run.violation.is_some() {
            let run = storm(open, seed, true);
            return Err(Box::new(Failure { run, tried: weathered.seeds }));
        }
    }
    Ok(weathered)
}

/// Runs the storm of a seed in the world that is opened for it.
pub fn storm(open: &dyn Fn(u64) -> World, seed: u64, keep_trace: bool) -> Run {
    let mut world = open(seed);
    if keep_trace {
        world.trace = Trace::kept();
    }
    let violation = Storm::new(seed).run(&mut world);
    let trace = std::mem::take(&mut world.trace);
    let World { steps, commits, opened_by, .. } = world;
    Run { seed, opened_by, steps, commits, violation, seen: world.seen(), trace }
}

struct Storm {
    dice: Dice,
    temper: Temper,
    /// Since when it's calm.
    calm_since: Option<u64>,
    /// Grows with each step, and to where the next may have its turn.
    turn: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let temper = Temper::of(&mut dice);
        Self { dice, temper, calm_since: None, turn: 0 }
    }

    /// Gives back the law that was broken.
    fn run(&mut self, world: &mut World) -> Option<String> {
        let mut commits_at_tick = None;
        loop {
            if let Some(violation) = world.violation() {
                return Some(violation);
            }
            if world.steps > STEPS_MOST {
                return Some("it never comes to rest".to_owned());
            }
            self.look_at_the_sky(world);
            if !world.pending.is_empty() {
                self.step(world);
                continue;
            }
            // Nobody waits for anything: only the clock can go on.
            if commits_at_tick == Some(world.commits) && self.calm_since.is_some() {
                world.rest();
                return world.violation();
            }
            self.calm_since.get_or_insert(world.steps);
            commits_at_tick = Some(world.commits);
            world.let_time_pass(i64::try_from(world.between_ticks.as_millis()).unwrap_or(i64::MAX));
            (0..world.services()).for_each(|service| world.tick(service));
        }
    }

    fn look_at_the_sky(&mut self, world: &mut World) {
        if world.is_deserted() || world.steps > STORM_MOST {
            self.calm_since.get_or_insert(world.steps);
        }
        world.strict = self.calm_since.is_some_and(|since| world.steps > since + GRACE);
    }

    fn step(&mut self, world: &mut World) {
        world.let_time_pass(1);
        let calm = self.calm_since.is_some();
        if !calm && self.dice.chance(self.temper.crashes) {
            let mortals = world.mortals();
            return world.crash(*self.dice.one_of(&mortals));
        }
        if !calm && self.dice.chance(self.temper.ticks) {
            return world.tick(self.dice.below(world.services()));
        }
        let index = self.next(world);
        let how = if calm { How::Well } else { self.how(world.pending[index].may()) };
        world.pass(index, how);
    }

    /// Who is next: one of those who have waited long enough.
    fn next(&mut self, world: &mut World) -> usize {
        for pending in world.pending.iter_mut().filter(|it| it.ready_at.is_none()) {
            let wait = if self.dice.chance(self.temper.slow) {
                self.dice.below(self.temper.slowest)
            } else {
                0
            };
            pending.ready_at = Some(self.turn + wait as u64);
        }
        let ready_at = |index: usize| world.pending[index].ready_at.unwrap_or_default();
        let soonest = (0..world.pending.len()).map(ready_at).min().unwrap_or_default();
        self.turn = soonest.max(self.turn + 1);
        let ready = (0..world.pending.len()).filter(|index| ready_at(*index) <= self.turn);
        let ready: Vec<_> = ready.collect();
        *self.dice.one_of(&ready)
    }

    fn how(&mut self, may: &[How]) -> How {
        let mut those = may.iter().copied();
        those.find(|how| self.dice.chance(self.temper.of_how(*how))).unwrap_or(How::Well)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { seed, opened_by, steps, violation, trace, .. } = &self.run;
        let violation = violation.as_deref().unwrap_or("no law");
        writeln!(f, "{}", trace.tail(60))?;
        writeln!(f, "seed {seed} breaks a law after {steps} steps: {violation}")?;
        write!(f, "see all of it with: cargo xtask simulate --seed {seed}{opened_by} --trace")
    }
}
