//! Joining: somebody gets a place in a section, or hears of every rule that forbids it.

use contracts::enrollments::{
    CancelReason, Cancelled, Confirmed, EnrollmentState, Requested, Waitlisted,
};
use runtime::prelude::*;

use crate::{
    enrollment::{ALREADY_ENROLLED, Enrollment},
    seats::{Place, Seats},
};

/// What joining comes to.
pub struct Joined {
    /// The enrollment, which is saved by the changes.
    pub enrollment: Stored<Enrollment>,
    /// Where they are in the queue, if they are in it.
    pub position: Option<u32>,
    /// The enrollment and its events; the seats are the caller's to save.
    pub changes: Changes,
}

/// How somebody wants to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On a seat, or else in the queue.
    SeatOrQueue,
    /// On a seat, or not at all.
    SeatOnly,
    /// On a seat that somebody hands over, and that stays taken.
    SeatOfAnother,
    /// By asking an instructor.
    Approval,
}

/// Lets somebody join a section, unless a rule forbids it: those that the
/// caller has found broken, and those of seats. Who is refused changes nothing, but that
/// offers may have lapsed by now.
pub fn join(
    seats: &mut Seats,
    earlier: Option<&Stored<Enrollment>>,
    user_id: &UserId,
    way: Way,
    mut refusals: Vec<Refusal>,
    now: Timestamp,
) -> Result<Joined, Refusal> {
    let mut enrollment = earlier.cloned();
    let mut told = Changes::new();
    // Seats that refuse somebody are as they were: they're kept only where more is tried.
    let tries_more = !refusals.is_empty() || enrollment.is_some();
    let before = tries_more.then(|| seats.clone());
    if let Some(lapsed) = enrollment.as_mut().filter(|it| it.has_lapsed(now)) {
        // They come back before anybody has cleared away what they let lapse.
        lapsed.leave(seats, now);
        let why = CancelReason::OfferLapsed;
        told = told.emit(&Cancelled { enrollment: lapsed.facts(), why });
    }
    let mut place = None;
    if enrollment.as_ref().is_some_and(|it| it.is_active()) {
        refusals.push(Refusal::of(ALREADY_ENROLLED));
    } else {
        let found = match way {
            Way::SeatOrQueue => seats.join(now).map(Some),
            Way::SeatOnly => seats.join_seated(now).map(Some),
            Way::SeatOfAnother => Ok(Some(Place::Seat)),
            Way::Approval => Ok(None),
        };
        match found {
            Ok(found) => place = found,
            Err(full) => refusals.push(full),
        }
    }
    if let Some(refusal) = Refusal::all(refusals) {
        if let Some(before) = before {
            *seats = before;
        }
        return Err(refusal);
    }
    let blank = || Stored::new(Enrollment::blank(seats, user_id, now));
    let mut enrollment = enrollment.unwrap_or_else(blank);
    enrollment.join(place, seats.take_number(), now);
    let position = match place {
        Some(Place::Queue { position }) => Some(position),
        _ => None,
    };
    let changes = told.and(news(&enrollment, position, now)).save(&enrollment);
    Ok(Joined { enrollment, position, changes })
}

/// What the others are told of an enrollment that was just made.
fn news(enrollment: &Enrollment, position: Option<u32>, now: Timestamp) -> Changes {
    let (facts, changes) = (enrollment.facts(), Changes::new());
    match enrollment.state {
        EnrollmentState::Confirmed => {
            changes.emit(&Confirmed { enrollment: facts, promoted: false, confirmed_at: now })
        }
        EnrollmentState::Waitlisted => {
            changes.emit(&Waitlisted { enrollment: facts, position: position.unwrap_or_default() })
        }
        _ => changes.emit(&Requested { enrollment: facts }),
    }
}
