//! On `enrollments.rejected.v1`: the person is told, with what the instructor wrote.

use contracts::enrollments::{EnrollmentState, Rejected};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Rejected) -> Result<()> {
    let Rejected { enrollment: facts, note } = event;
    let (state, since) = (EnrollmentState::Rejected, cx.now);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, _| News::Rejected {
        about: attendance.about(),
        note,
    })
    .await
}
