//! What must be found out: enrollments, wrong in one way each.

mod functions;
mod plain;
pub mod ports;

use testing::simulation::{
    seats::{Cast, crowd, forgetful_reader},
    weather,
};

pub use self::functions::{Wrong, enrollments_with};
use crate::{spreading, storms::SEEDS};

/// Casts with one wrong function each, by their names.
macro_rules! wrong_functions {
    ($($wrong:ident)+) => {
        vec![$((stringify!($wrong), Cast::of(|| enrollments_with(Wrong::$wrong)))),+]
    };
}

fn wrong() -> Vec<(&'static str, Cast)> {
    let real = || Cast::of(enrollments::domain);
    let mut wrong = wrong_functions![
        CountsThenInserts IgnoresTheQueue MakesUpIds NumbersByCounting AnswersApart TellsApart
        PromotesApart ReleasesFirst ForgetsToPromote PromotesTwo PromotesTheLast LearnsOldFacts
        LearnsAndForgetsTheQueue PromisesNothing KeepsTheLastPromise KeepsOldPromises
        ApprovesUnderTheOldNumber ForgetsWhatIsOffered AcceptsLate
        LapsesSilently LapsesBesideTheSeats
    ];
    wrong.extend([
        ("ForgetsPreconditions", real().with_ports(ports::without_preconditions)),
        ("TriesAgainUnread", real().with_ports(ports::trying_again_unread)),
        ("AnswersFirst", real().with_ports(ports::answering_first)),
        ("TransfersApart", real().with_ports(ports::transferring_apart)),
        ("DeletesBeforePublishing", real().with_ports(ports::deleting_before_publishing)),
        ("ForgetsTheInbox", real().with_reader(forgetful_reader)),
    ]);
    wrong
}

/// Casts that do something wrong where seats are spread over blocks.
fn wrong_with_blocks() -> Vec<(&'static str, Cast)> {
    vec![
        ("OverwritesBlocks", spreading().with_ports(ports::overwriting_blocks)),
        ("ForgetsABlock", spreading().with_ports(ports::forgetting_a_block)),
        ("CountsABlockTwice", spreading().with_ports(ports::counting_a_block_twice)),
        ("RevivesBlocks", spreading().with_ports(ports::reviving_blocks)),
        ("CountsWhatIsSpread", spreading().with_ports(ports::counting_what_is_spread)),
        ("SharesTooMuch", spreading().with_ports(ports::sharing_too_much)),
    ]
}

/// Looks whether each of these is found out within the suite's budget.
fn find_out(wrong: Vec<(&'static str, Cast)>) {
    let mut missed = Vec::new();
    for (name, cast) in wrong {
        match weather(&|seed| crowd(&cast, seed), 0..SEEDS) {
            Err(found) => {
                let broken = found.run.violation.unwrap_or_default();
                println!("{name:<26} {:3} seeds: {broken}", found.tried);
            }
            Ok(_) => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "{SEEDS} seeds didn't find out {missed:?}");
}

#[test]
fn whatever_is_wrong_is_found_out() {
    find_out(wrong());
}

#[test]
fn whatever_is_wrong_with_blocks_is_found_out() {
    find_out(wrong_with_blocks());
}

#[test]
fn what_the_wrong_functions_are_made_from_is_right() {
    let cast = Cast::of(|| enrollments_with(Wrong::Nothing));
    if let Err(failure) = weather(&|seed| crowd(&cast, seed), 0..SEEDS / 4) {
        panic!("{failure}");
    }
}
