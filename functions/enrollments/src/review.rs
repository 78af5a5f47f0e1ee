//! `POST /v1/enrollments/{enrollment_id}/review`

use contracts::enrollments::{Confirmed, EnrollmentId, EnrollmentState, Rejected, Waitlisted};
use runtime::prelude::*;

use crate::{
    enrollment::{ENROLLMENT_NOT_FOUND, EnrollmentView},
    get::{Seen, seen},
    hall::Want,
    learning::known,
    rules::{SECTION_CANCELLED, SECTION_FULL},
    seats::Place,
};

/// The enrollment isn't waiting for a review.
pub const NOT_PENDING_APPROVAL: Problem = Problem::conflict(
    "not-pending-approval",
    "This enrollment is not waiting for approval.",
    "Esta inscripción no está pendiente de aprobación.",
);

/// Approve or reject a request for a seat.
///
/// An approved person gets a free seat, or a place in the waitlist. The
/// course's instructors and admins may do it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewEnrollment {
    /// The enrollment to review.
    enrollment_id: EnrollmentId,
    /// The decision.
    decision: Decision,
    /// What to tell the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<Text<1, 1000>>,
}

/// What an instructor decides of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// The person may come.
    Approve,
    /// The person may not.
    Reject,
}

impl Endpoint for ReviewEnrollment {
    const OPERATION: &'static str = "enrollments.review";
    const ROUTE: Route = Route::act("/v1/enrollments/{enrollment_id}/review");
    const PROBLEMS: &'static [Problem] = &[
        ENROLLMENT_NOT_FOUND,
        NOT_PENDING_APPROVAL,
        SECTION_FULL,
        SECTION_CANCELLED,
        contracts::courses::SECTION_NOT_FOUND,
    ];
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = EnrollmentView;
}

pub async fn run(cx: Context<User>, request: ReviewEnrollment) -> Result<EnrollmentView> {
    let Seen { mut enrollment, by_staff } = seen(&cx, &request.enrollment_id).await?;
    if !by_staff && !cx.caller.is_admin() {
        return Err(runtime::problems::FORBIDDEN.into());
    }
    if enrollment.state != EnrollmentState::PendingApproval {
        return Err(NOT_PENDING_APPROVAL.into());
    }
    let note = request.note.map(String::from);
    if request.decision == Decision::Reject {
        enrollment.reject(note.clone(), cx.now);
        let told = Rejected { enrollment: enrollment.facts(), note };
        let view = enrollment.view(None, cx.now);
        return cx.answer(Changes::new().save(&enrollment).emit(&told), view).await;
    }
    let mut seats = known(&cx, &enrollment.section_id, Want::Seats(1)).await?.seats;
    if seats.rules.cancelled {
        return Err(SECTION_CANCELLED.into());
    }

    let place = seats.join(cx.now)?;
    // Who is approved joins now, behind those who wait already: the place that
    // they are told is the one that they have.
    enrollment.number = seats.take_number();
    enrollment.note = note;
    enrollment.take(place, cx.now);

    let changes = Changes::new().save(&enrollment).and(seats.changes());
    let facts = enrollment.facts();
    match place {
        Place::Seat | Place::Offer { .. } => {
            let told = Confirmed { enrollment: facts, promoted: false, confirmed_at: cx.now };
            cx.answer(changes.emit(&told), enrollment.view(None, cx.now)).await
        }
        Place::Queue { position } => {
            let told = Waitlisted { enrollment: facts, position };
            cx.answer(changes.emit(&told), enrollment.view(Some(position), cx.now)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::courses::SectionFacts;
    use serde_json::json;

    use super::*;
    use crate::tests::{app, course, enrolled, section, state};

    fn asks(capacity: u32, waitlist_capacity: u32) -> SectionFacts {
        SectionFacts {
            approval_required: true,
            waitlist_capacity: Some(waitlist_capacity),
            ..section(Some(capacity))
        }
    }

    #[tokio::test]
    async fn the_approved_get_a_seat_then_a_place_in_the_queue_then_nothing() {
        let app = app(asks(1, 1), course());
        let ines = app.instructor("ines");
        let mut answers = Vec::new();
        for name in ["ada", "bob", "cid"] {
            let path = format!("/v1/enrollments/{}/review", enrolled(&app, name).await);
            answers.push(ines.post(&path, json!({ "decision": "approve" })).await);
        }
        assert_eq!(answers[0].body["state"], "confirmed");
        assert_eq!(answers[1].body["state"], "waitlisted");
        answers[2].is(SECTION_FULL);
        assert_eq!(state(&app, "cid").await.0, "pending_approval");
    }

    #[tokio::test]
    async fn the_approved_wait_behind_those_who_wait_already() {
        let app = app(asks(0, 9), course());
        let ines = app.instructor("ines");
        let (ada, bob) = (enrolled(&app, "ada").await, enrolled(&app, "bob").await);
        for (id, position) in [(bob, 1), (ada, 2)] {
            let path = format!("/v1/enrollments/{id}/review");
            let answer = ines.post(&path, json!({ "decision": "approve" })).await.ok();
            assert_eq!(answer["waitlist_position"], position);
        }
        assert_eq!(state(&app, "bob").await, ("waitlisted".into(), json!(1)));
        assert_eq!(state(&app, "ada").await, ("waitlisted".into(), json!(2)));
    }

    #[tokio::test]
    async fn the_rejected_are_told_why() {
        let app = app(asks(1, 0), course());
        let path = format!("/v1/enrollments/{}/review", enrolled(&app, "ada").await);
        let ines = app.instructor("ines");
        let no = json!({ "decision": "reject", "note": "Take the first course first." });
        assert_eq!(ines.post(&path, no.clone()).await.ok()["state"], "rejected");
        let told = app.emitted::<Rejected>().await;
        assert_eq!(told[0].note.as_deref(), Some("Take the first course first."));
        ines.post(&path, no).await.is(NOT_PENDING_APPROVAL);
    }

    #[tokio::test]
    async fn nobody_approves_themselves() {
        let app = app(asks(1, 0), course());
        let path = format!("/v1/enrollments/{}/review", enrolled(&app, "ada").await);
        let yes = json!({ "decision": "approve" });
        app.user("ada").post(&path, yes.clone()).await.is(runtime::problems::FORBIDDEN);
        app.user("bob").post(&path, yes.clone()).await.is(ENROLLMENT_NOT_FOUND);
        app.anyone().post(&path, yes).await.is(runtime::problems::UNAUTHENTICATED);
        let maybe = json!({ "decision": "maybe" });
        app.instructor("ines").post(&path, maybe).await.blames("decision", "unknown-value");
    }
}
