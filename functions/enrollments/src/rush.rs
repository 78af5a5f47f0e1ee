//! Tests: a rush for seats where the platform runs in the cloud, by the model of
//! its database.

use std::time::Duration;

use runtime::Settings;
use testing::physics::{Came, Rush};

/// Two thousand people for five hundred seats, by as many containers as they need
/// where each serves eighty at once.
const RUSH: Rush = Rush {
    people: 2_000,
    seats: Some(500),
    waitlist: false,
    containers: 25,
    seats_in_block: Settings::SEATS_IN_BLOCK,
    age: Duration::from_hours(1),
};

fn happen(rush: Rush) -> Came {
    let came = rush.happen(crate::domain);
    let seats = rush.seats.map_or(rush.people, |seats| seats as usize);
    assert_eq!(came.confirmed, seats, "every seat once: {came:?}");
    let others = if rush.waitlist { came.waitlisted } else { came.refused };
    assert_eq!(came.confirmed + others, rush.people, "{came:?}");
    came
}

#[test]
fn with_blocks_a_rush_is_over_in_two_seconds() {
    let came = happen(RUSH);
    assert!(came.answered <= Duration::from_secs(2), "{came:?}");
    assert_eq!(came.repeated, 0, "nobody is told to come again");
    // Each block is written once: nobody waits until it has cooled down.
    let blocks = 500 / u64::from(RUSH.seats_in_block);
    assert!(came.commits <= 3 * blocks + 25, "{came:?}");
}

#[test]
fn where_there_is_no_limit_nobody_waits_for_a_count() {
    let came = happen(Rush { seats: None, ..RUSH });
    assert!(came.answered <= Duration::from_secs(2), "{came:?}");
    assert_eq!(came.repeated, 0, "nobody is told to come again");
}

#[test]
fn a_new_database_gives_the_seats_as_fast_though_it_refuses_more_slowly() {
    let came = happen(Rush { age: Duration::ZERO, ..RUSH });
    assert!(came.given <= Duration::from_secs(2), "{came:?}");
    // Two thousand answers are kept, of which it takes 500 a second.
    assert!(came.answered >= Duration::from_secs(3), "the model bites: {came:?}");
}

#[test]
fn with_one_counter_and_nobody_decided_together_each_seat_takes_a_second() {
    let alone = Rush { people: 40, seats: Some(10), containers: 40, seats_in_block: 0, ..RUSH };
    let came = happen(alone);
    assert!(came.given >= Duration::from_secs(9), "{came:?}");
}

#[test]
fn who_finds_no_seat_in_any_block_joins_one_queue() {
    let rush = Rush { people: 300, seats: Some(120), waitlist: true, containers: 4, ..RUSH };
    let came = happen(rush);
    assert!(came.given <= Duration::from_secs(3), "{came:?}");
}
