//! Seats under fire: enrollments with its people, its instructor, its courses and
//! a reader, and the laws that its promises come to.

mod book;
mod courses;
mod people;
mod reader;
mod reference;
mod small;

use std::sync::Arc;

use contracts::{
    Language, TimeZone,
    courses::{GetSectionFacts, SECTION_NOT_FOUND},
    identity::{Contact, GetContact},
};
use runtime::{Domain, Ports};

use self::{
    book::Ledger,
    courses::{Catalog, Telling},
};
use super::{Asked, Dice, Heard, Person, Service, World};
pub use self::{
    reader::{forgetful_reader, reader},
    small::{Act, Prepared, Small},
};

/// Which domains play: the real ones, or wrong ones that must be found out.
#[derive(Clone)]
pub struct Cast {
    enrollments: fn() -> Domain,
    reader: fn() -> Domain,
    ports: Arc<dyn Fn(Ports) -> Ports>,
}

impl Cast {
    /// Enrollments, and a reader that notes each event once.
    pub fn of(enrollments: fn() -> Domain) -> Self {
        Self { enrollments, reader, ports: Arc::new(|ports| ports) }
    }

    /// With another reader.
    #[must_use]
    pub fn with_reader(mut self, reader: fn() -> Domain) -> Self {
        self.reader = reader;
        self
    }

    /// With something between the functions of enrollments and their ports.
    #[must_use]
    pub fn with_ports(mut self, ports: impl Fn(Ports) -> Ports + 'static) -> Self {
        self.ports = Arc::new(ports);
        self
    }

    fn enrollments(&self, instances: usize) -> Service {
        let ports = self.ports.clone();
        Service::of(self.enrollments).instances(instances).with_ports(move |given| ports(given))
    }
}

/// The world of a seed: a few people who want the same few seats, an instructor,
/// and two who change the sections at the same time.
pub fn crowd(cast: &Cast, seed: u64) -> World {
    let mut dice = Dice::of(seed ^ 0x5ea7);
    let sections = (1..=1 + dice.below(2)).map(|number| {
        let capacity = [Some(0), Some(1), Some(1), Some(2), Some(3), None][dice.below(6)];
        let mut facts = courses::section(&format!("s{number}"), capacity);
        facts.waitlist_capacity = [None, None, Some(1), Some(2), Some(0)][dice.below(5)];
        facts.approval_required = dice.chance(250);
        facts
    });
    let ledger = Ledger::new(Catalog::of(sections.collect()), true);
    let services =
        vec![cast.enrollments(1 + dice.below(2)), Service::of(cast.reader).instances(1 + dice.below(2))];
    let mut world = World::new(services, ledger.clone(), seed);
    if dice.chance(500) {
        world = world.relaying_later();
    }
    play_the_others(&world, &ledger);
    for name in ["ada", "bob", "cid", "dan", "eve"].iter().take(3 + dice.below(3)) {
        let (ledger, dice) = (ledger.clone(), Dice::of(dice.throw()));
        world.enter(name, |person| people::learns(person, ledger, dice));
    }
    let (its, chance) = (ledger.clone(), Dice::of(dice.throw()));
    world.enter("ines", |person| people::teaches(person.teaching(), its, chance));
    for name in ["root", "rita"] {
        let (ledger, dice) = (ledger.clone(), Dice::of(dice.throw()));
        world.enter(name, |person| people::runs_courses(person, ledger, dice));
    }
    world
}

/// Plays what enrollments ask of courses and identity.
fn play_the_others(world: &World, ledger: &Ledger) {
    let ledger = ledger.clone();
    world.play::<GetSectionFacts>(move |request| {
        let id = request.section_id.as_str();
        ledger.look(|book| book.catalog.facts(id)).ok_or(SECTION_NOT_FOUND)
    });
    world.play::<GetContact>(|request| {
        Ok(Contact {
            user_id: request.user_id,
            email: "someone@example.org".into(),
            name: "Someone".into(),
            locale: Language::Es,
            time_zone: TimeZone::default(),
            revision: 1,
        })
    });
}
