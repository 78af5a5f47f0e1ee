//! A platform that can be measured: what each scenario asks of it, whatever its paths and its
//! words are.

use std::{net::SocketAddr, ops::Range};

use anyhow::Result;

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
            transactions: added(self.transactions, earlier.transactions),
            syncs: added(self.syncs, earlier.syncs),
            ..self
        }
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
}
