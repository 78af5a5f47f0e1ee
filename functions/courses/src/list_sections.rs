//! `GET /v1/courses/{course_id}/sections`

use contracts::courses::{COURSE_NOT_FOUND, CourseId};
use runtime::prelude::*;

use crate::{
    access, seats,
    section::{Section, ShownSection},
};

/// List the sections of a course, and how full they are.
///
/// If that can't be counted just now, it's told how full they were before, and
/// when. They come in the order of their starts; those without a date come last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSections {
    /// The course.
    course_id: CourseId,
    /// How many at most: 20 unless said, 100 at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListSections {
    const OPERATION: &'static str = "courses.list_sections";
    const ROUTE: Route = Route::get("/v1/courses/{course_id}/sections");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND];
    type Response = Page<ShownSection>;
}

pub async fn run(cx: Context<Anyone>, request: ListSections) -> Result<Page<ShownSection>> {
    let seen = access::to_read(&cx, &request.course_id).await?;
    let query = Section::of_course(&request.course_id);
    let token = request.page_token.as_deref();
    let page = cx.page::<Section>(query, request.page_size, token).await?;
    let seats = seats::of(&cx, page.items.iter().map(|section| &**section)).await;
    Ok(page.map(|section| {
        let seats = seats.get(&section.id);
        section.into_inner().show(seats, cx.now, seen.by_staff)
    }))
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::COURSE_NOT_FOUND,
        enrollments::{GetSeats, Seats, SeatsOfSections},
    };
    use runtime::problems::INVALID_PAGE_TOKEN;
    use testing::json;

    use crate::tests::{app, draft, published, section, text};

    #[tokio::test]
    async fn sections_come_by_their_starts_and_those_without_a_date_last() {
        let app = app().await;
        let sections = format!("{}/sections", published(&app).await);
        let ines = app.instructor("ines");
        for (title, day) in
            [("never", None), ("late", Some(9)), ("early", Some(2)), ("mid", Some(5))]
        {
            let starts_at = day.map(|day| app.now().plus_minutes(day * 1440));
            ines.post(&sections, json!({ "title": title, "starts_at": starts_at })).await.ok();
        }
        let other = published(&app).await;
        section(&app, &other).await;
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = app.anyone().get(&format!("{sections}?page_size=3{token}")).await.ok();
            let items = page["items"].as_array().unwrap().clone();
            found.extend(items.iter().map(|item| text(&item["title"]).to_owned()));
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => break,
            }
        }
        assert_eq!(found, ["early", "mid", "late", "never"]);
        let elsewhere = app.anyone().get(&format!("{other}/sections?page_size=3{token}")).await;
        elsewhere.is(INVALID_PAGE_TOKEN);
    }

    #[tokio::test]
    async fn seats_are_asked_for_all_sections_at_once() {
        let app = app().await;
        let course = published(&app).await;
        let first = section(&app, &course).await;
        section(&app, &course).await;
        let full = first.rsplit('/').next().unwrap().to_owned();
        let calls = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let counted = calls.clone();
        app.now_answering::<GetSeats>(move |request| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let full = request.section_ids.into_iter().find(|id| id.as_str() == full);
            let seats = |section_id| Seats { section_id, seats_taken: 10, waitlist_length: 1 };
            Ok(SeatsOfSections { sections: full.map(seats).into_iter().collect() })
        });
        let page = app.anyone().get(&format!("{course}/sections")).await.ok();
        let mut free: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|it| it["seats_free"].as_u64()).collect();
        free.sort_unstable();
        assert_eq!(free, [Some(0), Some(10)]);
        assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_sections_of_a_draft_are_for_those_who_run_it() {
        let app = app().await;
        let course = draft(&app).await;
        section(&app, &course).await;
        let sections = format!("{course}/sections");
        app.anyone().get(&sections).await.is(COURSE_NOT_FOUND);
        app.user("ada").get(&sections).await.is(COURSE_NOT_FOUND);
        app.instructor("ivan").get(&sections).await.is(COURSE_NOT_FOUND);
        assert_eq!(app.instructor("ines").get(&sections).await.ok()["items"][0]["title"], "Marzo");
        app.admin("root").get(&sections).await.ok();
        app.anyone().get("/v1/courses/nothing/sections").await.is(COURSE_NOT_FOUND);
    }
}
