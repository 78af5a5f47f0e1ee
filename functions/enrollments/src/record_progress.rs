//! `POST /v1/enrollments/{enrollment_id}/record-progress`

use contracts::enrollments::{Completed, EnrollmentId, EnrollmentState};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    achievement::Achievement,
    course::Course,
    enrollment::{ENROLLMENT_NOT_FOUND, Enrollment, EnrollmentView, NOT_CONFIRMED},
    get::{Seen, seen},
    hall::Want,
    learning::known,
    progress::Progress,
};

/// The course has an outline, which completes it.
pub const COMPLETED_BY_OUTLINE: Problem = Problem::conflict(
    "completed-by-outline",
    "This course has an outline: it's completed when its items are done.",
    "Este curso tiene un temario: se completa cuando se hacen sus elementos.",
);

/// Record what was done of the course.
///
/// Items of the course's outline are marked as done, and stay so. With the last
/// of those that are required (of all, where none is) the course is completed,
/// and a certificate is issued. The person themself may do it, and the course's
/// staff for them. A course without an outline is completed by its staff, who
/// send `completed`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordProgress {
    /// The enrollment, which must have a seat.
    enrollment_id: EnrollmentId,
    /// The items of the outline that are done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    item_ids: Option<Vec<Line<1, 64>>>,
    /// Whether the person has completed a course that has no outline: only `true`
    /// can be sent, and only by the course's staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed: Option<bool>,
}

impl Endpoint for RecordProgress {
    const OPERATION: &'static str = "enrollments.record_progress";
    const ROUTE: Route = Route::act("/v1/enrollments/{enrollment_id}/record-progress");
    const PROBLEMS: &'static [Problem] = &[
        ENROLLMENT_NOT_FOUND,
        NOT_CONFIRMED,
        COMPLETED_BY_OUTLINE,
        contracts::courses::SECTION_NOT_FOUND,
    ];
    type Response = EnrollmentView;
}

/// The most items that are marked at once.
const ITEMS_MOST: usize = 500;

pub async fn run(cx: Context<User>, request: RecordProgress) -> Result<EnrollmentView> {
    let Seen { mut enrollment, by_staff } = seen(&cx, &request.enrollment_id).await?;
    if request.completed.is_some() && !by_staff && !cx.caller.is_admin() {
        return Err(FORBIDDEN.into());
    }
    let course = known(&cx, &enrollment.section_id, Want::Rules).await?.course;
    check(&request, &course)?;
    if !enrollment.has_seat() {
        return Err(NOT_CONFIRMED.into());
    }
    if request.completed.is_some() && !course.items().is_empty() {
        return Err(COMPLETED_BY_OUTLINE.into());
    }

    let progress = cx.get::<Progress>(enrollment.id.as_str()).await?;
    let mut progress = progress.unwrap_or_else(|| Stored::new(Progress::of(&enrollment, cx.now)));
    progress.mark(request.item_ids.iter().flatten().map(|id| &**id), cx.now);
    let is_complete = progress.completes(&course) || request.completed.is_some();

    let mut changes = Changes::new().save(&progress);
    if is_complete && enrollment.state == EnrollmentState::Confirmed {
        enrollment.complete(cx.now);
        let achievement = achieved(&cx, &enrollment).await?;
        let told = Completed { enrollment: enrollment.facts(), completed_at: cx.now };
        changes = changes.save(&enrollment).save(&achievement).emit(&told);
    } else {
        // It's recorded only while the person has the seat: not beside an erasure or a transfer.
        changes = changes.save(&enrollment);
    }
    let mut view = enrollment.view(None, cx.now);
    view.progress = Some(progress.view_in_full(&course));
    cx.answer(changes, view).await
}

