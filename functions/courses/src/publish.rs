//! `POST /v1/courses/{course_id}/publish`

use contracts::courses::{COURSE_NOT_FOUND, CourseId, CoursePublished, CourseState};
use runtime::prelude::*;

use crate::{
    access, card,
    course::{COURSE_INCOMPLETE, ShownCourse},
    filing, telling,
};

/// Publish a course.
///
/// Everyone sees it from then on. An archived course is offered again. To
/// publish a published course changes nothing. What is missing is told all at
/// once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishCourse {
    /// The course.
    course_id: CourseId,
    /// The version that you saw, if only that is to be published; `If-Match`
    /// says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl Endpoint for PublishCourse {
    const OPERATION: &'static str = "courses.publish";
    const ROUTE: Route = Route::act("/v1/courses/{course_id}/publish");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, COURSE_INCOMPLETE];
    type Response = ShownCourse;
}

pub async fn run(cx: Context<Instructor>, request: PublishCourse) -> Result<ShownCourse> {
    let mut course = access::to_move(&cx, &request.course_id).await?;
    if request.etag.is_some() {
        cx.expect_etag(&course.etag(), request.etag.as_deref())?;
    }
    if course.state == CourseState::Published {
        return cx.answer(Changes::new(), course.into_inner().show(true)).await;
    }

    let before = (*course).clone();
    course.publish(cx.now)?;
    let mut faults = Faults::new();
    let filed = filing::changes(&cx, Some(&before), &course, &mut faults).await?;
    if !faults.is_empty() {
        return Err(faults.refuse(COURSE_INCOMPLETE).into());
    }

    let card = card::of_changed(&cx, &course).await?;
    let published = CoursePublished { course: course.facts() };
    let changes = filed.save(&course).save(&card).emit(&published);
    let shown = cx.answer(changes, (*course).clone().show(true)).await?;
    telling::of_course(&cx, &course).await;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use contracts::courses::{COURSE_NOT_FOUND, CoursePublished, CourseState};
    use runtime::problems::{FORBIDDEN, STALE_ETAG, UNAUTHENTICATED};
    use testing::{Value, json};

    use crate::{
        course::COURSE_INCOMPLETE,
        tests::{app, draft, learned_courses, published, text},
    };

    #[tokio::test]
    async fn a_published_course_is_there_for_everyone() {
        let app = app().await;
        let path = draft(&app).await;
        let learned = learned_courses(&app);
        app.advance_minutes(5);
        let publish = format!("{path}/publish");
        let answer = app.instructor("ines").post(&publish, json!({})).await;
        let course = answer.ok();
        assert_eq!((answer.status, &course["state"]), (200, &json!("published")));
        assert_eq!((&course["published_at"], &course["etag"]), (&json!(app.now()), &json!("2")));
        app.anyone().get(&path).await.ok();
        let events = app.emitted::<CoursePublished>().await;
        assert_eq!((events.len(), events[0].course.state), (1, CourseState::Published));
        assert_eq!(*learned.lock().unwrap(), [events[0].course.clone()]);
    }

    #[tokio::test]
    async fn to_publish_again_changes_nothing() {
        let app = app().await;
        let path = published(&app).await;
        app.advance_minutes(5);
        let publish = format!("{path}/publish");
        let course = app.instructor("ines").post_without_key(&publish, json!({})).await.ok();
        assert_eq!(course["etag"], "2");
        assert_ne!(course["published_at"], json!(app.now()));
        assert_eq!(app.emitted::<CoursePublished>().await.len(), 1);
    }

    #[tokio::test]
    async fn everything_that_is_missing_is_told_at_once() {
        let app = app().await;
        let ines = app.instructor("ines");
        let course = ines.post("/v1/courses", json!({ "title": "Rust" })).await.ok();
        let path = format!("/v1/courses/{}", text(&course["id"]));
        let answer = ines.post(&format!("{path}/publish"), json!({})).await;
        answer.is(COURSE_INCOMPLETE);
        let errors = answer.body["errors"].as_array().unwrap();
        let fields: Vec<&Value> = errors.iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["summary", "description", "category", "level", "language", "outline"]);
        assert!(errors.iter().all(|error| error["reason"] == "missing"));
        assert_eq!(ines.get(&path).await.ok()["state"], "draft");
        let spanish = ines.in_language("es").post(&format!("{path}/publish"), json!({})).await;
        assert_eq!(spanish.body["errors"][2]["detail"], "Elige una categoría.");
    }

    #[tokio::test]
    async fn only_those_who_run_it_publish_it() {
        let app = app().await;
        let publish = format!("{}/publish", draft(&app).await);
        app.anyone().post(&publish, json!({})).await.is(UNAUTHENTICATED);
        app.user("ada").post(&publish, json!({})).await.is(FORBIDDEN);
        app.instructor("ivan").post(&publish, json!({})).await.is(COURSE_NOT_FOUND);
        let stale = app.instructor("ines").post(&publish, json!({ "etag": "7" })).await;
        stale.is(STALE_ETAG);
        app.admin("root").post(&publish, json!({ "etag": "1" })).await.ok();
        app.instructor("ivan").post(&publish, json!({})).await.is(FORBIDDEN);
        app.admin("root").post("/v1/courses/x/publish", json!({})).await.is(COURSE_NOT_FOUND);
    }
}
