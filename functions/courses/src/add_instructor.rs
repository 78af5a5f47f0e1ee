//! `POST /v1/courses/{course_id}/instructors`

use contracts::courses::{COURSE_NOT_FOUND, CourseId, CourseUpdated};
use runtime::prelude::*;

use crate::{
    access, card,
    course::{INSTRUCTORS, ShownCourse},
    instructors, telling,
};

/// The course has as many instructors as it may.
pub const TOO_MANY_INSTRUCTORS: Problem = Problem::conflict(
    "too-many-instructors",
    "This course has 20 instructors, which is the most.",
    "Este curso tiene 20 instructores, que son el máximo.",
);

/// Add an instructor to a course.
///
/// They teach it from then on, if they have the role of an instructor. Whoever
/// doesn't want to can take themselves off. To add one who teaches it already
/// changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddInstructor {
    /// The course.
    course_id: CourseId,
    /// Who is to teach it.
    user_id: UserId,
}

impl Endpoint for AddInstructor {
    const OPERATION: &'static str = "courses.add_instructor";
    const ROUTE: Route = Route::act("/v1/courses/{course_id}/instructors");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, TOO_MANY_INSTRUCTORS];
    type Response = ShownCourse;
}

pub async fn run(cx: Context<Instructor>, request: AddInstructor) -> Result<ShownCourse> {
    let mut course = access::to_change(&cx, &request.course_id).await?;
    if course.instructors.contains(&request.user_id) {
        return cx.answer(Changes::new(), course.into_inner().show(true)).await;
    }
    let mut faults = Faults::new();
    faults.unless(
        instructors::exists(&cx, &request.user_id).await?,
        "user_id",
        "unknown-user",
        "There is no such user.",
        "No existe ese usuario.",
    );
    faults.check()?;
    if course.instructors.len() >= INSTRUCTORS {
        return Err(TOO_MANY_INSTRUCTORS.into());
    }

    course.instructors.push(request.user_id);
    course.touch(cx.now);

    let card = card::of_changed(&cx, &course).await?;
    let updated = CourseUpdated { course: course.facts() };
    let changes = Changes::new().save(&course).save(&card).emit(&updated);
    let shown = cx.answer(changes, (*course).clone().show(true)).await?;
    telling::of_course(&cx, &course).await;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::{app, draft, learned_courses, published};

    #[tokio::test]
    async fn who_is_added_runs_the_course_and_everyone_is_told() {
        let app = app().await;
        let path = draft(&app).await;
        let learned = learned_courses(&app);
        let (ines, ivan) = (app.instructor("ines"), app.instructor("ivan"));
        let instructors = format!("{path}/instructors");
        ivan.get(&path).await.is(COURSE_NOT_FOUND);
        let course = ines.post(&instructors, json!({ "user_id": "ivan" })).await.ok();
        assert_eq!(course["instructors"], json!(["ines", "ivan"]));
        ivan.patch(&path, json!({ "title": "Mine too" }), "2").await.ok();
        assert_eq!(ivan.get("/v1/courses?state=draft").await.ok()["items"][0]["title"], "Mine too");
        let told = app.emitted::<CourseUpdated>().await;
        assert_eq!((told[0].course.revision, told[0].course.instructors.len()), (2, 2));
        assert_eq!(learned.lock().unwrap()[0], told[0].course);
        // Again: nothing changes.
        ines.post(&instructors, json!({ "user_id": "ivan" })).await.ok();
        assert_eq!(app.emitted::<CourseUpdated>().await.len(), 2);
        // Who is added without the role teaches once they have it.
        ines.post(&instructors, json!({ "user_id": "ada" })).await.ok();
        app.user("ada").patch(&path, json!({ "title": "a" }), "4").await.is(FORBIDDEN);
        app.instructor("ada").patch(&path, json!({ "title": "a" }), "4").await.ok();
    }

    #[tokio::test]
    async fn only_those_who_run_it_add_people_who_exist_and_not_too_many() {
        let app = app().await;
        let path = published(&app).await;
        let (ines, instructors) = (app.instructor("ines"), format!("{path}/instructors"));
        let sent = json!({ "user_id": "ivan" });
        app.anyone().post(&instructors, &sent).await.is(UNAUTHENTICATED);
        app.user("ada").post(&instructors, &sent).await.is(FORBIDDEN);
        app.instructor("ivan").post(&instructors, &sent).await.is(FORBIDDEN);
        let nobody = json!({ "user_id": "nobody" });
        ines.post(&instructors, nobody).await.blames("user_id", "unknown-user");
        ines.post(&instructors, json!({})).await.blames("user_id", "missing");
        for number in 1..20 {
            ines.post(&instructors, json!({ "user_id": format!("i{number}") })).await.ok();
        }
        ines.post(&instructors, &sent).await.is(TOO_MANY_INSTRUCTORS);
        ines.post(&instructors, json!({ "user_id": "i7" })).await.ok();
        ines.post("/v1/courses/x/instructors", &sent).await.is(COURSE_NOT_FOUND);
    }
}
