//! `POST /v1/enrollments`

use std::collections::BTreeMap;

use contracts::{
    courses::{CourseId, SECTION_NOT_FOUND, SectionId},
    identity::{GetContact, USER_NOT_FOUND},
};
use runtime::{Batched, Call, Outcome, prelude::*, problems::FORBIDDEN};

use crate::{
    achievement::{self, PREREQUISITE_MISSING},
    course::Course,
    enrollment::{ALREADY_ENROLLED, Enrollment, EnrollmentView},
    hall::Want,
    joining::{self, Joined, Way},
    learning::{Known, known},
    rules::{
        COURSE_NOT_PUBLISHED, ENROLLMENT_CLOSED, ENROLLMENT_NOT_OPEN, SECTION_CANCELLED,
        SECTION_FULL, WRONG_ENROLLMENT_KEY,
    },
    seats::Seats,
};

/// Enroll in a section.
///
/// Whoever finds a free seat is `confirmed`; whoever doesn't is `waitlisted`,
/// in the order of joining. Where an instructor must approve, the answer is
/// `pending_approval`. A refusal tells every rule that forbids it.
///
/// People enroll themselves. Instructors of the course and admins may enroll
/// others: then neither the window, nor the key, nor the approval is asked for,
/// and prerequisites may be waived.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// The course to attend.
    course_id: CourseId,
    /// The section of it to attend.
    section_id: SectionId,
    /// The key that the section asks for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrollment_key: Option<Line<1, 200>>,
    /// Who is to attend: oneself unless said, `me` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// Let them in though they haven't completed what the course asks for: only
    /// for its staff, when they enroll others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waive_prerequisites: Option<bool>,
    /// Only say what would happen: the same verdict, answered with 200, and
    /// nothing is changed.
    #[serde(default)]
    validate_only: Option<bool>,
}

impl Endpoint for Enroll {
    const OPERATION: &'static str = "enrollments.enroll";
    const ROUTE: Route = Route::create("/v1/enrollments");
    const PROBLEMS: &'static [Problem] = &[
        SECTION_NOT_FOUND,
        USER_NOT_FOUND,
        SECTION_CANCELLED,
        COURSE_NOT_PUBLISHED,
        ENROLLMENT_NOT_OPEN,
        ENROLLMENT_CLOSED,
        WRONG_ENROLLMENT_KEY,
        PREREQUISITE_MISSING,
        ALREADY_ENROLLED,
        SECTION_FULL,
    ];
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = EnrollmentView;
}

impl Batched for Enroll {
    /// People of one section are decided together: they want the same seats.
    fn lane(&self) -> String {
        self.section_id.to_string()
    }

    fn is_dry_run(&self) -> bool {
        self.validate_only == Some(true)
    }
}

pub async fn run(
    cx: Context<System>,
    calls: Vec<Call<User, Enroll>>,
) -> Result<Outcome<EnrollmentView>> {
    let Some(first) = calls.first() else {
        return Ok(Outcome { shared: Changes::new(), verdicts: Vec::new() });
    };
    let Known { mut seats, course } =
        match known(&cx, &first.request.section_id, Want::NextSeats).await {
            Ok(known) => known,
            Err(Error::Refused(refusal)) => {
                let verdicts = calls.iter().map(|_| Err((*refusal).clone().into())).collect();
                return Ok(Outcome { shared: Changes::new(), verdicts });
            }
            Err(other) => return Err(other),
        };
    let mut people = People::read(&cx, &seats.section_id, &calls).await?;

    let everybody: Vec<_> = calls.iter().map(who).collect();
    let missing = achievement::missing(&cx, &course, &everybody).await?;

    let mut verdicts = Vec::with_capacity(calls.len());
    for (call, missing) in calls.iter().zip(missing) {
        let verdict = match admitted(&cx, &course, call).await {
            Ok(by) => decide(&cx, &mut seats, &course, &mut people, call, by, missing),
            Err(Error::Refused(refusal)) => Err(Error::Refused(refusal)),
            Err(other) => return Err(other),
        };
        verdicts.push(verdict);
        if seats.is_used_up() {
            // The rest is decided next, where there are more seats.
            break;
        }
    }

    // Where many have left, or seats were added, who comes next spreads them again.
    seats.spread(cx.settings().seats_in_block);
    let mut shared = if seats.is_changed() { seats.changes() } else { Changes::new() };
    if course.is_new() {
        shared = shared.save(&course);
    }
    // A section that is only asked about isn't kept.
    let changed = verdicts.iter().flatten().any(|(_, changes)| !changes.is_empty());
    Ok(Outcome { shared: if changed { shared } else { Changes::new() }, verdicts })
}

