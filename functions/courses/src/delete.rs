//! `DELETE /v1/courses/{course_id}`

use contracts::courses::{COURSE_NOT_FOUND, CourseDeleted, CourseId, CourseState};
use runtime::{Refusal, prelude::*};

use crate::{access, card, filing, section::Section, telling};

/// A section of the course is neither over nor cancelled.
pub const COURSE_HAS_OPEN_SECTIONS: Problem = Problem::conflict(
    "course-has-open-sections",
    "This course has sections that are neither over nor cancelled.",
    "Este curso tiene secciones que no han terminado ni se han cancelado.",
);

/// Delete a course.
///
/// It's archived: nobody finds it any more but those who run it, in the list of
/// archived courses, and publishing it brings it back. Sections that are open
/// must be cancelled first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCourse {
    /// The course.
    course_id: CourseId,
    /// The version that you saw, if only that is to be deleted; `If-Match` says
    /// the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl Endpoint for DeleteCourse {
    const OPERATION: &'static str = "courses.delete";
    const ROUTE: Route = Route::delete("/v1/courses/{course_id}");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, COURSE_HAS_OPEN_SECTIONS];
    type Response = ();
}

pub async fn run(cx: Context<Instructor>, request: DeleteCourse) -> Result<()> {
    let mut course = access::to_move(&cx, &request.course_id).await?;
    if course.state == CourseState::Archived {
        return Ok(());
    }
    if request.etag.is_some() {
        cx.expect_etag(&course.etag(), request.etag.as_deref())?;
    }
    // Whoever opens a section writes the course too, so none is opened meanwhile.
    let open = cx.count(&Section::open_of_course(&course.id, cx.now)).await?;
    if open > 0 {
        let refusal = Refusal::of(COURSE_HAS_OPEN_SECTIONS)
            .because(
                format!("{open} are open: cancel them first."),
                format!("Hay {open} abiertas: cancélalas primero."),
            )
            .with("open_sections", open);
        return Err(refusal.into());
    }

    let before = (*course).clone();
    course.archive(cx.now);
    let filed = filing::changes(&cx, Some(&before), &course, &mut Faults::new()).await?;

    let card = card::of_changed(&cx, &course).await?;
    let deleted = CourseDeleted { course: course.facts() };
    cx.commit(filed.save(&course).save(&card).emit(&deleted)).await?;
    telling::of_course(&cx, &course).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use contracts::courses::{COURSE_NOT_FOUND, CourseDeleted, CourseState};
    use runtime::problems::{FORBIDDEN, STALE_ETAG, UNAUTHENTICATED};
    use testing::json;

    use super::COURSE_HAS_OPEN_SECTIONS;
    use crate::tests::{app, draft, learned_courses, published, section};

    #[tokio::test]
    async fn a_deleted_course_is_gone_until_it_is_published_again() {
        let app = app().await;
        let path = published(&app).await;
        let learned = learned_courses(&app);
        let ines = app.instructor("ines");
        let answer = ines.delete(&path).await;
        assert_eq!((answer.status, &answer.body), (204, &json!(null)));
        for who in [app.anyone(), app.instructor("ines"), app.admin("root")] {
            who.get(&path).await.is(COURSE_NOT_FOUND);
            who.get(&format!("{path}/sections")).await.is(COURSE_NOT_FOUND);
        }
        ines.patch(&path, json!({ "title": "a" }), "3").await.is(COURSE_NOT_FOUND);
        ines.post(&format!("{path}/sections"), json!({ "title": "a" })).await.is(COURSE_NOT_FOUND);
        let deleted = app.emitted::<CourseDeleted>().await;
        assert_eq!((deleted.len(), deleted[0].course.state), (1, CourseState::Archived));
        assert_eq!(*learned.lock().unwrap(), [deleted[0].course.clone()]);

        let archived = ines.get("/v1/courses?state=archived").await.ok();
        assert_eq!(archived["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            ines.post(&format!("{path}/publish"), json!({})).await.ok()["state"],
            "published"
        );
        app.anyone().get(&path).await.ok();
    }

    #[tokio::test]
    async fn to_delete_again_changes_nothing() {
        let app = app().await;
        let path = draft(&app).await;
        app.instructor("ines").delete(&path).await.ok();
        app.instructor("ines").delete(&path).await.ok();
        assert_eq!(app.emitted::<CourseDeleted>().await.len(), 1);
    }

    #[tokio::test]
    async fn a_course_with_open_sections_stays() {
        let app = app().await;
        let path = published(&app).await;
        let ines = app.instructor("ines");
        let (first, _second) = (section(&app, &path).await, section(&app, &path).await);
        let answer = ines.delete(&path).await;
        answer.is(COURSE_HAS_OPEN_SECTIONS);
        assert_eq!(answer.body["errors"][0]["values"]["open_sections"], 2);
        ines.post(&format!("{first}/cancel"), json!({})).await.ok();
        assert_eq!(ines.delete(&path).await.body["errors"][0]["values"]["open_sections"], 1);
        // The other one lasts until an hour after three days from now.
        app.advance_minutes(3 * 1440 + 59);
        app.instructor("ines").delete(&path).await.is(COURSE_HAS_OPEN_SECTIONS);
        app.advance_minutes(1);
        app.instructor("ines").delete(&path).await.ok();
    }

    #[tokio::test]
    async fn a_section_without_an_end_is_open_until_it_is_cancelled() {
        let app = app().await;
        let path = draft(&app).await;
        let ines = app.instructor("ines");
        ines.post(&format!("{path}/sections"), json!({ "title": "Self-paced" })).await.ok();
        app.advance_minutes(60 * 24 * 365 * 50);
        app.instructor("ines").delete(&path).await.is(COURSE_HAS_OPEN_SECTIONS);
    }

    #[tokio::test]
    async fn only_those_who_run_it_delete_it() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        app.anyone().delete(&draft).await.is(UNAUTHENTICATED);
        app.user("ada").delete(&draft).await.is(FORBIDDEN);
        app.instructor("ivan").delete(&draft).await.is(COURSE_NOT_FOUND);
        app.instructor("ivan").delete(&published).await.is(FORBIDDEN);
        app.instructor("ines").delete_with_etag(&published, "1").await.is(STALE_ETAG);
        app.instructor("ines").delete_with_etag(&published, "2").await.ok();
        app.instructor("ivan").delete(&published).await.is(COURSE_NOT_FOUND);
        app.admin("root").delete(&draft).await.ok();
    }
}
