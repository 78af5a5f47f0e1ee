//! Orders: every order of small worlds that may make a difference.

use testing::simulation::{
    Bounds, Explored, Searched, explore, explore_within, search,
    seats::{
        Act::{
            self, Accept, Approve, CancelSection, Capacity, Enroll, HandOver, Lapse, Leave, Reject,
        },
        Cast, Section, Small, every_small_world, every_small_world_of,
    },
};

use crate::{
    spreading,
    wrong::{Wrong, enrollments_with, ports},
};

/// Tries every order of some worlds, and says how many there are.
fn try_every_order(what: &str, worlds: impl IntoIterator<Item = Small>) {
    try_orders(&Cast::of(enrollments::domain), what, Bounds::NONE, worlds);
}

/// Tries the orders of some worlds within these bounds, and says how many there are.
fn try_orders(
    cast: &Cast,
    what: &str,
    bounds: Bounds,
    worlds: impl IntoIterator<Item = Small>,
) -> Explored {
    let (mut all, mut count) = (Explored::default(), 0);
    for small in worlds {
        let said = format!("{small:?}");
        let prepared = small.prepare(cast);
        match explore_within(&|| prepared.open(), bounds) {
            Ok(explored) => all += explored,
            Err(broken) => panic!("{broken}\n{said}"),
        }
        count += 1;
    }
    println!("{what}: {count} worlds, {all}");
    all
}

/// Tries every pair of things at once that may happen to sections, with one seat to three.
fn try_all_pairs(sections: &[Section]) {
    for section in sections {
        let cast = section.cast(&Cast::of(enrollments::domain));
        let worlds = (1..=3).flat_map(|capacity| every_small_world(*section, capacity, 2));
        let all = try_orders(&cast, &format!("two at once, {section}"), Bounds::NONE, worlds);
        assert_eq!(all.unfinished, 0);
    }
}

#[test]
fn any_two_things_at_once() {
    try_all_pairs(&[Section::Free, Section::Full]);
}

#[test]
fn any_two_things_at_once_where_an_instructor_approves() {
    try_all_pairs(&[Section::Approving, Section::ApprovingAndOffering]);
}

#[test]
fn any_two_things_at_once_where_seats_are_offered() {
    try_all_pairs(&[Section::Offering, Section::OfferingFull]);
}

#[test]
fn any_two_things_at_once_where_seats_are_spread() {
    try_all_pairs(&[Section::FreeInBlocks, Section::FullInBlocks, Section::GrowingInBlocks]);
}

#[test]
fn any_two_things_at_once_where_all_seats_are_free_and_spread() {
    try_all_pairs(&[Section::EmptyInBlocks]);
}

/// Bounding the races that are lost leaves out the orders that lose more, and no other.
#[test]
fn with_fewer_races_lost_the_same_orders_are_tried_but_for_those_that_lose_more() {
    let pairs = every_small_world_of(2).step_by(13);
    let triples = every_small_world_of(3).step_by(401);
    let mut compared = 0;
    for (section, small) in pairs.chain(triples) {
        let said = format!("{section}: {:?}", small.acts);
        let prepared = small.prepare(&section.cast(&Cast::of(enrollments::domain)));
        let explored = |losses| {
            let bounds = Bounds::losing(losses).at_most(500);
            explore_within(&|| prepared.open(), bounds).unwrap()
        };
        let all = explored(usize::MAX - 1);
        if all.unfinished > 0 {
            continue;
        }
        for losses in 0..all.by_losses.len() - 1 {
            assert_eq!(explored(losses).by_losses, all.by_losses[..=losses], "{said}");
        }
        compared += 1;
    }
    assert!(compared > 60, "{compared} worlds have few enough orders");
}

/// Searching the states of a world comes to the same ends as running its orders one by one.
#[test]
fn searching_finds_every_ending_that_an_order_has() {
    let pairs = every_small_world_of(2).step_by(11);
    let triples = every_small_world_of(3).step_by(301);
    let (mut compared, mut endings) = (0, 0);
    for (section, small) in pairs.chain(triples) {
        let small = Small { reads_at_one_moment: true, ..small };
        let said = format!("{section}: {:?}", small.acts);
        let prepared = small.prepare(&section.cast(&Cast::of(enrollments::domain)));
        let open = || prepared.open();
        for bounds in [Bounds::NONE, Bounds::losing(0), Bounds::losing(1)] {
            let explored = explore_within(&open, bounds.at_most(200)).unwrap();
            if explored.unfinished > 0 {
                continue;
            }
            let searched = search(&open, bounds).unwrap();
            assert_eq!(searched.endings, explored.endings, "{bounds:?} of {said}");
            (compared, endings) = (compared + 1, endings + searched.endings);
        }
    }
    println!("{endings} endings were found in both ways");
    assert!(compared > 240 && endings > 2 * compared, "{compared}, {endings}");
}

