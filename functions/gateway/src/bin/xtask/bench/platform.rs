//! A platform that can be measured: what each scenario asks of it, whatever its paths and its
//! words are.

use std::{net::SocketAddr, ops::Range, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use super::process::Server;

/// The fields of study in the catalog; its courses are spread evenly over them.
pub const CATEGORIES: [&str; 10] =
    ["cloud", "data", "web", "security", "devops", "ai", "mobile", "math", "design", "business"];

/// How many courses a page of the list has.
pub const PAGE: usize = 20;

/// How many accounts sign in.
pub const ACCOUNTS: usize = 32;

/// What a section is to be like.
#[derive(Clone, Copy, Debug)]
pub struct SectionPlan {
    /// How many seats it has.
    pub seats: usize,
    /// Whether those who get none can wait for one.
    pub waitlist: bool,
    /// In how many days it begins; no two sections of the benchmark overlap.
    pub in_days: u64,
}

/// A section that people can enroll in.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its course.
    pub course: String,
    /// The section itself.
    pub section: String,
}

/// What became of one who asked for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Has a seat.
    Confirmed,
    /// Waits for one.
    Waitlisted,
    /// Was told that there is none.
    Refused,
    /// Anything else, which is a fault.
    Other,
}

/// What the platform counts itself; nothing where it doesn't.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Changes that the functions committed.
    pub commits: Option<u64>,
    /// Changes that were tried and refused, because others had been quicker.
    pub conflicts: Option<u64>,
    /// The commits of the function that enrolls, where it has a process of its own.
    pub enrolling: Option<Commits>,
    /// Transactions of the database that they went into.
    pub transactions: Option<u64>,
    /// How often the database waited for the disk.
    pub syncs: Option<u64>,
    /// Events that are still on their way.
    pub outbox: Option<u64>,
    /// What hashing a password takes the processor, in microseconds.
    pub password_hash: Option<u64>,
}

impl Counters {
    /// What was added to the counts since `earlier`; the rest as it is now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let added = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            commits: added(self.commits, earlier.commits),
            conflicts: added(self.conflicts, earlier.conflicts),
            enrolling: self.enrolling.zip(earlier.enrolling).map(|(now, then)| now.since(then)),
            transactions: added(self.transactions, earlier.transactions),
            syncs: added(self.syncs, earlier.syncs),
            ..self
        }
    }

    /// How many commits were tried, whether or not they were made.
    #[must_use]
    pub fn tried(self) -> Option<u64> {
        Some(self.commits? + self.conflicts?)
    }
}

/// The commits of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Those that were made.
    pub made: u64,
    /// Those that were refused, because others had been quicker.
    pub conflicts: u64,
    /// The documents that were written.
    pub writes: u64,
}

impl Commits {
    fn since(self, earlier: Self) -> Self {
        Self {
            made: self.made.saturating_sub(earlier.made),
            conflicts: self.conflicts.saturating_sub(earlier.conflicts),
            writes: self.writes.saturating_sub(earlier.writes),
        }
    }
}

/// How long it's waited until nothing is under way.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often to look.
    pub every: Duration,
    /// How long what is under way may not get less.
    pub without_progress: Duration,
}

/// What the platform's own audit said of its data.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The platform.
    pub platform: &'static str,
    /// What it said.
    pub said: String,
    /// Whether nothing is wrong.
    pub is_well: bool,
}

impl Audit {
    /// What this command, which audits a platform, says.
    pub fn by(platform: &'static str, command: &mut Command) -> Result<Self> {
        let output = command.output().with_context(|| format!("running {command:?}"))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        Ok(Self { platform, said, is_well: output.status.success() })
    }
}

/// A platform that can be measured. It has been filled before: the catalog, the accounts and
/// the people's tokens.
pub trait Platform {
    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// Starts its server on the data that it was filled with.
    fn launch(&self) -> Result<Server>;

    /// Requests that read a course each.
    fn reads(&self) -> Vec<Vec<u8>>;

    /// Requests that list the first [`PAGE`] courses of a category and level.
    fn lists(&self) -> Vec<Vec<u8>>;

    /// Requests that sign in with a password.
    fn sign_ins(&self) -> Vec<Vec<u8>>;

    /// Opens a section of a course of its own.
    fn open_section(&self, address: SocketAddr, plan: SectionPlan) -> Result<Section>;

    /// Requests by which each of these people asks for a seat.
    fn enrollments(&self, section: &Section, people: Range<usize>) -> Vec<Vec<u8>>;

    /// What an answer to such a request means.
    fn verdict(&self, status: u16, body: &[u8]) -> Verdict;

    /// How many have a seat, as the platform tells afterwards.
    fn confirmed(&self, address: SocketAddr, section: &Section) -> Result<usize>;

    /// What the platform counts.
    fn counters(&self, _: SocketAddr) -> Result<Counters> {
        Ok(Counters::default())
    }

    /// How long it's waited until nothing is under way.
    fn patience(&self) -> Patience {
        Patience { every: Duration::from_millis(10), without_progress: Duration::from_mins(1) }
    }

    /// Audits the data, while the server runs; nothing where the platform has no audit.
    fn audit(&self) -> Result<Option<Audit>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_is_taken_off_and_what_is_not_counted_stays_unknown() {
        let then = Commits { made: 10, conflicts: 1, writes: 50 };
        let now = Commits { made: 14, conflicts: 3, writes: 90 };
        let counted = |commits, enrolling| Counters {
            commits: Some(commits),
            conflicts: Some(5),
            enrolling,
            ..Counters::default()
        };
        let added = counted(30, Some(now)).since(counted(20, Some(then)));
        assert_eq!(added.enrolling, Some(Commits { made: 4, conflicts: 2, writes: 40 }));
        assert_eq!((added.commits, added.tried()), (Some(10), Some(10)));
        let unknown = counted(30, Some(now)).since(Counters::default());
        assert_eq!((unknown.enrolling, unknown.tried(), unknown.syncs), (None, None, None));
    }

    #[test]
    fn an_audit_is_well_when_its_command_is() {
        let audit = |script| Audit::by("x", Command::new("sh").args(["-c", script])).unwrap();
        assert!(audit("echo Nothing").is_well);
        let found = audit("echo 2 violations; exit 1");
        assert_eq!((found.is_well, &*found.said), (false, "2 violations"));
    }
}