/// The person's achievement in the course, this enrollment included.
async fn achieved<C>(cx: &Context<C>, enrollment: &Enrollment) -> Result<Stored<Achievement>> {
    let Enrollment { user_id, course_id, .. } = enrollment;
    let earlier = cx.get::<Achievement>(&Achievement::id_of(user_id, course_id)).await?;
    let new = || Stored::new(Achievement::of(user_id, course_id, cx.now));
    let mut achievement = earlier.unwrap_or_else(new);
    achievement.count(&enrollment.id);
    Ok(achievement)
}

/// Refuses what isn't of the course's outline.
fn check(request: &RecordProgress, course: &Course) -> Result<()> {
    let mut faults = Faults::new();
    let items = request.item_ids.as_deref().unwrap_or_default();
    faults.unless(
        request.item_ids.is_some() || request.completed.is_some(),
        "item_ids",
        "missing",
        "Say which items are done.",
        "Indica qué elementos están hechos.",
    );
    faults.unless(
        request.completed != Some(false),
        "completed",
        "unknown-value",
        "What is completed stays so: only true can be sent.",
        "Lo completado queda así: solo se puede enviar true.",
    );
    faults.unless(
        items.len() <= ITEMS_MOST,
        "item_ids",
        "too-many",
        "At most 500 items are marked at once.",
        "Se marcan como máximo 500 elementos a la vez.",
    );
    for (index, id) in items.iter().enumerate().take(ITEMS_MOST) {
        faults.unless(
            course.items().iter().any(|item| item.id == **id),
            &format!("item_ids[{index}]"),
            "unknown-item",
            &format!("The outline has no item {id}."),
            &format!("El temario no tiene ningún elemento {id}."),
        );
    }
    faults.check()
}

#[cfg(test)]
mod tests {
    use contracts::courses::{CourseFacts, ItemFacts};
    use serde_json::json;
    use testing::App;

    use super::*;
    use crate::tests::{app, course, enroll, enrolled, section};

    fn outlined(items: &[(&str, bool)]) -> CourseFacts {
        let item =
            |(id, required): &(&str, bool)| ItemFacts { id: (*id).to_owned(), required: *required };
        CourseFacts { items: items.iter().map(item).collect(), ..course() }
    }

    async fn record(app: &App, user: &str, path: &str, items: &[&str]) -> testing::Answer {
        app.user(user).post(path, json!({ "item_ids": items })).await
    }

    #[tokio::test]
    async fn a_course_is_completed_with_its_last_required_item_and_once() {
        let app = app(section(Some(1)), outlined(&[("a", true), ("b", false), ("c", true)]));
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/record-progress");
        let first = record(&app, "ada", &path, &["a", "b"]).await.ok();
        assert_eq!(first["state"], "confirmed");
        assert_eq!(first["progress"]["items_done"], 2);
        assert_eq!(first["progress"]["required_done"], 1);
        let last = record(&app, "ada", &path, &["c"]).await.ok();
        assert_eq!(last["state"], "completed");
        assert_eq!(last["completed_at"], app.now().to_string());
        record(&app, "ada", &path, &["c"]).await.ok();
        assert_eq!(app.emitted::<Completed>().await.len(), 1);
        let seen = app.user("ada").get(&format!("/v1/enrollments/{ada}")).await.ok();
        assert_eq!(seen["progress"]["done"][2]["item_id"], "c");
        let listed = app.user("ada").get("/v1/enrollments").await.ok();
        assert_eq!(listed["items"][0]["progress"]["items_done"], 3);
        // The seat stays taken.
        assert_eq!(enroll(&app, "bob").await.ok()["state"], "waitlisted");
        let leave = format!("/v1/enrollments/{ada}/cancel");
        let refused = app.user("ada").post(&leave, json!({})).await;
        refused.is(crate::enrollment::ALREADY_COMPLETED);
    }

