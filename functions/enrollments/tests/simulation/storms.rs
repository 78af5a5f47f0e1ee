//! Storms: many seeds of a crowd, with every fault there is.

use testing::simulation::{
    seats::{Cast, crowd, forgetful_reader},
    storm, weather,
};

use crate::spreading;

/// How many seeds the suite spends on one search. `cargo xtask simulate
/// --minutes 10` spends more, and others.
pub const SEEDS: u64 = 300;

/// What must be met beside all trouble that there is.
const MET: &[&str] = &[
    "none to confirmed",
    "none to waitlisted",
    "none to pending_approval",
    "cancelled to confirmed",
    "pending_approval to confirmed",
    "pending_approval to waitlisted",
    "pending_approval to rejected",
    "pending_approval to cancelled",
    "waitlisted to confirmed",
    "waitlisted to cancelled",
    "waitlisted to offered",
    "offered to confirmed",
    "offered to cancelled",
    "transferred",
    "confirmed to cancelled",
    "section-full",
    "section-cancelled",
    "already-enrolled",
    "course-not-published",
    "not-pending-approval",
    "no-offer",
    "offer-lapsed",
    "not-confirmed",
];

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    let cast = Cast::of(enrollments::domain);
    for seed in [0, 7, 19] {
        let run = || storm(&|seed| crowd(&cast, seed), seed, true).trace.to_string();
        let (one, other) = (run(), run());
        assert!(one.lines().count() > 100, "{one}");
        assert_eq!(one, other);
    }
}

#[test]
fn who_finds_something_is_told_how_to_see_it_again() {
    let wrong = [
        (Cast::of(enrollments::domain).with_reader(forgetful_reader), ""),
        (spreading().with_reader(forgetful_reader), " --blocks"),
    ];
    for (cast, options) in wrong {
        let found = weather(&|seed| crowd(&cast, seed), 0..SEEDS);
        let found = found.expect_err("what is told twice is found");
        let seed = found.run.seed;
        let command = format!("cargo xtask simulate --seed {seed}{options} --trace");
        assert!(found.to_string().ends_with(&command), "{found}");
        let again = storm(&|seed| crowd(&cast, seed), seed, true);
        assert_eq!(again.trace, found.run.trace);
    }
}

#[test]
fn no_storm_breaks_a_law_where_seats_are_spread() {
    let cast = spreading();
    let weathered = weather(&|seed| crowd(&cast, seed), SEEDS..2 * SEEDS);
    let weathered = weathered.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{weathered:#?}");
    let unmet = weathered.unmet(&[
        "none to confirmed",
        "none to waitlisted",
        "confirmed to cancelled",
        "transferred",
        "section-full",
    ]);
    assert!(unmet.is_empty(), "{SEEDS} seeds never met {unmet:?}");
}

#[test]
fn no_storm_breaks_a_law() {
    let cast = Cast::of(enrollments::domain);
    let weathered = weather(&|seed| crowd(&cast, seed), 0..SEEDS);
    let weathered = weathered.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{weathered:#?}");
    let unmet = weathered.unmet(MET);
    assert!(unmet.is_empty(), "{SEEDS} seeds never met {unmet:?}");
}
