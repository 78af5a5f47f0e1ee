//! Orders: every order of small worlds that may make a difference.

use testing::simulation::{
    Explored, explore,
    seats::{
        Act::{
            self, Accept, Approve, CancelSection, Capacity, Enroll, HandOver, Lapse, Leave, Reject,
        },
        Cast, Small,
    },
};

use crate::{
    spreading,
    wrong::{Wrong, enrollments_with},
};

/// Tries every order of some worlds, and says how many there are.
fn try_every_order(what: &str, worlds: impl IntoIterator<Item = Small>) {
    try_every_order_of(&Cast::of(enrollments::domain), what, worlds);
}

fn try_every_order_of(cast: &Cast, what: &str, worlds: impl IntoIterator<Item = Small>) {
    let (mut all, mut count) = (Explored::default(), 0);
    for small in worlds {
        let said = format!("{small:?}");
        let prepared = small.prepare(cast);
        match explore(&|| prepared.open()) {
            Ok(explored) => all += explored,
            Err(broken) => panic!("{broken}\n{said}"),
        }
        count += 1;
    }
    let Explored { schedules, longest, .. } = all;
    println!("{what}: {count} worlds, {schedules} schedules, the longest of {longest} steps");
}

/// All pairs of these, each with itself too.
fn pairs(acts: &[Act]) -> impl Iterator<Item = [Act; 2]> {
    let from = move |first: usize| acts[first..].iter().map(move |second| [acts[first], *second]);
    (0..acts.len()).flat_map(from)
}

#[test]
fn two_things_at_once() {
    let worlds = (1..=3).flat_map(|capacity| {
        // One more has joined than there are seats, and one fewer.
        let joined = &["ada", "bob", "cid", "dan"];
        let seats = capacity as usize;
        let full = [Enroll("eve"), Leave("ada"), Leave(joined[seats]), Capacity(capacity + 1)];
        let full = [&full as &[_], &[Capacity(capacity - 1), CancelSection]].concat();
        let free = [Enroll("eve"), Enroll("fay"), Capacity(capacity - 1), Capacity(capacity + 1)];
        let free = [&free as &[_], &[CancelSection]].concat();
        let full = pairs(&full).map(|acts| Small::of(capacity, &joined[..=seats], &acts));
        let free = pairs(&free).map(|acts| Small::of(capacity, &joined[..seats - 1], &acts));
        full.chain(free).collect::<Vec<_>>()
    });
    try_every_order("two at once", worlds);
}

#[test]
fn two_things_at_once_where_an_instructor_approves() {
    let acts =
        [Approve("ada"), Approve("bob"), Reject("ada"), Leave("ada"), Capacity(2), CancelSection];
    let worlds = pairs(&acts).map(|acts| Small {
        approval_required: true,
        waitlist_capacity: Some(1),
        ..Small::of(1, &["ada", "bob"], &acts)
    });
    try_every_order("two at once, with approval", worlds);
}

#[test]
fn three_things_at_once() {
    let worlds = [
        Small::of(2, &["ada"], &[Enroll("bob"), Enroll("cid"), Enroll("dan")]),
        Small::of(1, &[], &[Enroll("ada"), Enroll("bob"), Enroll("cid")]),
        Small::of(1, &["ada", "bob"], &[Leave("ada"), Leave("bob"), Enroll("cid")]),
        Small::of(1, &["ada", "bob"], &[Leave("ada"), Leave("ada"), Leave("bob")]),
        Small::of(2, &["ada", "bob", "cid"], &[Leave("ada"), Capacity(1), Enroll("dan")]),
        Small {
            is_told: false,
            ..Small::of(3, &["ada"], &[Capacity(1), Capacity(2), Enroll("bob")])
        },
        Small::of(2, &["ada"], &[Capacity(1), Capacity(3), Enroll("bob")]),
    ];
    try_every_order("three at once", worlds);
}

#[test]
fn three_or_four_things_at_once_where_an_instructor_approves() {
    let joined = ["ada", "bob", "cid"];
    let acts: [&[Act]; 3] = [
        &[Approve("ada"), Approve("bob"), Leave("ada")],
        &[Approve("ada"), Approve("bob"), Capacity(2)],
        &[Approve("ada"), Approve("bob"), Approve("cid"), Reject("cid")],
    ];
    let worlds = acts.map(|acts| Small { approval_required: true, ..Small::of(1, &joined, acts) });
    try_every_order("three or four at once, with approval", worlds);
}

#[test]
fn two_things_at_once_where_seats_are_spread() {
    let acts = [
        Enroll("eve"),
        Enroll("fay"),
        Leave("ada"),
        Capacity(2),
        Capacity(4),
        HandOver("ada", "eve"),
        CancelSection,
    ];
    let worlds = [&["ada"] as &[_], &["ada", "bob"], &["ada", "bob", "cid"]].into_iter().flat_map(
        |joined| pairs(&acts).map(|acts| Small::of(3, joined, &acts)).collect::<Vec<_>>(),
    );
    try_every_order_of(&spreading(), "two at once, with blocks", worlds);
}