    #[tokio::test]
    async fn items_that_the_outline_does_not_have_are_refused_each_by_its_place() {
        let app = app(section(None), outlined(&[("a", true)]));
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/record-progress");
        let refused = record(&app, "ada", &path, &["a", "x", "y"]).await;
        refused.blames("item_ids[1]", "unknown-item");
        refused.blames("item_ids[2]", "unknown-item");
        app.user("ada").post(&path, json!({})).await.blames("item_ids", "missing");
        let many = vec!["a"; 501];
        record(&app, "ada", &path, &many).await.blames("item_ids", "too-many");
    }

    #[tokio::test]
    async fn staff_complete_a_course_without_an_outline_and_nobody_else_does() {
        let app = app(section(None), course());
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/record-progress");
        let done = json!({ "completed": true });
        app.user("ada").post(&path, &done).await.is(FORBIDDEN);
        let ines = app.instructor("ines");
        ines.post(&path, json!({ "completed": false })).await.blames("completed", "unknown-value");
        assert_eq!(ines.post(&path, &done).await.ok()["state"], "completed");
        let app = crate::tests::app(section(None), outlined(&[("a", true)]));
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/record-progress");
        app.instructor("ines").post(&path, &done).await.is(COMPLETED_BY_OUTLINE);
    }

    #[tokio::test]
    async fn only_who_has_a_seat_makes_progress() {
        let app = app(section(Some(0)), outlined(&[("a", true)]));
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/record-progress");
        record(&app, "ada", &path, &["a"]).await.is(NOT_CONFIRMED);
        record(&app, "bob", &path, &["a"]).await.is(ENROLLMENT_NOT_FOUND);
        let nobody = app.anyone().post(&path, json!({ "item_ids": ["a"] })).await;
        nobody.is(runtime::problems::UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn a_completed_course_opens_those_that_ask_for_it() {
        use contracts::courses::{GetSectionFacts, SectionAndCourse, SectionFacts};

        use crate::achievement::PREREQUISITE_MISSING;
        let app = app(section(None), course()).answering::<GetSectionFacts>(|request| {
            let advanced = request.section_id.as_str() == "s2";
            let course = if advanced {
                let prerequisites = vec!["c1".into(), "c0".into()];
                CourseFacts { course_id: "c2".into(), prerequisites, ..course() }
            } else {
                outlined(&[("a", true)])
            };
            let (section_id, course_id) = (request.section_id, course.course_id.clone());
            let section = SectionFacts { section_id, course_id, ..section(Some(1)) };
            Ok(SectionAndCourse { section, course })
        });
        let ada = enrolled(&app, "ada").await;
        let asked = json!({ "course_id": "c2", "section_id": "s2" });
        let refused = app.user("ada").post("/v1/enrollments", &asked).await;
        refused.is(PREREQUISITE_MISSING);
        let named: Vec<_> = refused.body["errors"].as_array().unwrap().iter().collect();
        assert_eq!(named[0]["values"], json!({ "course_id": "c1", "course_title": "Rust" }));
        assert_eq!(named[1]["values"], json!({ "course_id": "c0" }));
        let path = format!("/v1/enrollments/{ada}/record-progress");
        record(&app, "ada", &path, &["a"]).await.ok();
        let refused = app.user("ada").post("/v1/enrollments", &asked).await;
        assert_eq!(refused.body["errors"].as_array().unwrap().len(), 1);
        assert_eq!(refused.body["errors"][0]["values"]["course_id"], "c0");
        // Nobody waives it for themselves; the course's staff may.
        let mut waived = asked.clone();
        waived["waive_prerequisites"] = json!(true);
        app.user("ada").post("/v1/enrollments", &waived).await.is(FORBIDDEN);
        waived["user_id"] = json!("ada");
        let in_spanish = app.user("ada").in_language("es").post("/v1/enrollments", &asked).await;
        assert_eq!(in_spanish.body["errors"][0]["detail"], "Completa primero “c0”.");
        assert_eq!(
            app.instructor("ines").post("/v1/enrollments", &waived).await.ok()["state"],
            "confirmed"
        );
    }
}