/// Who learns that they have lost looks at the clock, and tries again at that time: a search
/// that has them told at once loses an ending of this world.
#[test]
fn who_has_lost_a_race_may_be_told_before_time_passes_or_after() {
    let section = Section::Offering;
    let small = every_small_world(section, 1, 3)
        .find(|small| small.acts == [Lapse, Capacity(2), CancelSection])
        .map(|small| Small { reads_at_one_moment: true, ..small })
        .expect("every world is one of them");
    let prepared = small.prepare(&section.cast(&Cast::of(enrollments::domain)));
    let bounds = Bounds::losing(1);
    let explored = explore_within(&|| prepared.open(), bounds).unwrap();
    let searched = search(&|| prepared.open(), bounds).unwrap();
    assert_eq!(searched.endings, explored.endings);
}

/// Searches one world of so many in which so many things happen at once, for what comes of
/// any order within these bounds. `cargo xtask simulate --orders 3` searches all of all.
fn search_a_slice(at_once: usize, one_of: usize, bounds: Bounds) {
    let (mut all, mut worlds) = (Searched::default(), 0);
    for (section, small) in every_small_world_of(at_once).step_by(one_of) {
        let small = Small { reads_at_one_moment: true, ..small };
        let said = format!("{section}: {:?}", small.acts);
        let prepared = small.prepare(&section.cast(&Cast::of(enrollments::domain)));
        match search(&|| prepared.open(), bounds) {
            Ok(searched) => all += searched,
            Err(broken) => panic!("{broken}\n{said}"),
        }
        worlds += 1;
    }
    println!("{at_once} at once, {bounds:?}: {worlds} worlds, {all}");
    assert!(all.unfinished == 0 && worlds > 9);
}

#[test]
fn a_slice_of_any_three_things_at_once() {
    search_a_slice(3, 197, Bounds::NONE);
}

#[test]
fn a_slice_of_any_four_things_at_once() {
    search_a_slice(4, 797, Bounds::losing(0));
}

/// Those of three and four at once that want the same things most: every order of each.
#[test]
fn three_or_four_who_want_the_same() {
    let plain = [
        Small::of(2, &["ada"], &[Enroll("bob"), Enroll("cid"), Enroll("dan")]),
        Small::of(1, &[], &[Enroll("ada"), Enroll("bob"), Enroll("cid")]),
        Small::of(1, &["ada", "bob"], &[Leave("ada"), Leave("bob"), Enroll("cid")]),
        Small::of(1, &["ada", "bob"], &[Leave("ada"), Leave("ada"), Leave("bob")]),
        Small::of(2, &["ada", "bob", "cid"], &[Leave("ada"), Capacity(1), Enroll("dan")]),
        Small::of(2, &["ada"], &[Capacity(1), Capacity(3), Enroll("bob")]),
    ];
    try_every_order("three at once", plain);
    let approved: [&[Act]; 3] = [
        &[Approve("ada"), Approve("bob"), Leave("ada")],
        &[Approve("ada"), Approve("bob"), Capacity(2)],
        &[Approve("ada"), Approve("bob"), Approve("cid"), Reject("cid")],
    ];
    let asked = ["ada", "bob", "cid"];
    let worlds =
        approved.map(|acts| Small { approval_required: true, ..Small::of(1, &asked, acts) });
    try_every_order("three or four at once, with approval", worlds);
}

#[test]
fn three_who_want_the_same_offer() {
    let alone: [&[Act]; 4] = [
        &[Accept("bob"), Lapse, Enroll("dan")],
        &[Leave("bob"), Lapse, Accept("bob")],
        &[Lapse, Enroll("bob"), Accept("bob")],
        &[Lapse, Capacity(0), Accept("bob")],
    ];
    let worlds = alone.into_iter().map(|acts| offered(&["ada", "bob"], acts));
    let queued = [offered(&["ada", "bob", "cid"], &[Accept("bob"), Lapse, Leave("cid")])];
    try_every_order("three at once, with offers", worlds.chain(queued));
}

