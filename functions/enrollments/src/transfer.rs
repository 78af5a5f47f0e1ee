//! `POST /v1/enrollments/{enrollment_id}/transfer`

use contracts::{
    courses::{SECTION_NOT_FOUND, SectionId},
    enrollments::{CancelReason, Cancelled, EnrollmentId, EnrollmentState, Transferred},
    identity::{GetContact, USER_NOT_FOUND},
};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    achievement::{self, PREREQUISITE_MISSING},
    course::Course,
    enrollment::{
        ALREADY_COMPLETED, ALREADY_ENROLLED, ENROLLMENT_NOT_FOUND, Enrollment, EnrollmentView,
        NOT_CONFIRMED,
    },
    get::{Seen, seen},
    hall::Want,
    joining::{self, Joined, Way},
    learning::{Known, known},
    progress::Progress,
    promoting,
    rules::{COURSE_NOT_PUBLISHED, SECTION_CANCELLED, SECTION_FULL},
    seats::Seats,
};

/// Transfer a seat to another section or to another person.
///
/// It happens as a whole or not at all, in one step. To another section of the
/// course a person takes what they have done of it with them; the section must
/// have a free seat that nobody waits for, and the seat they leave goes to the
/// first of its waitlist. To another person the seat goes past the waitlist:
/// they begin anew, and must have completed what the course asks for, unless
/// that is waived. Neither the window, nor the key, nor the approval is asked
/// for. The course's instructors and admins may do it; the answer is the new
/// enrollment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferEnrollment {
    /// The enrollment that has the seat.
    enrollment_id: EnrollmentId,
    /// The section to move the person to. Either this or `to_user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_section_id: Option<SectionId>,
    /// The person to give the seat to. Either this or `to_section_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_user_id: Option<UserId>,
    /// Let the other person in though they haven't completed what the course asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waive_prerequisites: Option<bool>,
}

impl Endpoint for TransferEnrollment {
    const OPERATION: &'static str = "enrollments.transfer";
    const ROUTE: Route = Route::act("/v1/enrollments/{enrollment_id}/transfer");
    const PROBLEMS: &'static [Problem] = &[
        ENROLLMENT_NOT_FOUND,
        SECTION_NOT_FOUND,
        USER_NOT_FOUND,
        NOT_CONFIRMED,
        ALREADY_COMPLETED,
        SECTION_CANCELLED,
        COURSE_NOT_PUBLISHED,
        PREREQUISITE_MISSING,
        ALREADY_ENROLLED,
        SECTION_FULL,
    ];
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = EnrollmentView;
}

pub async fn run(cx: Context<User>, request: TransferEnrollment) -> Result<EnrollmentView> {
    let Seen { enrollment: from, by_staff } = seen(&cx, &request.enrollment_id).await?;
    if !by_staff && !cx.caller.is_admin() {
        return Err(FORBIDDEN.into());
    }
    match from.state {
        EnrollmentState::Confirmed => {}
        EnrollmentState::Completed => return Err(ALREADY_COMPLETED.into()),
        _ => return Err(NOT_CONFIRMED.into()),
    }
    match (&request.to_section_id, &request.to_user_id) {
        (Some(section_id), None) => to_section(&cx, from, section_id).await,
        (None, Some(user_id)) => {
            let waived = request.waive_prerequisites == Some(true);
            to_person(&cx, from, user_id, waived).await
        }
        _ => {
            let (en, es) =
                ("Name a section or a person, and not both.", "Indica una sección o una persona.");
            let mut faults = Faults::new();
            faults.unless(false, "to_section_id", "exactly-one", en, es);
            faults.check()?;
            unreachable!("it was refused")
        }
    }
}

