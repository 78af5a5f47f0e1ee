//! On `enrollments.waitlisted.v1`: the person is told that they wait.

use contracts::enrollments::{EnrollmentState, Waitlisted};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Waitlisted) -> Result<()> {
    let Waitlisted { enrollment: facts, position } = event;
    let (state, since) = (EnrollmentState::Waitlisted, cx.now);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, _| News::Waitlisted {
        about: attendance.about(),
        position,
    })
    .await
}
