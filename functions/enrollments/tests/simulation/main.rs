//! The laws of seats, held against chance, against every order of small worlds,
//! and against every single fault; and the proof that what is wrong is found.
//!
//! What was done is printed: `cargo test -p enrollments --test simulation -- --nocapture`.

mod faults;
mod orders;
mod storms;
mod wrong;

use testing::simulation::seats::Cast;

/// Enrollments whose seats are spread over a block each, as soon as there are two.
fn spreading() -> Cast {
    Cast::of(enrollments::domain).in_blocks_of(1)
}