async fn to_section(
    cx: &Context<User>,
    mut from: Stored<Enrollment>,
    section_id: &SectionId,
) -> Result<EnrollmentView> {
    if *section_id == from.section_id {
        return Err(ALREADY_ENROLLED.into());
    }
    let mut seats = known(cx, &from.section_id, Want::Leaving).await?.seats;
    let Known { seats: mut target, course } = known(cx, section_id, Want::Seats(1)).await?;
    if target.course_id != from.course_id {
        return Err(SECTION_NOT_FOUND.into());
    }
    let id = Enrollment::id_of(section_id, &from.user_id);
    let earlier = cx.get::<Enrollment>(id.as_str()).await?;

    let refusals = forbidden(&target, &course);
    let joined = joining::join(
        &mut target,
        earlier.as_ref(),
        &from.user_id,
        Way::SeatOnly,
        refusals,
        cx.now,
    )?;
    from.leave(&mut seats, cx.now);
    let promoted = promoting::first(cx, &mut seats, None).await?;
    let progress = moved_progress(cx, &from, &joined.enrollment).await?;

    let changes = seats.changes().and(target.changes()).and(progress);
    answer(cx, &from, joined, changes, promoted).await
}

async fn to_person(
    cx: &Context<User>,
    mut from: Stored<Enrollment>,
    user_id: &UserId,
    waived: bool,
) -> Result<EnrollmentView> {
    cx.call(GetContact { user_id: user_id.clone() }).await?;
    let Known { mut seats, course } = known(cx, &from.section_id, Want::Seats(0)).await?;
    let id = Enrollment::id_of(&from.section_id, user_id);
    let earlier = cx.get::<Enrollment>(id.as_str()).await?;

    let mut refusals = forbidden(&seats, &course);
    if !waived {
        refusals.extend(achievement::missing(cx, &course, &[user_id]).await?.concat());
    }
    let joined =
        joining::join(&mut seats, earlier.as_ref(), user_id, Way::SeatOfAnother, refusals, cx.now)?;
    from.hand_over(cx.now);

    let changes = seats.changes();
    answer(cx, &from, joined, changes, Changes::new()).await
}

/// What forbids a transfer, whether there's a seat or not.
fn forbidden(seats: &Seats, course: &Course) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if seats.rules.cancelled {
        refusals.push(Refusal::of(SECTION_CANCELLED));
    }
    if !course.is_published() {
        refusals.push(Refusal::of(COURSE_NOT_PUBLISHED));
    }
    refusals
}

/// What was done of the course goes along with the person.
async fn moved_progress(cx: &Context<User>, from: &Enrollment, to: &Enrollment) -> Result<Changes> {
    let Some(old) = cx.get::<Progress>(from.id.as_str()).await? else { return Ok(Changes::new()) };
    let new = cx.get::<Progress>(to.id.as_str()).await?;
    let mut new = new.unwrap_or_else(|| Stored::new(Progress::of(to, cx.now)));
    new.take_over(&old);
    Ok(Changes::new().save(&new).delete(&old))
}

