//! Small worlds: one section, a few who have joined it, and a few things that
//! happen at once. They are small enough to try every order.

use std::time::Duration;

use serde_json::json;

use super::{
    Cast, Catalog, Ledger, Manner, Service,
    courses::{cancel, change_capacity, tell_of},
    people::{accept_offer, cancel_enrollment, enroll, review, transfer},
    play_the_others,
};
use crate::simulation::{Person, World, documents::Documents};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Somebody enrolls.
    Enroll(&'static str),
    /// Somebody who has joined leaves.
    Leave(&'static str),
    /// Somebody accepts the seat that they are offered.
    Accept(&'static str),
    /// Two hours pass, and what has lapsed is cleared away.
    Lapse,
    /// The instructor hands somebody's seat to somebody else.
    HandOver(&'static str, &'static str),
    /// The instructor approves somebody's request.
    Approve(&'static str),
    /// The instructor rejects somebody's request.
    Reject(&'static str),
    /// Courses change how many seats there are.
    Capacity(u32),
    /// Courses cancel the section.
    CancelSection,
}

/// A small world.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Small {
    /// How many seats there are.
    pub capacity: u32,
    /// How many may wait; nothing: any number.
    pub waitlist_capacity: Option<u32>,
    /// Whether an instructor must approve.
    pub approval_required: bool,
    /// How long a seat that became free is kept for the first of the queue.
    pub offer_hours: Option<u32>,
    /// Whether courses have told of the section before anybody came: only then are its
    /// seats spread. Otherwise it's asked for by who comes first.
    pub is_known: bool,
    /// What has happened before, one after the other.
    pub before: Vec<Act>,
    /// What happens at once.
    pub acts: Vec<Act>,
    /// Whether all talk to one process, or each to one of their own.
    pub one_process: bool,
    /// Whether events are relayed as they come to be; or all of them when all else
    /// has happened, which takes fewer orders.
    pub relays_at_once: bool,
    /// Whether documents that are asked for together are read at one moment, as both real
    /// stores do; or others may write between any two of them, which takes more orders.
    pub reads_at_one_moment: bool,
    /// Whether courses tell of what they change as soon as it's made. If they don't,
    /// there's only what was promised before, until the event comes.
    pub told_at_once: bool,
}

/// A small world, ready to be opened again and again.
pub struct Prepared {
    small: Small,
    cast: Cast,
    ledger: Ledger,
    documents: Vec<Documents>,
    /// A law that was broken before.
    broken: Option<String>,
}

impl Small {
    /// One section with so many seats, which these have joined, and these acts.
    pub fn of(capacity: u32, joined: &[&'static str], acts: &[Act]) -> Self {
        Self {
            capacity,
            waitlist_capacity: None,
            approval_required: false,
            offer_hours: None,
            is_known: false,
            before: joined.iter().copied().map(Act::Enroll).collect(),
            acts: acts.to_vec(),
            one_process: false,
            relays_at_once: false,
            reads_at_one_moment: false,
            told_at_once: true,
        }
    }

    /// Lets happen what has happened before.
    pub fn prepare(self, cast: &Cast) -> Prepared {
        let mut facts = crate::facts::section("s1", Some(self.capacity));
        facts.waitlist_capacity = self.waitlist_capacity;
        facts.approval_required = self.approval_required;
        facts.offer_hours = self.offer_hours;
        let ledger = Ledger::new(Catalog::of(vec![facts]));
        let mut world = self.empty(cast, &ledger, 1, 1);
        if self.is_known {
            world.enter("root", |person| tell_of(person, ledger.clone(), "s1"));
            world.pass_all();
        }
        for (number, act) in self.before.iter().enumerate() {
            self.enter(&mut world, &ledger, *act, format!("before-{number}"));
            world.pass_all();
        }
        world.settle();
        let (documents, broken) = (world.documents(), world.violation());
        Prepared { documents, small: self, cast: cast.clone(), ledger, broken }
    }

    /// The section with nobody in it; another seed gives other ids.
    fn empty(&self, cast: &Cast, ledger: &Ledger, instances: usize, seed: u64) -> World {
        let services = vec![cast.enrollments(instances), Service::of(cast.reader)];
        let world = World::new(services, ledger.clone(), seed).routed_by_caller();
        play_the_others(&world, ledger);
        let world = if self.reads_at_one_moment { world.reading_at_one_moment() } else { world };
        if self.relays_at_once { world } else { world.relaying_later() }
    }

    /// Lets somebody in who does this.
    fn enter(&self, world: &mut World, ledger: &Ledger, act: Act, key: String) {
        let manner = Manner {
            slowness: 0,
            told_at_once: self.told_at_once,
            event_at_once: self.relays_at_once,
        };
        world.enter(act.by(), |person| happen(act, person, ledger.clone(), key, manner));
    }
}

impl Prepared {
    /// The world, in which all acts are about to happen.
    pub fn open(&self) -> World {
        let instances = if self.small.one_process { 1 } else { self.small.acts.len() };
        let ledger = self.ledger.copied();
        let world = self.small.empty(&self.cast, &ledger, instances, 2);
        let mut world = world.with_documents(self.documents.clone());
        if let Some(broken) = &self.broken {
            world.hold(Err(broken.clone()));
        }
        for (number, act) in self.small.acts.iter().enumerate() {
            self.small.enter(&mut world, &ledger, *act, format!("key-{number}"));
        }
        world
    }
}

impl Act {
    /// Who does it.
    const fn by(self) -> &'static str {
        match self {
            Self::Enroll(name) | Self::Leave(name) | Self::Accept(name) => name,
            Self::Approve(_) | Self::Reject(_) | Self::HandOver(..) => "ines",
            Self::Lapse => "time",
            Self::Capacity(_) | Self::CancelSection => "root",
        }
    }

    /// The same of somebody who is called otherwise.
    pub(super) fn renamed(self, called: impl Fn(&'static str) -> &'static str) -> Self {
        match self {
            Self::Enroll(name) => Self::Enroll(called(name)),
            Self::Leave(name) => Self::Leave(called(name)),
            Self::Accept(name) => Self::Accept(called(name)),
            Self::HandOver(name, to) => Self::HandOver(called(name), called(to)),
            Self::Approve(name) => Self::Approve(called(name)),
            Self::Reject(name) => Self::Reject(called(name)),
            Self::Lapse | Self::Capacity(_) | Self::CancelSection => self,
        }
    }
}

async fn happen(act: Act, person: Person, ledger: Ledger, key: String, manner: Manner) {
    let id = |name: &str| ledger.look(|book| book.enrollment_of(name)).unwrap_or_default();
    let asked = match act {
        Act::Enroll(_) => enroll("s1", json!({}), &key),
        Act::Leave(name) => cancel_enrollment(&id(name), &key),
        Act::Accept(name) => accept_offer(&id(name), &key),
        Act::HandOver(name, to) => transfer(&id(name), json!({ "to_user_id": to }), &key),
        Act::Lapse => {
            person.pause(Duration::from_hours(2)).await;
            return person.have_run("enrollments.lapse_offers").await;
        }
        Act::Approve(name) => review(&id(name), "approve", &key),
        Act::Reject(name) => review(&id(name), "reject", &key),
        Act::Capacity(capacity) => {
            return change_capacity(&person, &ledger, "s1", Some(capacity), manner).await;
        }
        Act::CancelSection => return cancel(&person, &ledger, "s1").await,
    };
    let teaches = matches!(act, Act::Approve(_) | Act::Reject(_) | Act::HandOver(..));
    let person = if teaches { person.teaching() } else { person };
    let heard = person.insist(&asked).await;
    ledger.note(&asked, &heard);
}