#[test]
fn three_things_at_once_where_seats_are_spread() {
    let worlds = [
        Small::of(2, &["ada"], &[Enroll("bob"), Enroll("cid"), Leave("ada")]),
        Small::of(3, &["ada"], &[Enroll("bob"), Enroll("cid"), Enroll("dan")]),
        Small::of(3, &["ada", "bob"], &[Leave("ada"), Leave("bob"), Enroll("cid")]),
        Small::of(3, &["ada"], &[Capacity(1), Enroll("bob"), Enroll("cid")]),
        Small::of(3, &["ada", "bob"], &[Capacity(5), Leave("ada"), Enroll("cid")]),
    ];
    try_every_order_of(&spreading(), "three at once, with blocks", worlds);
}

/// A section with one seat, which was ada's and is offered to bob; cid may wait.
fn offered(joined: &[&'static str], acts: &[Act]) -> Small {
    Small { left: vec!["ada"], offer_hours: Some(1), ..Small::of(1, joined, acts) }
}

#[test]
fn two_things_at_once_where_seats_are_offered() {
    let acts = [
        Accept("bob"),
        Leave("bob"),
        Lapse,
        Enroll("dan"),
        Enroll("ada"),
        Enroll("bob"),
        Capacity(2),
        Capacity(0),
        CancelSection,
    ];
    // Jobs and events are all in one process, which takes thousands of orders.
    let is_small = |acts: &[Act; 2]| acts[0] != Lapse || ![Lapse, CancelSection].contains(&acts[1]);
    let pairs: Vec<_> = pairs(&acts).filter(is_small).collect();
    let alone = pairs.iter().map(|acts| offered(&["ada", "bob"], acts));
    let queued = pairs.iter().map(|acts| offered(&["ada", "bob", "cid"], acts));
    try_every_order("two at once, with offers", alone.chain(queued));
}

#[test]
fn three_things_at_once_where_seats_are_offered() {
    let two: [&[Act]; 4] = [
        &[Accept("bob"), Lapse, Enroll("dan")],
        &[Leave("bob"), Lapse, Accept("bob")],
        &[Lapse, Enroll("bob"), Accept("bob")],
        &[Lapse, Capacity(0), Accept("bob")],
    ];
    let worlds = two.into_iter().map(|acts| offered(&["ada", "bob"], acts));
    let queued = [offered(&["ada", "bob", "cid"], &[Accept("bob"), Lapse, Leave("cid")])];
    try_every_order("three at once, with offers", worlds.chain(queued));
}

#[test]
fn a_seat_is_handed_over_while_others_come_and_go() {
    let acts = [HandOver("ada", "eve"), Leave("ada"), Enroll("eve"), Leave("bob"), Capacity(2)];
    let worlds = acts[1..].iter().map(|act| Small::of(1, &["ada", "bob"], &[acts[0], *act]));
    try_every_order("a seat handed over", worlds);
}

#[test]
fn two_at_once_in_one_process() {
    let worlds = [&[] as &[_], &["ada"]].map(|joined| Small {
        one_process: true,
        ..Small::of(1, joined, &[Enroll("bob"), Enroll("cid")])
    });
    try_every_order("two at once in one process", worlds);
}

#[test]
fn what_is_wrong_is_found_in_a_small_world() {
    let wrong: [(fn() -> runtime::Domain, Small); 8] = [
        (
            || enrollments_with(Wrong::CountsThenInserts),
            Small::of(2, &["ada"], &[Enroll("bob"), Enroll("cid")]),
        ),
        (
            || enrollments_with(Wrong::MakesUpIds),
            Small::of(2, &["ada"], &[Enroll("bob"), Enroll("bob")]),
        ),
        (
            || enrollments_with(Wrong::IgnoresTheQueue),
            Small::of(1, &["ada", "bob"], &[Capacity(2), Enroll("cid")]),
        ),
        (
            || enrollments_with(Wrong::PromisesNothing),
            Small::of(2, &["ada"], &[Capacity(1), Enroll("bob")]),
        ),
        (
            || enrollments_with(Wrong::KeepsTheLastPromise),
            Small::of(3, &["ada"], &[Capacity(1), Capacity(2), Enroll("bob")]),
        ),
        (
            || enrollments_with(Wrong::KeepsOldPromises),
            Small::of(2, &["ada"], &[Capacity(1), Capacity(3), Enroll("bob")]),
        ),
        (
            || enrollments_with(Wrong::AcceptsWhatWasPassedOn),
            offered(&["ada", "bob"], &[Accept("bob"), Lapse, Enroll("dan")]),
        ),
        (
            || enrollments_with(Wrong::ForgetsWhatIsOffered),
            offered(&["ada", "bob"], &[Accept("bob"), Enroll("dan")]),
        ),
    ];
    for (domain, small) in wrong {
        let said = format!("{small:?}");
        let prepared = small.prepare(&Cast::of(domain));
        let found = explore(&|| prepared.open());
        assert!(found.is_err(), "nothing wrong was found in {said}");
    }
}
