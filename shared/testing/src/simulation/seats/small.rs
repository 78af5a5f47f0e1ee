//! Small worlds: one section, a few who have joined it, and a few things that
//! happen at once. They are small enough to try every order.

use std::time::Duration;

use serde_json::json;

use super::{
    Cast, Catalog, Ledger, Manner, Service,
    courses::{cancel, change_capacity},
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
    /// Who has joined before, in this order.
    pub joined: Vec<&'static str>,
    /// What happens at once.
    pub acts: Vec<Act>,
    /// Who has left again before, in this order.
    pub left: Vec<&'static str>,
    /// Whether all talk to one process, or each to one of their own.
    pub one_process: bool,
    /// Whether events are relayed, and a reader notes them.
    pub is_read: bool,
    /// Whether courses tell of what they change. If they don't, there's only what
    /// was promised before.
    pub is_told: bool,
}

/// A small world, ready to be opened again and again.
pub struct Prepared {
    small: Small,
    cast: Cast,
    ledger: Ledger,
    documents: Vec<Documents>,
}

impl Small {
    /// One section with so many seats, which these have joined, and these acts.
    pub fn of(capacity: u32, joined: &[&'static str], acts: &[Act]) -> Self {
        Self {
            capacity,
            waitlist_capacity: None,
            approval_required: false,
            offer_hours: None,
            joined: joined.to_vec(),
            acts: acts.to_vec(),
            left: Vec::new(),
            one_process: false,
            is_read: false,
            is_told: true,
        }
    }

    /// Lets those join who have joined before.
    pub fn prepare(self, cast: &Cast) -> Prepared {
        let mut facts = crate::facts::section("s1", Some(self.capacity));
        facts.waitlist_capacity = self.waitlist_capacity;
        facts.approval_required = self.approval_required;
        facts.offer_hours = self.offer_hours;
        // A seat that becomes free with the time is given on by a tick, if there's one.
        let ticks = self.is_read || !self.acts.contains(&Act::Lapse);
        let is_settled = self.is_told && ticks;
        let ledger = Ledger::new(Catalog::of(vec![facts]), self.is_read, is_settled);
        let mut world = self.empty(cast, &ledger, 1, 1);
        for name in &self.joined {
            let ledger = ledger.clone();
            world.enter(name, |person| async move {
                let asked = enroll("s1", json!({}), &format!("{}-before", person.name));
                let heard = person.insist(&asked).await;
                ledger.note(&asked, &heard);
            });
            world.pass_all();
        }
        for name in &self.left {
            let ledger = ledger.clone();
            world.enter(name, |person| async move {
                let id = ledger.look(|book| book.enrollment_of(&person.name)).unwrap_or_default();
                let asked = cancel_enrollment(&id, &format!("{}-left", person.name));
                let heard = person.insist(&asked).await;
                ledger.note(&asked, &heard);
            });
            world.pass_all();
        }
        Prepared { documents: world.documents(), small: self, cast: cast.clone(), ledger }
    }

    /// The section with nobody in it; another seed gives other ids.
    fn empty(&self, cast: &Cast, ledger: &Ledger, instances: usize, seed: u64) -> World {
        let mut services = vec![cast.enrollments(instances)];
        if self.is_read {
            services.push(Service::of(cast.reader));
        }
        let world = World::new(services, ledger.clone(), seed).routed_by_caller();
        play_the_others(&world, ledger);
        if self.is_read { world } else { world.relaying_later() }
    }
}

impl Prepared {
    /// The world, in which all acts are about to happen.
    pub fn open(&self) -> World {
        // Events and jobs go to the last process, which is theirs alone.
        let is_theirs = |act: &Act| matches!(act, Act::CancelSection | Act::Lapse);
        let events = usize::from(self.small.acts.iter().any(is_theirs));
        let instances = if self.small.one_process { 1 } else { self.small.acts.len() + events };
        let ledger = self.ledger.copied();
        let world = self.small.empty(&self.cast, &ledger, instances, 2);
        let mut world = world.with_documents(self.documents.clone());
        for (number, act) in self.small.acts.iter().enumerate() {
            let (ledger, act, key) = (ledger.clone(), *act, format!("key-{number}"));
            let manner = Manner {
                slowness: 0,
                told_at_once: self.small.is_told,
                told_by_event: self.small.is_read,
            };
            world.enter(act.by(), |person| happen(act, person, ledger, key, manner));
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