/// The enrollments that the people of a batch have already.
struct People(BTreeMap<UserId, Stored<Enrollment>>);

impl People {
    async fn read(
        cx: &Context<System>,
        section_id: &SectionId,
        calls: &[Call<User, Enroll>],
    ) -> Result<Self> {
        let ids: Vec<_> =
            calls.iter().map(|it| Enrollment::id_of(section_id, who(it)).to_string()).collect();
        let found = cx.get_all::<Enrollment>(&ids).await?;
        Ok(Self(found.into_iter().flatten().map(|it| (it.user_id.clone(), it)).collect()))
    }
}

/// Who is to attend.
fn who(call: &Call<User, Enroll>) -> &UserId {
    match &call.request.user_id {
        Some(user_id) if user_id.as_str() != "me" => user_id,
        _ => &call.caller.id,
    }
}

/// How somebody was admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// By their own request, under all rules.
    Themselves,
    /// By the course's staff.
    Staff,
}

/// Checks that the section is the course's, and that the caller may enroll whom they name.
async fn admitted(cx: &Context<System>, course: &Course, call: &Call<User, Enroll>) -> Result<By> {
    if course.key() != call.request.course_id.as_str() {
        return Err(SECTION_NOT_FOUND.into());
    }
    let user_id = who(call);
    if *user_id == call.caller.id {
        if call.request.waive_prerequisites == Some(true) {
            return Err(FORBIDDEN.into());
        }
        return Ok(By::Themselves);
    }
    if !course.is_run_by(&call.caller) {
        return Err(FORBIDDEN.into());
    }
    cx.call(GetContact { user_id: user_id.clone() }).await?;
    Ok(By::Staff)
}

/// Decides one request, after those before it.
fn decide(
    cx: &Context<System>,
    seats: &mut Seats,
    course: &Course,
    people: &mut People,
    call: &Call<User, Enroll>,
    by: By,
    missing: Vec<Refusal>,
) -> Result<(EnrollmentView, Changes)> {
    let user_id = who(call);
    let before = call.request.is_dry_run().then(|| seats.clone());
    let mut refusals = forbidden(cx, seats, course, call, by);
    if call.request.waive_prerequisites != Some(true) {
        refusals.extend(missing);
    }
    let approval = seats.rules.approval_required && by == By::Themselves;
    let way = if approval { Way::Approval } else { Way::SeatOrQueue };
    let earlier = people.0.get(user_id);
    let Joined { enrollment, position, changes } =
        joining::join(seats, earlier, user_id, way, refusals, cx.now)?;
    let view = enrollment.view(position, cx.now);
    if let Some(before) = before {
        *seats = before;
        return Ok((view, Changes::new()));
    }
    // A second request of the same person in this batch finds this one. Its
    // version is the one before: it will be refused, never saved.
    people.0.insert(user_id.clone(), enrollment);
    Ok((view, changes))
}

