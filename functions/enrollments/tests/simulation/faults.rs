//! Sweeps: every single fault at every step of a small world.

use testing::simulation::{
    seats::{
        Act::{self, CancelSection, Capacity, Enroll, Leave},
        Cast, Small,
    },
    sweep,
};

#[test]
fn no_single_fault_breaks_a_law_at_any_step() {
    let cast = Cast::of(enrollments::domain);
    let worlds: [&[Act]; 2] =
        [&[Leave("ada"), Enroll("cid"), Capacity(2)], &[Enroll("cid"), CancelSection]];
    for acts in worlds {
        let small = Small { is_read: true, ..Small::of(1, &["ada", "bob"], acts) };
        let prepared = small.prepare(&cast);
        match sweep(&|| prepared.open()) {
            Ok(swept) => println!("{swept:?} of {acts:?}"),
            Err(broken) => panic!("{broken}"),
        }
    }
}
