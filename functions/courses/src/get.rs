//! `GET /v1/courses/{course_id}`

use contracts::courses::{COURSE_NOT_FOUND, CourseId};
use runtime::prelude::*;

use crate::{access, course::ShownCourse};

/// Get a course.
///
/// A published course is for everyone; a draft is for its instructors. Where an
/// item of the outline is, they alone are told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCourse {
    /// The course.
    course_id: CourseId,
}

impl Endpoint for GetCourse {
    const OPERATION: &'static str = "courses.get";
    const ROUTE: Route = Route::get("/v1/courses/{course_id}");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND];
    type Response = ShownCourse;
}

pub async fn run(cx: Context<Anyone>, request: GetCourse) -> Result<ShownCourse> {
    let seen = access::to_read(&cx, &request.course_id).await?;
    Ok(seen.course.into_inner().show(seen.by_staff))
}

#[cfg(test)]
mod tests {
    use contracts::courses::COURSE_NOT_FOUND;
    use testing::json;

    use crate::tests::{app, draft, published, text};

    #[tokio::test]
    async fn everyone_reads_a_published_course_in_one_read() {
        let app = app().await;
        let path = published(&app).await;
        let before = app.reads();
        let course = app.anyone().get(&path).await.ok();
        assert_eq!(app.reads() - before, 1);
        assert_eq!(course["title"], "Programación en Rust");
        let html = "<h1>Rust</h1>\n<p>De principio a fin.</p>\n";
        assert_eq!(course["description_html"], html);
        assert_eq!((&course["state"], &course["etag"]), (&json!("published"), &json!("2")));
    }

    #[tokio::test]
    async fn strangers_get_the_same_answer_from_memory_until_a_course_changes() {
        let app = app().await;
        let path = published(&app).await;
        let course = app.anyone().get(&path).await.ok();
        let before = app.reads();
        assert_eq!(app.anyone().get(&path).await.ok(), course);
        assert_eq!(app.reads(), before);
        // A person's answer is their own.
        app.instructor("ines").get(&path).await.ok();
        assert_eq!(app.reads(), before + 1);
        // Neither a refusal nor another question gets it.
        app.anyone().get(&format!("{path}?view=all")).await.blames("view", "unknown-field");
        app.anyone().get("/v1/courses/nothing").await.is(COURSE_NOT_FOUND);

        app.instructor("ines").patch(&path, json!({ "title": "Go" }), "2").await.ok();
        assert_eq!(app.anyone().get(&path).await.ok()["title"], "Go");
        app.instructor("ines").delete(&path).await.ok();
        app.anyone().get(&path).await.is(COURSE_NOT_FOUND);
    }

    #[tokio::test]
    async fn only_its_instructors_and_admins_are_told_where_items_are() {
        let app = app().await;
        let path = published(&app).await;
        let url = |course: testing::Value| course["outline"][0]["items"][0]["url"].clone();
        let item = &app.anyone().get(&path).await.ok()["outline"][0]["items"][0];
        assert_eq!((text(&item["title"]), &item["url"]), ("Hola", &json!(null)));
        assert_eq!(url(app.user("ada").get(&path).await.ok()), json!(null));
        assert_eq!(url(app.instructor("ivan").get(&path).await.ok()), json!(null));
        assert_eq!(url(app.instructor("ines").get(&path).await.ok()), "https://example.org/hola");
        assert_eq!(url(app.admin("root").get(&path).await.ok()), "https://example.org/hola");
    }

    #[tokio::test]
    async fn a_draft_is_there_for_its_instructors_and_admins_alone() {
        let app = app().await;
        let path = draft(&app).await;
        app.anyone().get(&path).await.is(COURSE_NOT_FOUND);
        app.user("ada").get(&path).await.is(COURSE_NOT_FOUND);
        app.instructor("ivan").get(&path).await.is(COURSE_NOT_FOUND);
        // Whoever isn't an instructor any more sees as little as anyone.
        app.user("ines").get(&path).await.is(COURSE_NOT_FOUND);
        app.instructor("ines").get(&path).await.ok();
        app.admin("root").get(&path).await.ok();
    }

    #[tokio::test]
    async fn what_is_no_course_is_not_found_or_no_id() {
        let app = app().await;
        app.anyone().get("/v1/courses/nothing").await.is(COURSE_NOT_FOUND);
        app.anyone().get("/v1/courses/a%20b").await.blames("course_id", "invalid-id");
        app.anyone().get("/v1/courses/..%2F..%2Fetc").await.blames("course_id", "invalid-id");
        app.anyone().get("/v1/courses/x?view=all").await.blames("view", "unknown-field");
    }
}
