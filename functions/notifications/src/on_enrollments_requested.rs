//! On `enrollments.requested.v1`: the person is told that an instructor decides.

use contracts::enrollments::{EnrollmentState, Requested};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Requested) -> Result<()> {
    let (facts, state, since) = (event.enrollment, EnrollmentState::PendingApproval, cx.now);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, _| {
        News::Requested(attendance.about())
    })
    .await
}
