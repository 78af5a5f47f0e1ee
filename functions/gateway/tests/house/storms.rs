//! The whole platform in storms: whatever fails, every promise is kept when it's calm again.

use runtime::{Domain, Function};
use testing::simulation::{platform::Platform, storm, weather};

/// How many seeds the suite spends. `cargo xtask simulate --whole --minutes 10` spends more.
const SEEDS: u64 = 60;

/// What must be met beside all trouble that there is.
const MET: &[&str] = &[
    "none to confirmed",
    "none to waitlisted",
    "waitlisted to confirmed",
    "waitlisted to offered",
    "offered to confirmed",
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

type Domains = fn() -> Vec<Domain>;

/// The platform's domains, but for one function of theirs.
fn without(id: &str) -> Vec<Domain> {
    let mut domains = (gateway::simulated().domains)();
    let functions = |domains: &[Domain]| domains.iter().map(|it| it.functions.len()).sum::<usize>();
    let before = functions(&domains);
    let stays = |function: &Function| function.id != id;
    for domain in &mut domains {
        domain.functions.retain(stays);
    }
    assert_eq!(functions(&domains), before - 1, "there is {id}");
    domains
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

#[test]
fn what_is_not_told_is_found_out() {
    let wrong: [(Domains, &str); 4] = [
        (|| without("notifications.on_enrollments_confirmed"), "isn't told so"),
        (|| without("notifications.on_enrollments_cancelled"), "isn't told so"),
        (|| without("notifications.send_due"), ", with 0 mails"),
        (|| without("enrollments.on_courses_section_cancelled"), "not everyone was taken off"),
    ];
    for (domains, expected) in wrong {
        let platform = Platform { domains, ..gateway::simulated() };
        let found = weather(&|seed| platform.world(seed), 0..SEEDS);
        let found = found.expect_err(expected);
        let broken = found.run.violation.as_deref().unwrap_or_default();
        assert!(broken.contains(expected), "{broken}");
        let again = format!("cargo xtask simulate --seed {} --whole --trace", found.run.seed);
        assert!(found.to_string().ends_with(&again), "{found}");
    }
}
