//! Promoting: those who wait get the seats that are free, in the order of
//! joining: at once, or as an offer where the section says so.

use contracts::{
    courses::SectionId,
    enrollments::{Confirmed, EnrollmentState, Offered},
};
use runtime::prelude::*;

use crate::{
    enrollment::Enrollment,
    hall::{Hall, Want},
    seats::{Place, Seats},
};

/// The most who are promoted in one commit: each writes an enrollment and an event.
const AT_ONCE: u32 = 150;

/// Gives the free seats to the first of the queue: the changes, without the
/// seats' own, which the caller saves. `leaving` is on the way out of the queue
/// in the same commit, and so isn't promoted.
pub async fn first<C>(
    cx: &Context<C>,
    seats: &mut Seats,
    leaving: Option<&Enrollment>,
) -> Result<Changes> {
    let mut changes = Changes::new();
    seats.lapse(cx.now);
    let wanted = seats.promotable().min(AT_ONCE);
    if wanted == 0 {
        return Ok(changes);
    }
    let spare = u32::from(leaving.is_some());
    let queue = Enrollment::in_state(&seats.section_id, EnrollmentState::Waitlisted);
    let (waiting, _) = cx.query::<Enrollment>(&queue.limit(wanted + spare)).await?;
    let staying =
        waiting.into_iter().filter(|it| leaving.is_none_or(|leaving| it.id != leaving.id));
    for mut enrollment in staying.take(wanted as usize) {
        let place = seats.promote(cx.now);
        enrollment.take(place, cx.now);
        changes = changes.save(&enrollment).and(told(&enrollment, place, cx.now));
    }
    Ok(changes)
}

/// What the others are told of somebody who has got a seat after waiting, or an offer of one.
pub fn told(enrollment: &Enrollment, place: Place, now: Timestamp) -> Changes {
    let facts = enrollment.facts();
    match place {
        Place::Offer { until: expires_at } => {
            Changes::new().emit(&Offered { enrollment: facts, expires_at })
        }
        Place::Seat | Place::Queue { .. } => {
            Changes::new().emit(&Confirmed { enrollment: facts, promoted: true, confirmed_at: now })
        }
    }
}

/// Gives all free seats of a section to those who wait, a part at a time.
pub async fn all<C>(cx: &Context<C>, section_id: &SectionId) -> Result<()> {
    loop {
        let Some(mut seats) = Hall::open(cx, section_id, Want::All).await? else { return Ok(()) };
        let changes = first(cx, &mut seats, None).await?;
        if changes.is_empty() {
            // The queue is over: where plenty of seats are left, a rush may follow.
            if !seats.gathers() && seats.spread(cx.settings().seats_in_block) {
                cx.commit_part(seats.changes()).await?;
            }
            return Ok(());
        }
        cx.commit_part(changes.and(seats.changes())).await?;
    }
}
