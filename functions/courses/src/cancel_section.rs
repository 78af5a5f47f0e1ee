//! `POST /v1/courses/{course_id}/sections/{section_id}/cancel`

use contracts::courses::{
    COURSE_NOT_FOUND, CourseId, SECTION_NOT_FOUND, SectionCancelled, SectionId,
};
use runtime::prelude::*;

use crate::{
    access, card, seats,
    section::{SECTION_OVER, ShownSection},
    telling,
};

/// Cancel a section as a whole.
///
/// Everyone who has a seat or waits for one loses it and is told. To cancel a
/// cancelled section changes nothing; one that is over can't be cancelled.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSection {
    /// The course that it runs.
    course_id: CourseId,
    /// The section.
    section_id: SectionId,
    /// The version that you saw, if only that is to be cancelled; `If-Match`
    /// says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl Endpoint for CancelSection {
    const OPERATION: &'static str = "courses.cancel_section";
    const ROUTE: Route = Route::act("/v1/courses/{course_id}/sections/{section_id}/cancel");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, SECTION_NOT_FOUND, SECTION_OVER];
    type Response = ShownSection;
}

pub async fn run(cx: Context<Instructor>, request: CancelSection) -> Result<ShownSection> {
    let course = access::to_change(&cx, &request.course_id).await?;
    let mut section = access::section_of(&cx, &course, &request.section_id).await?;
    if request.etag.is_some() {
        cx.expect_etag(&section.etag(), request.etag.as_deref())?;
    }
    let seats = seats::of_one(&cx, &section).await;
    if section.cancelled_at.is_some() {
        let shown = section.into_inner().show(seats.as_ref(), cx.now, true);
        return cx.answer(Changes::new(), shown).await;
    }

    section.cancel(cx.now)?;

    let cancelled = SectionCancelled { section: section.facts(&course) };
    let card = card::of_changed_sections(&cx, &course, &[&section]).await?;
    // The course too: its card is made of it.
    let changes = Changes::new().save(&course).save(&section).save(&card).emit(&cancelled);
    let shown = (*section).clone().show(seats.as_ref(), cx.now, true);
    let shown = cx.answer(changes, shown).await?;
    telling::of_section(&cx, &section, &course).await;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, STALE_ETAG, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::{app, draft, learned_sections, published, section};

    #[tokio::test]
    async fn a_section_is_cancelled_once_and_told() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let learned = learned_sections(&app);
        let (ines, cancel) = (app.instructor("ines"), format!("{path}/cancel"));
        let answer = ines.post(&cancel, json!({})).await;
        let section = answer.ok();
        assert_eq!((answer.status, &section["state"]), (200, &json!("cancelled")));
        assert_eq!((&section["cancelled_at"], &section["etag"]), (&json!(app.now()), &json!("2")));
        let events = app.emitted::<SectionCancelled>().await;
        let facts = &events[0].section;
        assert!(facts.cancelled);
        assert_eq!((facts.calendar_sequence, facts.revision), (1, 2));
        assert_eq!(*learned.lock().unwrap(), std::slice::from_ref(facts));

        app.advance_minutes(1);
        assert_eq!(app.instructor("ines").post(&cancel, json!({})).await.ok(), section);
        assert_eq!(app.emitted::<SectionCancelled>().await.len(), 1);
        assert_eq!(app.anyone().get(&path).await.ok()["state"], "cancelled");
    }

    #[tokio::test]
    async fn what_runs_can_be_cancelled_and_what_is_over_can_not() {
        let app = app().await;
        let course = published(&app).await;
        let (first, second) = (section(&app, &course).await, section(&app, &course).await);
        app.advance_minutes(3 * 1440 + 59);
        app.instructor("ines").post(&format!("{first}/cancel"), json!({})).await.ok();
        app.advance_minutes(1);
        app.instructor("ines").post(&format!("{second}/cancel"), json!({})).await.is(SECTION_OVER);
        app.instructor("ines").post(&format!("{first}/cancel"), json!({})).await.ok();
    }

    #[tokio::test]
    async fn only_those_who_run_the_course_cancel_its_sections() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        let hidden = format!("{}/cancel", section(&app, &draft).await);
        let shown = format!("{}/cancel", section(&app, &published).await);
        app.anyone().post(&shown, json!({})).await.is(UNAUTHENTICATED);
        app.user("ada").post(&shown, json!({})).await.is(FORBIDDEN);
        app.instructor("ivan").post(&shown, json!({})).await.is(FORBIDDEN);
        app.instructor("ivan").post(&hidden, json!({})).await.is(COURSE_NOT_FOUND);
        let nothing = format!("{published}/sections/x/cancel");
        app.instructor("ines").post(&nothing, json!({})).await.is(SECTION_NOT_FOUND);
        app.instructor("ines").post(&shown, json!({ "etag": "7" })).await.is(STALE_ETAG);
        let odd = app.instructor("ines").post(&shown, json!({ "reason": "rain" })).await;
        odd.blames("reason", "unknown-field");
        app.instructor("ines").post(&shown, json!({ "etag": "1" })).await.ok();
        app.admin("root").post(&hidden, json!({})).await.ok();
    }
}
