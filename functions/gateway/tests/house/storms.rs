//! The whole platform in storms: whatever fails, every promise is kept when it's calm again.

mod wrong;

use testing::simulation::{platform::Platform, storm, weather};

use self::wrong::{FOUND_BY_AUDIT, FOUND_BY_LAWS};

/// How many seeds the suite spends. `cargo xtask simulate --whole --minutes 10` spends more.
const SEEDS: u64 = 60;

/// What must be met beside all trouble that there is.
const MET: &[&str] = &[
    "none to confirmed",
    "none to waitlisted",
    "waitlisted to confirmed",
    "waitlisted to offered",
    "offered to confirmed",
    "offered to cancelled",
    "offer-lapsed",
    "confirmed to cancelled",
    "more seats",
    "fewer seats",
    "seats were spread",
    "seats were gathered",
    "a section was cancelled",
    "a mail was sent",
    "no mail was sent",
];

#[test]
fn no_storm_breaks_a_promise_of_the_platform() {
    let platform = gateway::simulated();
    let weathered = weather(&|seed| platform.world(seed), 0..SEEDS);
    let weathered = weathered.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{weathered:#?}");
    let unmet = weathered.unmet(MET);
    assert!(unmet.is_empty(), "{SEEDS} seeds never met {unmet:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    let platform = gateway::simulated();
    for seed in [0, 7, 19] {
        let run = || storm(&|seed| platform.world(seed), seed, true).trace.to_string();
        let (one, other) = (run(), run());
        assert!(one.lines().count() > 100, "{one}");
        assert_eq!(one, other);
    }
}

/// Looks whether a platform that is wrong is found out within the suite's budget, and told
/// as it's expected to be.
fn find_out(platform: Platform, expected: &str) {
    let found = weather(&|seed| platform.world(seed), 0..SEEDS).expect_err(expected);
    let broken = found.run.violation.as_deref().unwrap_or_default();
    println!("{:3} seeds: {broken}", found.tried);
    assert!(broken.contains(expected), "{broken}");
    let again = format!("cargo xtask simulate --seed {} --whole --trace", found.run.seed);
    assert!(found.to_string().ends_with(&again), "{found}");
}

#[test]
fn whatever_is_wrong_is_found_out_by_the_laws_alone() {
    for (domains, expected) in FOUND_BY_LAWS {
        find_out(Platform { domains: *domains, audit: |_| Vec::new() }, expected);
    }
}

#[test]
fn what_the_audit_finds_is_told() {
    for (domains, expected) in FOUND_BY_AUDIT {
        find_out(Platform { domains: *domains, ..gateway::simulated() }, expected);
    }
}
