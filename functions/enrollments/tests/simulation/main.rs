//! The laws of seats, held against chance, against every order of small worlds,
//! and against every single fault; and the proof that what is wrong is found.
//!
//! What was done is printed: `cargo test -p enrollments --test simulation -- --nocapture`.

mod faults;
mod orders;
mod storms;
mod wrong;
