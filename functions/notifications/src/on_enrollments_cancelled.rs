//! On `enrollments.cancelled.v1`: the person is told, and their reminders are dropped.

use contracts::enrollments::{Cancelled, EnrollmentState};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Cancelled) -> Result<()> {
    let Cancelled { enrollment: facts, why } = event;
    let (state, since) = (EnrollmentState::Cancelled, cx.now);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, had_seat| News::Cancelled {
        about: attendance.about(),
        why,
        had_seat,
    })
    .await
}
