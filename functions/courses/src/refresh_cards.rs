//! Each minute: cards are brought up to date with the clock and with the seats
//! that are taken.
//!
//! Lists are filtered by what courses offer, and that changes without anybody
//! changing a course: time goes by, and people enroll. Counting now and then
//! costs the same however many enroll; an event for each of them wouldn't.

use contracts::courses::CourseId;
use runtime::{Cursor, Job, prelude::*};

use crate::{
    card::{self, Card},
    course::Course,
    seats,
    section::Section,
};

/// How many cards or sections are looked at together.
const AT_ONCE: u32 = 100;

/// How often that is done in one run, at most; the next run begins anew.
const ROUNDS: usize = 50;

/// The job.
#[derive(Default)]
pub struct RefreshCards;

impl Job for RefreshCards {
    const NAME: &'static str = "courses.refresh_cards";
    const SCHEDULE: &'static str = "* * * * *";
}

pub async fn run(cx: Context<System>, _: RefreshCards) -> Result<()> {
    for _ in 0..ROUNDS {
        let (due, _) = cx.query::<Card>(&Card::due(cx.now).limit(AT_ONCE)).await?;
        if due.is_empty() {
            break;
        }
        for card in due {
            cx.commit_part(refreshed(&cx, &card.id, &[]).await?).await?;
        }
    }
    let mut place = None;
    for _ in 0..ROUNDS {
        place = count(&cx, place).await?;
        if place.is_none() {
            break;
        }
    }
    Ok(())
}

/// Counts the seats of some sections, and keeps what is new.
async fn count(cx: &Context<System>, place: Option<Cursor>) -> Result<Option<Cursor>> {
    let query = Section::counted(cx.now).limit(AT_ONCE).after(place);
    let (sections, next) = cx.query::<Section>(&query).await?;
    let counts = seats::count(cx, sections.iter().map(|section| &**section)).await?;
    for mut section in sections {
        let Some(count) = counts.get(&section.id).copied() else { continue };
        if count.says_the_same_as(section.last_count) {
            continue;
        }
        let was_free = section.has_free_seat();
        section.last_count = count;
        let mut changes = Changes::new().save(&section);
        if section.has_free_seat() != was_free {
            changes = changes.and(refreshed(cx, &section.course_id, &[&section]).await?);
        }
        cx.commit_part(changes).await?;
    }
    Ok(next)
}

/// A course's card, made anew.
async fn refreshed(cx: &Context<System>, id: &CourseId, changed: &[&Section]) -> Result<Changes> {
    let Some(course) = cx.get::<Course>(id.as_str()).await? else { return Ok(Changes::new()) };
    let card = card::of_changed_sections(cx, &course, changed).await?;
    // The course too: a card of one that has changed meanwhile would undo the change in lists.
    Ok(Changes::new().save(&course).save(&card))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use contracts::enrollments::{GetSeats, Seats, SeatsOfSections};
    use runtime::problems::UNAVAILABLE;
    use testing::{App, json};

    use crate::tests::{app, published, section};

    const JOB: &str = "courses.refresh_cards";

    async fn found(app: &App, query: &str) -> usize {
        let page = app.anyone().get(&format!("/v1/courses?{query}")).await.ok();
        page["items"].as_array().unwrap().len()
    }

    /// Enrollments, in which so many seats are taken and so many people wait.
    fn counting(app: &App) -> Arc<Mutex<(u32, u32)>> {
        let counts = Arc::<Mutex<(u32, u32)>>::default();
        let told = counts.clone();
        app.now_answering::<GetSeats>(move |request| {
            let (seats_taken, waitlist_length) = *told.lock().unwrap();
            let seats = |section_id| Seats { section_id, seats_taken, waitlist_length };
            Ok(SeatsOfSections { sections: request.section_ids.into_iter().map(seats).collect() })
        });
        counts
    }

    #[tokio::test]
    async fn a_course_is_found_by_its_free_seats_while_it_has_some() {
        let app = app().await;
        let counts = counting(&app);
        let course = published(&app).await;
        assert_eq!(found(&app, "has_free_seats=true").await, 0);
        assert_eq!(found(&app, "has_free_seats=false").await, 1);
        let path = section(&app, &course).await;
        assert_eq!(found(&app, "has_free_seats=true&category=web&q=rust").await, 1);
        *counts.lock().unwrap() = (10, 0);
        app.run_job(JOB).await;
        assert_eq!(found(&app, "has_free_seats=true").await, 0);
        // As many seats as are taken, and somebody waits: none is free.
        *counts.lock().unwrap() = (9, 1);
        app.run_job(JOB).await;
        assert_eq!(found(&app, "has_free_seats=true").await, 0);
        *counts.lock().unwrap() = (9, 0);
        app.run_job(JOB).await;
        assert_eq!(found(&app, "has_free_seats=true").await, 1);
        app.instructor("ines").post(&format!("{path}/cancel"), json!({})).await.ok();
        assert_eq!(found(&app, "has_free_seats=true").await, 0);
    }

    #[tokio::test]
    async fn what_the_clock_changes_is_found_without_anybody_changing_a_course() {
        let app = app().await;
        let course = published(&app).await;
        let day = |day: i64| app.now().plus_minutes(day * 1440);
        let sections = format!("{course}/sections");
        let sent = json!({
            "title": "Later", "starts_at": day(40), "ends_at": day(41),
            "enrollment_opens_at": day(20), "enrollment_closes_at": day(35),
        });
        app.instructor("ines").post(&sections, sent).await.ok();
        let mut told = Vec::new();
        for _ in 0..=41 {
            app.run_job(JOB).await;
            told.push((
                found(&app, "starts_soon=true").await,
                found(&app, "has_free_seats=true").await,
            ));
            app.advance_minutes(1440);
        }
        let days = |day: usize| {
            (usize::from((10..40).contains(&day)), usize::from((20..35).contains(&day)))
        };
        assert_eq!(told, (0..=41).map(days).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn when_nothing_is_new_nothing_is_written() {
        let app = app().await;
        let counts = counting(&app);
        let course = published(&app).await;
        section(&app, &course).await;
        *counts.lock().unwrap() = (3, 0);
        app.run_job(JOB).await;
        let commits = app.commits();
        app.run_job(JOB).await;
        assert_eq!(app.commits(), commits);
    }

    #[tokio::test]
    async fn what_was_counted_last_is_told_while_nobody_counts() {
        let app = app().await;
        let counts = counting(&app);
        let course = published(&app).await;
        let path = section(&app, &course).await;
        *counts.lock().unwrap() = (7, 0);
        app.advance_minutes(1);
        app.run_job(JOB).await;
        let counted_at = app.now();
        app.now_answering::<GetSeats>(|_| Err(UNAVAILABLE));
        app.advance_minutes(1);
        assert!(app.try_run_job(JOB).await.is_err());
        let section = app.anyone().get(&path).await.ok();
        assert_eq!((&section["seats_taken"], &section["seats_free"]), (&json!(7), &json!(3)));
        assert_eq!(section["seats_counted_at"], json!(counted_at));
    }

    #[tokio::test]
    async fn a_course_that_is_changed_still_offers_what_it_did() {
        let app = app().await;
        let course = published(&app).await;
        section(&app, &course).await;
        app.instructor("ines").patch(&course, json!({ "title": "Go" }), "2").await.ok();
        assert_eq!(found(&app, "has_free_seats=true&starts_soon=true&q=go").await, 1);
    }
}
