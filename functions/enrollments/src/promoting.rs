//! Promoting: those who wait get the seats that are free, in the order of joining.

use contracts::{
    courses::SectionId,
    enrollments::{Confirmed, EnrollmentState},
};
use runtime::prelude::*;

use crate::{
    enrollment::Enrollment,
    seats::{Place, Seats},
};

/// The most who are promoted in one commit: each writes an enrollment and an event.
const AT_ONCE: u32 = 200;

/// Gives the free seats to the first of the queue: the changes, without the
/// seats' own, which the caller saves. `leaving` is on the way out of the queue
/// in the same commit, and so isn't promoted.
pub async fn first<C>(
    cx: &Context<C>,
    seats: &mut Stored<Seats>,
    leaving: Option<&Enrollment>,
) -> Result<Changes> {
    let mut changes = Changes::new();
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
        seats.promote(cx.now);
        enrollment.take(Place::Seat, cx.now);
        let told =
            Confirmed { enrollment: enrollment.facts(), promoted: true, confirmed_at: cx.now };
        changes = changes.save(&enrollment).emit(&told);
    }
    Ok(changes)
}

/// Gives all free seats of a section to those who wait, a part at a time.
pub async fn all<C>(cx: &Context<C>, section_id: &SectionId) -> Result<()> {
    loop {
        let Some(mut seats) = cx.get::<Seats>(section_id.as_str()).await? else { return Ok(()) };
        let changes = first(cx, &mut seats, None).await?;
        if changes.is_empty() {
            return Ok(());
        }
        cx.commit_part(changes.save(&seats)).await?;
    }
}
