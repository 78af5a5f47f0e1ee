//! `DELETE /v1/courses/{course_id}/instructors/{user_id}`

use contracts::courses::{COURSE_NOT_FOUND, CourseId, CourseUpdated};
use runtime::prelude::*;

use crate::{access, card, telling};

/// Nobody else teaches the course.
pub const LAST_INSTRUCTOR: Problem = Problem::conflict(
    "last-instructor",
    "Nobody else teaches this course: add somebody first.",
    "Nadie más imparte este curso: agrega primero a alguien.",
);

/// Take an instructor off a course.
///
/// Whoever teaches it may do so, with themselves too. The last one stays until
/// somebody else teaches it. To take off one who doesn't teach it changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveInstructor {
    /// The course.
    course_id: CourseId,
    /// Who isn't to teach it any more; `me` is the caller.
    user_id: UserId,
}

impl Endpoint for RemoveInstructor {
    const OPERATION: &'static str = "courses.remove_instructor";
    const ROUTE: Route = Route::delete("/v1/courses/{course_id}/instructors/{user_id}");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, LAST_INSTRUCTOR];
    type Response = ();
}

pub async fn run(cx: Context<Instructor>, request: RemoveInstructor) -> Result<()> {
    let mut course = access::to_change(&cx, &request.course_id).await?;
    let RemoveInstructor { mut user_id, .. } = request;
    if user_id.as_str() == "me" {
        user_id = cx.caller.id.clone();
    }
    if !course.instructors.contains(&user_id) {
        return Ok(());
    }
    if course.instructors.len() == 1 {
        return Err(LAST_INSTRUCTOR.into());
    }

    course.instructors.retain(|id| *id != user_id);
    course.touch(cx.now);

    let card = card::of_changed(&cx, &course).await?;
    let updated = CourseUpdated { course: course.facts() };
    cx.commit(Changes::new().save(&course).save(&card).emit(&updated)).await?;
    telling::of_course(&cx, &course).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::{app, learned_courses, published};

    #[tokio::test]
    async fn who_is_taken_off_runs_the_course_no_longer_and_the_last_one_stays() {
        let app = app().await;
        let path = published(&app).await;
        let (ines, ivan) = (app.instructor("ines"), app.instructor("ivan"));
        ines.delete(&format!("{path}/instructors/ines")).await.is(LAST_INSTRUCTOR);
        ines.post(&format!("{path}/instructors"), json!({ "user_id": "ivan" })).await.ok();
        let learned = learned_courses(&app);
        let answer = ivan.delete(&format!("{path}/instructors/ines")).await;
        assert_eq!((answer.status, &answer.body), (204, &json!(null)));
        ines.patch(&path, json!({ "title": "a" }), "4").await.is(FORBIDDEN);
        assert_eq!(learned.lock().unwrap()[0].instructors, ["ivan".into()]);
        assert_eq!(app.anyone().get(&path).await.ok()["instructors"], json!(["ivan"]));
        let found = app.anyone().get("/v1/courses?instructor=ines").await.ok();
        assert_eq!(found["items"], json!([]));
        ivan.delete(&format!("{path}/instructors/me")).await.is(LAST_INSTRUCTOR);
        let told = app.emitted::<CourseUpdated>().await.len();
        ivan.delete(&format!("{path}/instructors/ines")).await.ok();
        assert_eq!(app.emitted::<CourseUpdated>().await.len(), told);
    }

    #[tokio::test]
    async fn whoever_does_not_want_to_teach_it_leaves() {
        let app = app().await;
        let path = published(&app).await;
        let add = json!({ "user_id": "ivan" });
        app.instructor("ines").post(&format!("{path}/instructors"), add).await.ok();
        app.instructor("ivan").delete(&format!("{path}/instructors/me")).await.ok();
        assert_eq!(app.anyone().get(&path).await.ok()["instructors"], json!(["ines"]));
    }

    #[tokio::test]
    async fn only_those_who_run_it_take_people_off() {
        let app = app().await;
        let path = format!("{}/instructors/ines", published(&app).await);
        app.anyone().delete(&path).await.is(UNAUTHENTICATED);
        app.user("ada").delete(&path).await.is(FORBIDDEN);
        app.instructor("ivan").delete(&path).await.is(FORBIDDEN);
        app.admin("root").delete(&path).await.is(LAST_INSTRUCTOR);
        app.admin("root").delete("/v1/courses/x/instructors/ines").await.is(COURSE_NOT_FOUND);
    }
}
