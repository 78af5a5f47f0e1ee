//! On `enrollments.completed.v1`: the person is told. They keep their seat, and
//! hear of the meetings that are still to come.

use contracts::enrollments::{Completed, EnrollmentState};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Completed) -> Result<()> {
    let (facts, state) = (event.enrollment, EnrollmentState::Confirmed);
    follow(&cx, Change { facts: &facts, state, since: cx.now }, |attendance, _| {
        News::Completed(attendance.about())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_with_section, confirmed, enrollment, reminders};

    #[tokio::test]
    async fn who_has_completed_a_course_keeps_their_seat_and_their_reminders() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let completed_at = app.now();
        app.deliver(&Completed { enrollment: enrollment("ada", 2), completed_at }).await;
        app.deliver_again().await;
        app.settle().await;
        let subjects: Vec<_> = app.mail().into_iter().map(|it| it.subject).collect();
        assert_eq!(subjects, ["You're enrolled: Rust", "Completed: Rust"]);
        assert!(reminders(&app, "ada").await.iter().all(crate::reminder::Reminder::is_planned));
    }
}
