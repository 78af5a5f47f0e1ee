//! Cancelling a section: everyone in it loses their place, and is told.

use contracts::{
    courses::SectionId,
    enrollments::{CancelReason, Cancelled, EnrollmentState},
};
use runtime::prelude::*;

use crate::{
    enrollment::Enrollment,
    hall::{Hall, Want},
};

/// How many are taken off in one commit: each writes an enrollment and an event.
const AT_ONCE: u32 = 200;

/// Takes everyone off a section that was cancelled, a part at a time. What a
/// crash leaves undone is done when it's run again.
pub async fn everyone(cx: &Context<System>, section_id: &SectionId) -> Result<()> {
    // The queue first, so that nobody is promoted into a section that is gone.
    for state in [
        EnrollmentState::Waitlisted,
        EnrollmentState::PendingApproval,
        EnrollmentState::Offered,
        EnrollmentState::Confirmed,
    ] {
        loop {
            let Some(mut seats) = Hall::open(cx, section_id, Want::All).await? else {
                return Ok(());
            };
            let those = Enrollment::in_state(section_id, state).limit(AT_ONCE);
            let (enrollments, _) = cx.query::<Enrollment>(&those).await?;
            if enrollments.is_empty() {
                break;
            }
            let mut changes = Changes::new();
            for mut enrollment in enrollments {
                enrollment.leave(&mut seats, cx.now);
                let why = CancelReason::SectionCancelled;
                let told = Cancelled { enrollment: enrollment.facts(), why };
                changes = changes.save(&enrollment).emit(&told);
            }
            cx.commit_part(changes.and(seats.changes())).await?;
        }
    }
    Ok(())
}