async fn answer(
    cx: &Context<User>,
    from: &Stored<Enrollment>,
    joined: Joined,
    changes: Changes,
    promoted: Changes,
) -> Result<EnrollmentView> {
    let Joined { enrollment, changes: new, .. } = joined;
    let why = CancelReason::Transferred;
    let changes = changes
        .save(from)
        .emit(&Cancelled { enrollment: from.facts(), why })
        .and(new)
        .emit(&Transferred { enrollment: enrollment.facts(), from: from.facts() })
        .and(promoted);
    let view = enrollment.view(None, cx.now);
    cx.answer(changes, view).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{GetSectionFacts, SectionAndCourse, SectionFacts},
        enrollments::Confirmed,
    };
    use serde_json::json;
    use testing::App;

    use super::*;
    use crate::tests::{app, course, enroll, enrolled, section, state};

    /// Two sections of a course, and one of another.
    fn sections(first: u32, second: u32) -> App {
        app(section(None), course()).answering::<GetSectionFacts>(move |request| {
            let mut course = course();
            let capacity = match request.section_id.as_str() {
                "s1" => first,
                "s2" => second,
                "s9" => {
                    course.course_id = "c9".into();
                    9
                }
                _ => return Err(SECTION_NOT_FOUND),
            };
            let course_id = course.course_id.clone();
            let section_id = request.section_id;
            let section = SectionFacts { section_id, course_id, ..section(Some(capacity)) };
            Ok(SectionAndCourse { section, course })
        })
    }

    async fn enroll_in(app: &App, user: &str, section_id: &str) {
        let body = json!({ "course_id": "c1", "section_id": section_id });
        app.user(user).post("/v1/enrollments", body).await.ok();
    }

    #[tokio::test]
    async fn a_person_moves_to_another_section_and_the_freed_seat_promotes_in_one_commit() {
        let app = sections(1, 1);
        let ada = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        enroll_in(&app, "eve", "s2").await;
        app.user("eve").get("/v1/enrollments").await.ok();
        let path = format!("/v1/enrollments/{ada}/transfer");
        let ines = app.instructor("ines");
        let to = json!({ "to_section_id": "s2" });
        ines.post(&path, &to).await.is(SECTION_FULL);
        assert_eq!(state(&app, "ada").await.0, "confirmed", "nothing has happened");
        let eve = app.user("eve").get("/v1/enrollments").await.ok();
        let leave = format!("/v1/enrollments/{}/cancel", eve["items"][0]["id"].as_str().unwrap());
        app.user("eve").post(&leave, json!({})).await.ok();

        let before = app.commits();
        let moved = ines.post(&path, &to).await.ok();
        assert_eq!((&moved["state"], &moved["section_id"]), (&json!("confirmed"), &json!("s2")));
        assert_eq!(app.commits() - before, 1);
        assert_eq!(state(&app, "bob").await.0, "confirmed");
        let old = app.user("ada").get(&format!("/v1/enrollments/{ada}")).await.ok();
        assert_eq!(old["state"], "cancelled");
        let told = app.emitted::<Transferred>().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].from.enrollment_id.as_str(), ada);
        assert_eq!(told[0].enrollment.enrollment_id.as_str(), moved["id"].as_str().unwrap());
        let why: Vec<_> = app.emitted::<Cancelled>().await.iter().map(|it| it.why).collect();
        assert_eq!(why, [CancelReason::Left, CancelReason::Transferred]);
    }

    #[tokio::test]
    async fn a_seat_goes_to_another_person_past_the_queue() {
        let app = sections(1, 1);
        let ada = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        let path = format!("/v1/enrollments/{ada}/transfer");
        let ines = app.instructor("ines");
        ines.post(&path, json!({ "to_user_id": "bob" })).await.is(ALREADY_ENROLLED);
        let moved = ines.post(&path, json!({ "to_user_id": "eve" })).await.ok();
        assert_eq!((&moved["state"], &moved["user_id"]), (&json!("confirmed"), &json!("eve")));
        assert_eq!(state(&app, "ada").await.0, "cancelled");
        assert_eq!(state(&app, "bob").await, ("waitlisted".into(), json!(1)));
        let told = app.emitted::<Confirmed>().await;
        assert_eq!(told.last().unwrap().enrollment.user_id.as_str(), "eve");
        ines.post(&path, json!({ "to_user_id": "dan" })).await.is(NOT_CONFIRMED);
    }

    #[tokio::test]
    async fn what_cannot_be_a_transfer_is_refused() {
        let app = sections(1, 1);
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/transfer");
        let ines = app.instructor("ines");
        ines.post(&path, json!({})).await.blames("to_section_id", "exactly-one");
        let both = json!({ "to_section_id": "s2", "to_user_id": "bob" });
        ines.post(&path, both).await.blames("to_section_id", "exactly-one");
        ines.post(&path, json!({ "to_section_id": "s1" })).await.is(ALREADY_ENROLLED);
        ines.post(&path, json!({ "to_section_id": "s9" })).await.is(SECTION_NOT_FOUND);
        ines.post(&path, json!({ "to_section_id": "s0" })).await.is(SECTION_NOT_FOUND);
        app.now_answering::<GetContact>(|_| Err(USER_NOT_FOUND));
        ines.post(&path, json!({ "to_user_id": "nobody" })).await.is(USER_NOT_FOUND);
        let to = json!({ "to_section_id": "s2" });
        app.user("ada").post(&path, &to).await.is(FORBIDDEN);
        app.user("bob").post(&path, &to).await.is(ENROLLMENT_NOT_FOUND);
        app.instructor("igor").post(&path, &to).await.is(ENROLLMENT_NOT_FOUND);
        app.anyone().post(&path, &to).await.is(runtime::problems::UNAUTHENTICATED);
        app.admin("root").post(&path, &to).await.ok();
    }
}
