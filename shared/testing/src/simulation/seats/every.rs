//! Every small world: whatever may happen to a section at once, in every
//! combination, from each way in which a section may be.

use std::fmt;

use super::{
    Cast,
    small::{
        Act::{self, Accept, Approve, CancelSection, Capacity, Enroll, Lapse, Leave, Reject},
        Small,
    },
};

/// A way in which a section may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// One seat is free.
    Free,
    /// All seats are taken, and one person waits.
    Full,
    /// An instructor approves: one seat is free, two people ask, and one may wait.
    Approving,
    /// One seat is offered, and nobody waits.
    Offering,
    /// One seat is offered, and another person waits.
    OfferingFull,
    /// An instructor approves, one seat is offered, and one person asks.
    ApprovingAndOffering,
    /// One seat is free, and seats are spread over blocks.
    FreeInBlocks,
    /// No seat is taken, and seats are spread over blocks.
    EmptyInBlocks,
    /// All seats are taken, one person waits, and blocks have been gathered.
    FullInBlocks,
    /// One seat is free, and four would be spread over blocks of two.
    GrowingInBlocks,
}

/// Those who are in the section, in the order of joining.
const MEMBERS: [&str; 5] = ["ada", "bob", "cid", "dan", "eli"];

/// Those who want to join it.
const NEWCOMERS: [&str; 4] = ["eve", "fay", "gus", "hal"];

/// Where so many things happen at once to a section with so many seats: all
/// that makes a difference, whoever of those who are alike does it.
pub fn every_small_world(
    section: Section,
    capacity: u32,
    at_once: usize,
) -> impl Iterator<Item = Small> {
    let Beginning { small, letters, alike } = section.beginning(capacity, at_once);
    let renamings = renamings(&alike);
    multisets(&letters, at_once)
        .into_iter()
        .filter(move |acts| renamings.iter().all(|to| renamed(acts, to) >= *acts))
        .map(move |acts| Small { acts, ..small.clone() })
}

/// The same of every section, with one seat to three.
pub fn every_small_world_of(at_once: usize) -> impl Iterator<Item = (Section, Small)> {
    Section::ALL.into_iter().flat_map(move |section| {
        let worlds = (1..=3).flat_map(move |seats| every_small_world(section, seats, at_once));
        worlds.map(move |small| (section, small))
    })
}

/// How a section is before, what may happen to it, and who is like whom.
struct Beginning {
    small: Small,
    letters: Vec<Act>,
    alike: Vec<Vec<&'static str>>,
}

impl Section {
    /// All ways in which a section may be.
    pub const ALL: [Self; 10] = [
        Self::Free,
        Self::Full,
        Self::Approving,
        Self::Offering,
        Self::OfferingFull,
        Self::ApprovingAndOffering,
        Self::FreeInBlocks,
        Self::EmptyInBlocks,
        Self::FullInBlocks,
        Self::GrowingInBlocks,
    ];

    /// Those who play in it, from those who play where seats aren't spread.
    #[must_use]
    pub fn cast(self, cast: &Cast) -> Cast {
        match self.seats_in_block() {
            Some(seats) => cast.clone().in_blocks_of(seats),
            None => cast.clone(),
        }
    }

    /// How many seats a block has, where they are spread.
    const fn seats_in_block(self) -> Option<u32> {
        match self {
            Self::FreeInBlocks | Self::EmptyInBlocks | Self::FullInBlocks => Some(1),
            Self::GrowingInBlocks => Some(2),
            _ => None,
        }
    }

    fn beginning(self, capacity: u32, at_once: usize) -> Beginning {
        let seats = capacity as usize;
        let newcomers = NEWCOMERS[..at_once].to_vec();
        let mut small = Small::of(capacity, &[], &[]);
        small.is_known = self.seats_in_block().is_some();
        let mut letters: Vec<_> = newcomers.iter().copied().map(Enroll).collect();
        let more = if self == Self::GrowingInBlocks { 4 } else { capacity + 1 };
        letters.extend([Capacity(more), Capacity(capacity - 1), CancelSection]);
        let mut alike = vec![newcomers];
        let mut sit = |those: &[&'static str]| {
            letters.extend(those.iter().copied().map(Leave));
            alike.push(those.to_vec());
        };
        match self {
            Self::Free | Self::FreeInBlocks | Self::GrowingInBlocks => {
                small.waitlist_capacity = Some(2);
                let seated = &MEMBERS[..seats - 1];
                small.before = seated.iter().copied().map(Enroll).collect();
                sit(seated);
            }
            Self::EmptyInBlocks => small.waitlist_capacity = Some(1),
            Self::Full | Self::FullInBlocks => {
                small.waitlist_capacity = Some(2);
                small.before = MEMBERS[..=seats].iter().copied().map(Enroll).collect();
                sit(&MEMBERS[..seats]);
                letters.push(Leave(MEMBERS[seats]));
            }
            Self::Approving => {
                small.approval_required = true;
                small.waitlist_capacity = Some(1);
                let (seated, asking) = MEMBERS[..=seats].split_at(seats - 1);
                let approved = seated.iter().flat_map(|it| [Enroll(it), Approve(it)]);
                small.before = approved.chain(asking.iter().copied().map(Enroll)).collect();
                sit(seated);
                sit(asking);
                letters.extend(asking.iter().flat_map(|it| [Approve(it), Reject(it)]));
            }
            Self::Offering | Self::OfferingFull => {
                small.offer_hours = Some(1);
                small.waitlist_capacity = Some(2);
                let joined = seats + 1 + usize::from(self == Self::OfferingFull);
                small.before = MEMBERS[..joined].iter().copied().map(Enroll).collect();
                small.before.push(Leave(MEMBERS[0]));
                sit(&MEMBERS[1..seats]);
                let offered = MEMBERS[seats];
                letters.extend([Accept(offered), Leave(offered), Enroll(offered), Lapse]);
                letters.extend(MEMBERS[seats + 1..joined].iter().copied().map(Leave));
            }
            Self::ApprovingAndOffering => {
                (small.approval_required, small.offer_hours) = (true, Some(1));
                small.waitlist_capacity = Some(1);
                let approved = MEMBERS[..=seats].iter().flat_map(|it| [Enroll(it), Approve(it)]);
                small.before = approved.collect();
                let (offered, asking) = (MEMBERS[seats], MEMBERS[seats + 1]);
                small.before.extend([Leave(MEMBERS[0]), Enroll(asking)]);
                sit(&MEMBERS[1..seats]);
                letters.extend([Accept(offered), Leave(offered), Lapse]);
                letters.extend([Approve(asking), Reject(asking), Leave(asking)]);
            }
        }
        Beginning { small, letters, alike }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Free => "one seat is free",
            Self::Full => "one person waits",
            Self::Approving => "one seat is free and two ask for approval",
            Self::Offering => "one seat is offered",
            Self::OfferingFull => "one seat is offered and one person waits",
            Self::ApprovingAndOffering => "one seat is offered and one asks for approval",
            Self::FreeInBlocks => "one seat is free in blocks",
            Self::EmptyInBlocks => "all seats are free in blocks",
            Self::FullInBlocks => "one person waits, and seats may be in blocks",
            Self::GrowingInBlocks => "one seat is free, and more would be in blocks of two",
        })
    }
}