/// Whoever clears a lapsed offer away has read of its owner at two moments, between which they
/// have left and joined the queue: that's a lost race, and no fault.
#[test]
fn who_is_offered_a_seat_leaves_and_comes_back_while_it_lapses() {
    let alone = offered(&["ada", "bob", "cid"], &[Enroll("bob"), Leave("bob"), Lapse]);
    try_every_order("three at once, one of them twice", [alone]);
}

/// While somebody says yes and another leaves, hours pass, and a newcomer finds that the offer
/// has lapsed. Who leaves has the clock of before: what the next is offered isn't the first's.
#[test]
fn a_yes_that_comes_late_takes_nobody_elses_offer() {
    let acts = [Enroll("eve"), Leave("cid"), Accept("bob"), Lapse];
    let small = Small { reads_at_one_moment: true, ..offered(&["ada", "bob", "cid"], &acts) };
    let cast = Cast::of(enrollments::domain);
    let what = "four at once, with an offer that lapses";
    try_orders(&cast, what, Bounds::losing(0), [small.clone()]);

    // A section that forgets until when its offers have lapsed keeps it for both.
    let prepared = small.prepare(&cast.with_ports(ports::forgetting_what_lapsed));
    let found = explore_within(&|| prepared.open(), Bounds::losing(0));
    assert!(found.is_err(), "nothing wrong was found");
}

#[test]
fn three_who_want_seats_of_the_same_blocks() {
    let worlds = [
        Small::of(2, &["ada"], &[Enroll("bob"), Enroll("cid"), Leave("ada")]),
        Small::of(3, &["ada"], &[Enroll("bob"), Enroll("cid"), Enroll("dan")]),
        Small::of(3, &["ada", "bob"], &[Leave("ada"), Leave("bob"), Enroll("cid")]),
        Small::of(3, &["ada"], &[Capacity(1), Enroll("bob"), Enroll("cid")]),
        Small::of(3, &["ada", "bob"], &[Capacity(5), Leave("ada"), Enroll("cid")]),
    ];
    let worlds = worlds.map(|small| Small { is_known: true, ..small });
    try_orders(&spreading(), "three at once, with blocks", Bounds::NONE, worlds);
}

#[test]
fn a_promise_alone_holds_until_the_change_is_told() {
    let acts = [Capacity(1), Capacity(2), Enroll("bob")];
    let worlds = [Small { told_at_once: false, ..Small::of(3, &["ada"], &acts) }];
    try_every_order("three at once, told late", worlds);
}

/// A section with one seat, which was ada's and is offered to bob; cid may wait.
fn offered(joined: &[&'static str], acts: &[Act]) -> Small {
    let mut small = Small { offer_hours: Some(1), ..Small::of(1, joined, acts) };
    small.before.push(Leave("ada"));
    small
}

#[test]
fn a_seat_of_a_block_is_handed_over_while_others_come_and_go() {
    let acts = [Enroll("eve"), Leave("ada"), Capacity(2), Capacity(4), CancelSection];
    let joined = [&["ada"] as &[_], &["ada", "bob"], &["ada", "bob", "cid"]];
    let worlds = joined.into_iter().flat_map(|joined| {
        acts.map(|act| Small {
            is_known: true,
            ..Small::of(3, joined, &[HandOver("ada", "eve"), act])
        })
    });
    try_orders(&spreading(), "a seat of a block handed over", Bounds::NONE, worlds);
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

/// Something wrong is found by running every order, and by searching every state.
fn is_found_out(cast: &Cast, small: &Small) {
    let prepared = small.clone().prepare(cast);
    let explored = explore(&|| prepared.open());
    assert!(explored.is_err(), "no order shows what is wrong in {small:?}");
    let small = Small { reads_at_one_moment: true, ..small.clone() };
    let prepared = small.clone().prepare(cast);
    let searched = search(&|| prepared.open(), Bounds::NONE);
    assert!(searched.is_err(), "no state shows what is wrong in {small:?}");
}

#[test]
fn what_is_wrong_with_blocks_is_found_in_a_small_world() {
    let two = Cast::of(enrollments::domain).in_blocks_of(2);
    let grows = [Capacity(4)];
    let wrong = [
        (
            spreading().with_ports(ports::ignoring_the_turn),
            &[] as &[_],
            &[Enroll("eve"), Capacity(3)] as &[_],
        ),
        (two.with_ports(ports::counting_what_is_spread), &["ada"], &grows),
    ];
    for (cast, joined, acts) in wrong {
        is_found_out(&cast, &Small { is_known: true, ..Small::of(2, joined, acts) });
    }
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
        is_found_out(&Cast::of(domain), &small);
    }
}
