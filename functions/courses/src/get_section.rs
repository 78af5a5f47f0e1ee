//! `GET /v1/courses/{course_id}/sections/{section_id}`

use contracts::courses::{COURSE_NOT_FOUND, CourseId, SECTION_NOT_FOUND, SectionId};
use runtime::prelude::*;

use crate::{access, seats, section::ShownSection};

/// Get a section, and how full it is.
///
/// If that can't be counted just now, it's told how full it was before, and when.
///
/// Who sees its course sees it. Where its meetings are on the web, the course's
/// instructors alone are told; those who have a seat get it by mail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSection {
    /// The course that it runs.
    course_id: CourseId,
    /// The section.
    section_id: SectionId,
}

impl Endpoint for GetSection {
    const OPERATION: &'static str = "courses.get_section";
    const ROUTE: Route = Route::get("/v1/courses/{course_id}/sections/{section_id}");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, SECTION_NOT_FOUND];
    type Response = ShownSection;
}

pub async fn run(cx: Context<Anyone>, request: GetSection) -> Result<ShownSection> {
    let seen = access::to_read(&cx, &request.course_id).await?;
    let section = access::section_of(&cx, &seen.course, &request.section_id).await?;
    let seats = seats::of_one(&cx, &section).await;
    Ok(section.into_inner().show(seats.as_ref(), cx.now, seen.by_staff))
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{COURSE_NOT_FOUND, SECTION_NOT_FOUND},
        enrollments::{GetSeats, Seats, SeatsOfSections},
    };
    use runtime::problems::UNAVAILABLE;
    use testing::json;

    use crate::tests::{app, draft, published, section};

    #[tokio::test]
    async fn a_section_says_how_full_it_is_now() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let before = app.anyone().get(&path).await.ok();
        assert_eq!((&before["seats_taken"], &before["seats_free"]), (&json!(0), &json!(10)));
        app.now_answering::<GetSeats>(|request| {
            let seats = |section_id| Seats { section_id, seats_taken: 9, waitlist_length: 2 };
            Ok(SeatsOfSections { sections: request.section_ids.into_iter().map(seats).collect() })
        });
        let after = app.anyone().get(&path).await.ok();
        assert_eq!((&after["seats_taken"], &after["seats_free"]), (&json!(9), &json!(1)));
        assert_eq!(after["waitlist_length"], 2);
    }

    #[tokio::test]
    async fn a_section_is_told_of_though_its_seats_cannot_be_counted() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let created_at = app.now();
        app.now_answering::<GetSeats>(|request| {
            let seats = |section_id| Seats { section_id, seats_taken: 9, waitlist_length: 0 };
            Ok(SeatsOfSections { sections: request.section_ids.into_iter().map(seats).collect() })
        });
        app.advance_minutes(5);
        let told = async || {
            let one = app.anyone().get(&path).await.ok();
            let listed = app.anyone().get(&format!("{course}/sections")).await.ok();
            assert_eq!(listed["items"][0], one);
            (one["seats_taken"].clone(), one["seats_counted_at"].clone())
        };
        assert_eq!(told().await, (json!(9), json!(null)));
        app.now_answering::<GetSeats>(|_| Err(UNAVAILABLE));
        assert_eq!(told().await, (json!(0), json!(created_at)));
    }

    #[tokio::test]
    async fn its_state_follows_the_clock() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let state = async || app.anyone().get(&path).await.ok()["state"].clone();
        assert_eq!(state().await, "enrollment_open");
        app.advance_minutes(3 * 1440);
        assert_eq!(state().await, "running");
        app.advance_minutes(60);
        assert_eq!(state().await, "over");
    }

    #[tokio::test]
    async fn where_people_meet_on_the_web_only_its_instructors_and_admins_are_told() {
        let app = app().await;
        let course = published(&app).await;
        let meeting = json!({
            "starts_at": app.now(), "ends_at": app.now().plus_minutes(5),
            "location": "Aula 2", "url": "https://meet.example.org/a",
        });
        let sections = format!("{course}/sections");
        let sent = json!({ "title": "Marzo", "meetings": [meeting] });
        let section = app.instructor("ines").post(&sections, sent).await.ok();
        let path = format!("{sections}/{}", section["id"].as_str().unwrap());
        for (who, url) in [
            (app.anyone(), json!(null)),
            (app.user("ada"), json!(null)),
            (app.instructor("ivan"), json!(null)),
            (app.instructor("ines"), json!("https://meet.example.org/a")),
            (app.admin("root"), json!("https://meet.example.org/a")),
        ] {
            let shown = who.get(&path).await.ok()["meetings"][0].clone();
            assert_eq!((&shown["url"], &shown["location"]), (&url, &json!("Aula 2")));
            let listed = who.get(&sections).await.ok()["items"][0]["meetings"][0].clone();
            assert_eq!(listed, shown);
        }
    }

    #[tokio::test]
    async fn a_section_is_there_where_its_course_is() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        let hidden = section(&app, &draft).await;
        app.anyone().get(&hidden).await.is(COURSE_NOT_FOUND);
        app.instructor("ivan").get(&hidden).await.is(COURSE_NOT_FOUND);
        app.instructor("ines").get(&hidden).await.ok();
        // Not under another course, which everyone sees.
        let id = hidden.rsplit('/').next().unwrap();
        let elsewhere = format!("{published}/sections/{id}");
        app.anyone().get(&elsewhere).await.is(SECTION_NOT_FOUND);
        app.admin("root").get(&elsewhere).await.is(SECTION_NOT_FOUND);
        app.anyone().get(&format!("{published}/sections/x")).await.is(SECTION_NOT_FOUND);
        let odd = app.anyone().get(&format!("{published}/sections/a%00")).await;
        odd.blames("section_id", "invalid-id");
    }
}
