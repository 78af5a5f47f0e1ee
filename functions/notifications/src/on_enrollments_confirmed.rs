//! On `enrollments.confirmed.v1`: the person is told of their seat, and their
//! reminders are planned.

use contracts::enrollments::{Confirmed, EnrollmentState};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Confirmed) -> Result<()> {
    let Confirmed { enrollment: facts, promoted, confirmed_at } = event;
    let (state, since) = (EnrollmentState::Confirmed, confirmed_at);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, _| {
        let about = attendance.about();
        if promoted { News::Promoted(about) } else { News::Enrolled(about) }
    })
    .await
}
