//! Storms: many seeds of a crowd, with every fault there is.

use testing::simulation::{seats::{Cast, crowd}, storm, weather};

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    let cast = Cast::of(enrollments::domain);
    for seed in [0, 7] {
        let run = || storm(&|seed| crowd(&cast, seed), seed, true).trace.to_string();
        let (one, other) = (run(), run());
        assert!(one.lines().count() > 100, "{one}");
        assert_eq!(one, other);
    }
}

#[test]
fn no_storm_breaks_a_law() {
    let cast = Cast::of(enrollments::domain);
    let t = std::time::Instant::now();
    match weather(&|seed| crowd(&cast, seed), 0..100) {
        Ok(weathered) => println!("{weathered:?} {:?}", t.elapsed()),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn adhoc() {
    let cast = Cast::of(enrollments::domain);
    let run = storm(&|seed| crowd(&cast, seed), 19, true);
    println!("{}", run.trace);
}