/// All multisets of so many of these, each in order.
fn multisets(letters: &[Act], count: usize) -> Vec<Vec<Act>> {
    let mut letters = letters.to_vec();
    letters.sort();
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let longer = |acts: &Vec<Act>| {
            let from = acts.last().map_or(0, |last| letters.partition_point(|it| it < last));
            let more = letters[from..].iter().map(|act| [acts as &[_], &[*act]].concat());
            more.collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// Who is to be called what, so that those who are alike change places.
type Renaming = Vec<(&'static str, &'static str)>;

fn renamings(alike: &[Vec<&'static str>]) -> Vec<Renaming> {
    let mut all = vec![Vec::new()];
    for those in alike {
        let orders = orders(those);
        let with = |before: &Renaming| {
            let pairs = |order: &Vec<&'static str>| {
                let pairs = those.iter().copied().zip(order.iter().copied());
                before.iter().copied().chain(pairs).collect::<Renaming>()
            };
            orders.iter().map(pairs).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
}

/// All orders of some.
fn orders(those: &[&'static str]) -> Vec<Vec<&'static str>> {
    let Some((first, others)) = those.split_first() else { return vec![Vec::new()] };
    let with = |order: Vec<&'static str>| {
        let at = |place: usize| {
            let mut order = order.clone();
            order.insert(place, *first);
            order
        };
        (0..=order.len()).map(at).collect::<Vec<_>>()
    };
    orders(others).into_iter().flat_map(with).collect()
}

/// The same acts of people who have changed places.
fn renamed(acts: &[Act], to: &Renaming) -> Vec<Act> {
    let called = |name: &'static str| to.iter().find(|it| it.0 == name).map_or(name, |it| it.1);
    let mut acts: Vec<_> = acts.iter().map(|act| act.renamed(called)).collect();
    acts.sort();
    acts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(section: Section, capacity: u32, at_once: usize) -> Vec<Vec<Act>> {
        every_small_world(section, capacity, at_once).map(|small| small.acts).collect()
    }

    #[test]
    fn nobody_who_is_like_somebody_else_makes_another_world() {
        let pairs = acts(Section::Free, 1, 2);
        // Somebody twice, or two people.
        let enrolled: Vec<_> =
            pairs.iter().filter(|acts| acts.iter().all(|act| matches!(act, Enroll(_)))).collect();
        assert_eq!(enrolled, [&[Enroll("eve"), Enroll("eve")], &[Enroll("eve"), Enroll("fay")]]);
        // Four things, and the two ways in which two enroll.
        assert_eq!(pairs.len(), 4 * 5 / 2 + 1);
    }

    #[test]
    fn each_of_the_eight_actions_meets_each_other_one() {
        let is: [fn(&Act) -> bool; 8] = [
            |act| matches!(act, Enroll(_)),
            |act| matches!(act, Leave(_)),
            |act| matches!(act, Approve(_)),
            |act| matches!(act, Reject(_)),
            |act| matches!(act, Capacity(4)),
            |act| matches!(act, Capacity(2)),
            |act| matches!(act, CancelSection),
            |act| matches!(act, Lapse),
        ];
        let all: Vec<_> = Section::ALL.iter().flat_map(|it| acts(*it, 3, 2)).collect();
        for one in is {
            for other in is {
                let meet = |acts: &Vec<Act>| {
                    (one(&acts[0]) && other(&acts[1])) || (one(&acts[1]) && other(&acts[0]))
                };
                assert!(all.iter().any(meet));
            }
        }
    }
}
