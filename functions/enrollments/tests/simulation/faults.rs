//! Sweeps: every single fault at every step of a small world.

use testing::simulation::{
    seats::{
        Act::{Accept, CancelSection, Capacity, Enroll, HandOver, Lapse, Leave},
        Cast, Small,
    },
    sweep,
};

use crate::spreading;

#[test]
fn no_single_fault_breaks_a_law_where_seats_are_spread() {
    let cast = spreading();
    let worlds = [
        Small::of(2, &["ada"], &[Leave("ada"), Enroll("bob"), Enroll("cid")]),
        Small::of(2, &["ada"], &[Capacity(1), Enroll("bob")]),
        Small::of(2, &["ada"], &[Enroll("bob"), CancelSection]),
    ];
    for small in worlds {
        let acts = small.acts.clone();
        let prepared = Small { relays_at_once: true, is_known: true, ..small }.prepare(&cast);
        match sweep(&|| prepared.open()) {
            Ok(swept) => println!("{swept:?} of {acts:?}, with blocks"),
            Err(broken) => panic!("{broken}"),
        }
    }
}

#[test]
fn no_single_fault_breaks_a_law_at_any_step() {
    let cast = Cast::of(enrollments::domain);
    let of = |acts| Small::of(1, &["ada", "bob"], acts);
    let offered = |acts| {
        let mut small = Small { offer_hours: Some(1), ..of(acts) };
        small.before.push(Leave("ada"));
        small
    };
    let worlds = [
        of(&[Leave("ada"), Enroll("cid"), Capacity(2)]),
        of(&[Enroll("cid"), CancelSection]),
        of(&[HandOver("ada", "eve"), Leave("bob")]),
        offered(&[Accept("bob"), Enroll("cid"), Lapse]),
        offered(&[Lapse, Enroll("bob")]),
    ];
    for small in worlds {
        let (acts, small) = (small.acts.clone(), Small { relays_at_once: true, ..small });
        let prepared = small.prepare(&cast);
        match sweep(&|| prepared.open()) {
            Ok(swept) => println!("{swept:?} of {acts:?}"),
            Err(broken) => panic!("{broken}"),
        }
    }
}
