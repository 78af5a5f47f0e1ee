//! `POST /v1/enrollments/{enrollment_id}/cancel`

use contracts::enrollments::{CancelReason, Cancelled, EnrollmentId, EnrollmentState};
use runtime::prelude::*;

use crate::{
    enrollment::{ALREADY_COMPLETED, ENROLLMENT_NOT_FOUND, EnrollmentView},
    get::{Seen, seen},
    hall::Want,
    learning::known,
    promoting,
};

/// Leave a section.
///
/// The seat goes to the first of the waitlist in the same step. Leaving again
/// changes nothing, and who has completed the course stays. The person themself, the course's instructors and admins
/// may do it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelEnrollment {
    /// The enrollment to end.
    enrollment_id: EnrollmentId,
}

impl Endpoint for CancelEnrollment {
    const OPERATION: &'static str = "enrollments.cancel";
    const ROUTE: Route = Route::act("/v1/enrollments/{enrollment_id}/cancel");
    const PROBLEMS: &'static [Problem] =
        &[ENROLLMENT_NOT_FOUND, ALREADY_COMPLETED, contracts::courses::SECTION_NOT_FOUND];
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = EnrollmentView;
}

pub async fn run(cx: Context<User>, request: CancelEnrollment) -> Result<EnrollmentView> {
    let Seen { mut enrollment, by_staff } = seen(&cx, &request.enrollment_id).await?;
    if enrollment.state == EnrollmentState::Completed {
        return Err(ALREADY_COMPLETED.into());
    }
    if !enrollment.is_active() {
        return cx.answer(Changes::new(), enrollment.view(None, cx.now)).await;
    }
    let mut seats = known(&cx, &enrollment.section_id, Want::Leaving).await?.seats;

    enrollment.leave(&mut seats, cx.now);
    let promoted = promoting::first(&cx, &mut seats, Some(&enrollment)).await?;

    let why = if by_staff { CancelReason::Removed } else { CancelReason::Left };
    let told = Cancelled { enrollment: enrollment.facts(), why };
    let changes = Changes::new().save(&enrollment).and(seats.changes()).emit(&told).and(promoted);
    let view = enrollment.view(None, cx.now);
    cx.answer(changes, view).await
}

#[cfg(test)]
mod tests {
    use contracts::enrollments::Confirmed;
    use serde_json::json;

    use super::*;
    use crate::tests::{app, course, enroll, enrolled, section, state};

    #[tokio::test]
    async fn who_leaves_hands_their_seat_to_the_first_of_the_queue() {
        let app = app(section(Some(1)), course());
        let seat = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        enroll(&app, "cid").await.ok();
        let before = app.commits();
        let path = format!("/v1/enrollments/{seat}/cancel");
        let answer = app.user("ada").post(&path, json!({})).await.ok();
        assert_eq!(answer["state"], "cancelled");
        assert_eq!(app.commits() - before, 1);
        assert_eq!(state(&app, "bob").await, ("confirmed".into(), json!(null)));
        assert_eq!(state(&app, "cid").await, ("waitlisted".into(), json!(1)));
        let promoted = app.emitted::<Confirmed>().await.into_iter().filter(|it| it.promoted);
        assert_eq!(
            promoted.map(|it| it.enrollment.user_id.to_string()).collect::<Vec<_>>(),
            ["bob"]
        );
    }

    #[tokio::test]
    async fn to_leave_the_queue_frees_no_seat() {
        let app = app(section(Some(1)), course());
        enroll(&app, "ada").await.ok();
        let place = enrolled(&app, "bob").await;
        enroll(&app, "cid").await.ok();
        let path = format!("/v1/enrollments/{place}/cancel");
        app.user("bob").post(&path, json!({})).await.ok();
        assert_eq!(state(&app, "ada").await.0, "confirmed");
        assert_eq!(state(&app, "cid").await, ("waitlisted".into(), json!(1)));
    }

    #[tokio::test]
    async fn leaving_twice_changes_nothing_and_one_may_come_back() {
        let app = app(section(Some(1)), course());
        let seat = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{seat}/cancel");
        app.user("ada").post(&path, json!({})).await.ok();
        app.user("ada").post(&path, json!({})).await.ok();
        assert_eq!(app.emitted::<Cancelled>().await.len(), 1);
        assert_eq!(enrolled(&app, "ada").await, seat);
        assert_eq!(enroll(&app, "bob").await.ok()["state"], "waitlisted");
    }

    #[tokio::test]
    async fn only_the_person_and_the_courses_staff_may() {
        let app = app(section(Some(2)), course());
        let seat = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{seat}/cancel");
        app.user("bob").post(&path, json!({})).await.is(ENROLLMENT_NOT_FOUND);
        app.instructor("igor").post(&path, json!({})).await.is(ENROLLMENT_NOT_FOUND);
        app.anyone().post(&path, json!({})).await.is(runtime::problems::UNAUTHENTICATED);
        app.instructor("ines").post(&path, json!({})).await.ok();
        let told = app.emitted::<Cancelled>().await;
        assert_eq!(told[0].why, CancelReason::Removed);
    }
}