/// Every rule that forbids enrolling, whether there's a seat or not.
fn forbidden(
    cx: &Context<System>,
    seats: &Seats,
    course: &Course,
    call: &Call<User, Enroll>,
    by: By,
) -> Vec<Refusal> {
    let mut refusals = seats.rules.forbid(cx.now);
    if by == By::Staff {
        refusals.retain(|it| it.problem == SECTION_CANCELLED);
    } else {
        let key = call.request.enrollment_key.as_deref();
        refusals.extend(seats.rules.check_key(&seats.section_id, key, cx.secret()));
    }
    if !course.is_published() {
        refusals.push(Refusal::of(COURSE_NOT_PUBLISHED));
    }
    refusals
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{CourseFacts, CourseState, GetSectionFacts, SectionFacts},
        enrollments::{Confirmed, Requested, Waitlisted},
    };
    use serde_json::json;
    use testing::App;

    use super::*;
    use crate::tests::{app, course, enroll, seat, section, state};

    const PATH: &str = "/v1/enrollments";

    #[tokio::test]
    async fn the_last_seat_is_taken_and_the_next_one_waits() {
        let app = app(section(Some(1)), course());
        let first = enroll(&app, "ada").await;
        assert_eq!((first.status, &first.body["state"]), (201, &json!("confirmed")));
        let second = enroll(&app, "bob").await;
        assert_eq!((second.status, &second.body["state"]), (201, &json!("waitlisted")));
        assert_eq!(second.body["waitlist_position"], 1);
        assert_eq!(enroll(&app, "cid").await.body["waitlist_position"], 2);
        assert_eq!(app.emitted::<Confirmed>().await.len(), 1);
        assert_eq!(app.emitted::<Waitlisted>().await.len(), 2);
    }

    #[tokio::test]
    async fn an_enrollment_costs_one_commit() {
        let app = app(section(Some(9)), course());
        enroll(&app, "ada").await.ok();
        let before = app.commits();
        enroll(&app, "bob").await.ok();
        assert_eq!(app.commits() - before, 1);
    }

    #[tokio::test]
    async fn a_crowd_gets_exactly_the_seats_there_are() {
        let app = app(section(Some(5)), course());
        let names: Vec<_> = (0..40).map(|it| format!("user{it}")).collect();
        let before = app.commits();
        let crowd = names.iter().map(|name| enroll(&app, name));
        let answers = futures_util::future::join_all(crowd).await;
        let count = |state: &str| answers.iter().filter(|it| it.body["state"] == state).count();
        assert_eq!((count("confirmed"), count("waitlisted")), (5, 35));
        let mut positions: Vec<_> =
            answers.iter().filter_map(|it| it.body["waitlist_position"].as_u64()).collect();
        positions.sort_unstable();
        assert_eq!(positions, (1..=35).collect::<Vec<_>>());
        assert!(app.commits() - before < 20, "they were decided together");
    }

    #[tokio::test]
    async fn all_reasons_that_hold_are_told() {
        let closed = SectionFacts {
            cancelled: true,
            capacity: Some(0),
            waitlist_capacity: Some(0),
            enrollment_closes_at: Some(Timestamp::UNIX_EPOCH),
            enrollment_key_seal: Some("sealed".into()),
            ..section(None)
        };
        let draft = CourseFacts { state: CourseState::Draft, ..course() };
        let app = app(closed, draft);
        let answer = enroll(&app, "ada").await;
        answer.is(SECTION_CANCELLED);
        let errors = answer.body["errors"].as_array().expect("errors");
        let reasons: Vec<_> = errors.iter().filter_map(|it| it["reason"].as_str()).collect();
        let expected = [
            "section-cancelled",
            "enrollment-closed",
            "wrong-enrollment-key",
            "course-not-published",
            "section-full",
        ];
        assert_eq!(reasons, expected);
        assert_eq!(errors[4]["values"]["capacity"], 0);
        assert!(app.emitted::<Confirmed>().await.is_empty());
    }

    #[tokio::test]
    async fn nobody_is_enrolled_twice_even_at_once() {
        let app = app(section(Some(5)), course());
        let (one, two) = tokio::join!(enroll(&app, "ada"), enroll(&app, "ada"));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        enroll(&app, "ada").await.is(ALREADY_ENROLLED);
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_first_answer_again() {
        let app = app(section(Some(1)), course());
        let ada = app.user("ada");
        let first = ada.post_with_key(PATH, seat(), "k1").await;
        let again = ada.post_with_key(PATH, seat(), "k1").await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let other = json!({ "course_id": "c1", "section_id": "s2" });
        let reused = ada.post_with_key(PATH, other, "k1").await;
        reused.is(runtime::problems::KEY_REUSED);
        // Another person's key of the same name is another key.
        let bob = app.user("bob").post_with_key(PATH, seat(), "k1").await;
        assert_eq!(bob.body["state"], "waitlisted");
        ada.post_without_key(PATH, seat()).await.is(runtime::problems::IDEMPOTENCY_KEY_REQUIRED);
    }

    #[tokio::test]
    async fn a_refusal_is_final_for_its_key_though_a_seat_gets_free() {
        let full = SectionFacts { waitlist_capacity: Some(0), ..section(Some(1)) };
        let app = app(full, course());
        let seat_of_ada = crate::tests::enrolled(&app, "ada").await;
        let bob = app.user("bob");
        bob.post_with_key(PATH, seat(), "late").await.is(SECTION_FULL);
        let leave = format!("{PATH}/{seat_of_ada}/cancel");
        app.user("ada").post(&leave, json!({})).await.ok();
        bob.post_with_key(PATH, seat(), "late").await.is(SECTION_FULL);
        assert_eq!(bob.post_with_key(PATH, seat(), "new").await.status, 201);
    }

    #[tokio::test]
    async fn a_dry_run_gives_the_verdict_and_changes_nothing() {
        let app = app(section(Some(1)), course());
        let dry = json!({ "course_id": "c1", "section_id": "s1", "validate_only": true });
        let before = app.commits();
        for _ in 0..2 {
            let answer = app.user("ada").post_without_key(PATH, dry.clone()).await;
            assert_eq!((answer.status, &answer.body["state"]), (200, &json!("confirmed")));
        }
        assert_eq!(app.commits(), before);
        assert_eq!(enroll(&app, "bob").await.body["state"], "confirmed");
        let answer = app.user("ada").post_without_key(PATH, dry).await;
        assert_eq!(answer.body["state"], "waitlisted");
    }

    #[tokio::test]
    async fn staff_enroll_others_and_nobody_else_does() {
        let asks = SectionFacts { approval_required: true, ..section(Some(1)) };
        let app = app(asks, course());
        let bob = json!({ "course_id": "c1", "section_id": "s1", "user_id": "bob" });
        app.user("ada").post(PATH, bob.clone()).await.is(FORBIDDEN);
        app.instructor("igor").post(PATH, bob.clone()).await.is(FORBIDDEN);
        let answer = app.instructor("ines").post(PATH, bob).await.ok();
        assert_eq!((&answer["state"], &answer["user_id"]), (&json!("confirmed"), &json!("bob")));
        let eve = json!({ "course_id": "c1", "section_id": "s1", "user_id": "eve" });
        assert_eq!(app.admin("root").post(PATH, eve).await.ok()["state"], "waitlisted");
        app.anyone().post(PATH, seat()).await.is(runtime::problems::UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn where_an_instructor_must_approve_nobody_takes_a_seat() {
        let asks = SectionFacts { approval_required: true, ..section(Some(1)) };
        let app = app(asks, course());
        assert_eq!(enroll(&app, "ada").await.ok()["state"], "pending_approval");
        assert_eq!(enroll(&app, "bob").await.ok()["state"], "pending_approval");
        assert_eq!(app.emitted::<Requested>().await.len(), 2);
        assert_eq!(state(&app, "ada").await.0, "pending_approval");
    }

    #[tokio::test]
    async fn an_unknown_section_is_not_found() {
        let app = App::of(crate::domain).answering::<GetSectionFacts>(|_| Err(SECTION_NOT_FOUND));
        enroll(&app, "ada").await.is(SECTION_NOT_FOUND);
        let app = crate::tests::app(section(None), course());
        let foreign = json!({ "course_id": "c2", "section_id": "s1" });
        app.user("ada").post(PATH, foreign).await.is(SECTION_NOT_FOUND);
    }

    #[tokio::test]
    async fn a_bad_request_names_its_field() {
        let app = app(section(None), course());
        let ada = app.user("ada");
        let cases = [
            (json!({ "course_id": "c1" }), "section_id", "missing"),
            (json!({ "course_id": "c 1", "section_id": "s1" }), "course_id", "invalid-id"),
            (json!({ "course_id": 7, "section_id": "s1" }), "course_id", "wrong-type"),
            (json!({ "course_id": "c1", "section_id": "s1", "seat": 4 }), "seat", "unknown-field"),
            (
                json!({ "course_id": "c1", "section_id": "s1", "enrollment_key": "a\nb" }),
                "enrollment_key",
                "invalid-characters",
            ),
        ];
        for (body, field, reason) in cases {
            ada.post(PATH, body).await.blames(field, reason);
        }
    }
}
