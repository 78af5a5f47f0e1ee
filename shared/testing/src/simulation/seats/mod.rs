//! Seats under fire: enrollments with its people, its instructor, its courses and
//! a reader, and the laws that its promises come to.

mod book;
mod courses;
mod every;
mod people;
mod reader;
mod reference;
mod small;

use std::{pin::Pin, sync::Arc};

use contracts::{
    Language, TimeZone,
    courses::{GetSectionFacts, SECTION_NOT_FOUND},
    identity::{Contact, GetContact},
};
use runtime::{Domain, Ports, Settings};

use self::{
    book::Ledger,
    courses::{Catalog, Manner},
};
pub use self::{
    every::{Section, every_small_world, every_small_world_of},
    reader::{forgetful_reader, reader},
    small::{Act, Prepared, Small},
};
use super::{Asked, Dice, Heard, Person, Service, World};
use crate::facts;

/// Which domains play: the real ones, or wrong ones that must be found out.
#[derive(Clone)]
pub struct Cast {
    enrollments: fn() -> Domain,
    reader: fn() -> Domain,
    ports: Arc<dyn Fn(Ports) -> Ports>,
    /// How many seats each block has; nothing: as many as they have outside.
    seats_in_block: Option<u32>,
}

impl Cast {
    /// Enrollments, and a reader that notes each event once.
    pub fn of(enrollments: fn() -> Domain) -> Self {
        Self { enrollments, reader, ports: Arc::new(|ports| ports), seats_in_block: None }
    }

    /// With blocks of so many seats each, over which a section's seats are spread as
    /// soon as there are two. How many they have in a crowd its seed says.
    #[must_use]
    pub const fn in_blocks_of(mut self, seats: u32) -> Self {
        self.seats_in_block = Some(seats);
        self
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
        let (between, seats_in_block) = (self.ports.clone(), self.seats_in_block);
        Service::of(self.enrollments).instances(instances).with_ports(move |mut ports| {
            if let Some(seats_in_block) = seats_in_block {
                let settings = Settings::clone(&ports.settings);
                ports.settings = Arc::new(Settings { seats_in_block, ..settings });
            }
            between(ports)
        })
    }
}

/// What a crowd is mostly busy with, so that each kind of trouble gets its seeds.
struct Busy {
    sections: usize,
    capacities: &'static [Option<u32>],
    learners: usize,
    /// How often somebody does something, at least and at most.
    learning: (usize, usize),
    teaching: (usize, usize),
    changing: (usize, usize),
    /// How many changes in a thousand have a rival at the same time.
    rivalry: usize,
    /// How many sections in a thousand ask for approval.
    approval: usize,
    /// How many sections in a thousand offer the seats that become free.
    offers: usize,
}

impl Busy {
    fn of(dice: &mut Dice) -> Self {
        match dice.below(5) {
            // With the few seats.
            0 => Self {
                sections: 1 + dice.below(2),
                capacities: &[Some(0), Some(1), Some(1), Some(2), Some(3), None],
                learners: 4 + dice.below(2),
                learning: (3, 5),
                teaching: (0, 3),
                changing: (0, 1),
                rivalry: 300,
                approval: 100,
                offers: 0,
            },
            // With the instructor's reviews.
            1 => Self {
                sections: 1,
                capacities: &[Some(0), Some(1), Some(2)],
                learners: 4 + dice.below(2),
                learning: (2, 4),
                teaching: (5, 9),
                changing: (0, 1),
                rivalry: 300,
                approval: 1000,
                offers: 0,
            },
            // With changes of the sections.
            2 => Self {
                sections: 1,
                capacities: &[Some(1), Some(2), Some(3)],
                learners: 4 + dice.below(2),
                learning: (2, 4),
                teaching: (0, 2),
                changing: (1, 3),
                rivalry: 500,
                approval: 200,
                offers: 100,
            },
            // With seats that are offered.
            3 => Self {
                sections: 1 + dice.below(2),
                capacities: &[Some(1), Some(1), Some(2)],
                learners: 5,
                learning: (4, 7),
                teaching: (0, 4),
                changing: (0, 1),
                rivalry: 300,
                approval: 100,
                offers: 1000,
            },
            // With rival changes of a section that fills.
            _ => Self {
                sections: 1,
                capacities: &[Some(3), Some(4), Some(5)],
                learners: 5,
                learning: (1, 2),
                teaching: (0, 2),
                changing: (1, 2),
                rivalry: 1000,
                approval: 0,
                offers: 0,
            },
        }
    }
}

/// The world of a seed: a few people who want the same few seats, an instructor,
/// and two who change the sections at the same time.
pub fn crowd(cast: &Cast, seed: u64) -> World {
    let mut dice = Dice::of(seed ^ 0x5ea7);
    let busy = Busy::of(&mut dice);
    let sections = (1..=busy.sections).map(|number| {
        let capacity = *dice.one_of(busy.capacities);
        let mut facts = facts::section(&format!("s{number}"), capacity);
        facts.waitlist_capacity = *dice.one_of(&[None, None, None, Some(1), Some(2), Some(0)]);
        facts.approval_required = dice.chance(busy.approval);
        facts.offer_hours = dice.chance(busy.offers).then_some(1);
        facts
    });
    let ledger = Ledger::new(Catalog::of(sections.collect()));
    // Blocks of one seat are the most, and those of more are spread while somebody has a seat.
    let is_spread = cast.seats_in_block.is_some();
    let seats_in_block = is_spread.then_some(1 + u32::from(seed % 2 == 1));
    let cast = Cast { seats_in_block, ..cast.clone() };
    let enrollments = cast.enrollments(1 + dice.below(2));
    let reader = Service::of(cast.reader).instances(1 + dice.below(2));
    let options = if is_spread { " --blocks" } else { "" };
    let world = World::new(vec![enrollments, reader], ledger.clone(), seed);
    let mut world = world.opened_by(options);
    if dice.chance(500) {
        world = world.relaying_later();
    }
    play_the_others(&world, &ledger);
    let mut enters = |name: &str, turns: (usize, usize), acts: &dyn Fn(Part) -> Acting| {
        let turns = turns.0 + dice.below(1 + turns.1 - turns.0);
        let (ledger, dice) = (ledger.clone(), Dice::of(dice.throw()));
        world.enter(name, |person| acts(Part { person, ledger, dice, turns }));
    };
    for name in ["ada", "bob", "cid", "dan", "eve"].iter().take(busy.learners) {
        enters(name, busy.learning, &|part| Box::pin(people::learns(part, busy.offers > 0)));
    }
    enters("ines", busy.teaching, &|part| Box::pin(people::teaches(part)));
    if busy.offers > 0 {
        enters("time", (1, 5), &|part| Box::pin(people::waits(part)));
    }
    for name in ["root", "rita"] {
        enters(name, busy.changing, &|part| Box::pin(people::runs_courses(part, busy.rivalry)));
    }
    world
}

/// Somebody's part in a crowd.
struct Part {
    person: Person,
    ledger: Ledger,
    dice: Dice,
    /// How often they do something.
    turns: usize,
}

type Acting = Pin<Box<dyn Future<Output = ()> + Send>>;

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
