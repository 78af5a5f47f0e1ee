//! Rescheduling: everyone with a seat is brought in line with a section's new
//! dates, a part at a time.
//!
//! Each person's attendance remembers the itinerary that it follows, and is
//! written with their reminders and what they are told. So what a crash leaves
//! undone is found again, and nobody is told twice.

use contracts::courses::SectionId;
use runtime::prelude::*;

use crate::{attendance::Attendance, attending, news::News, section::KnownSection, telling};

/// Brings everyone in a section in line with its itinerary, unless all are.
pub async fn everyone(cx: &Context<System>, section_id: &SectionId) -> Result<()> {
    let Some(mut section) = cx.get::<KnownSection>(section_id.as_str()).await? else {
        return Ok(());
    };
    if section.followed >= section.itinerary {
        return Ok(());
    }
    let mut place = None;
    loop {
        let query = Attendance::with_a_seat(section_id).limit(100).after(place);
        let (people, next) = cx.query::<Attendance>(&query).await?;
        let mut part = Changes::new();
        for attendance in people {
            if attendance.planned_for < section.itinerary {
                let changes = one(cx, attendance, &section).await?;
                if part.len() + changes.len() > Changes::MOST {
                    cx.commit_part(std::mem::take(&mut part)).await?;
                }
                part = part.and(changes);
            }
        }
        cx.commit_part(part).await?;
        place = next;
        if place.is_none() {
            break;
        }
    }
    section.followed = section.itinerary;
    cx.commit_part(Changes::new().save(&section)).await
}

/// The changes that bring one person in line with their section's itinerary.
pub async fn one(
    cx: &Context<System>,
    mut attendance: Stored<Attendance>,
    section: &KnownSection,
) -> Result<Changes> {
    let reminders = attending::planned(cx, &attendance, section, cx.now).await?;
    let sequence = section.facts.calendar_sequence;
    let told = if attendance.sequence < sequence && !section.facts.cancelled {
        let (about, former_sequence) = (attendance.about(), attendance.sequence);
        let news = News::Rescheduled { about, sequence, former_sequence };
        telling::told(cx, &attendance.user_id, news, Some(section)).await?
    } else {
        Changes::new()
    };
    attendance.planned_for = section.itinerary;
    attendance.sequence = sequence;
    Ok(reminders.and(told).save(&attendance))
}

#[cfg(test)]
mod tests {
    use contracts::courses::{SectionFacts, SectionUpdated};

    use super::*;
    use crate::{
        news::Kind,
        reminder::ReminderState,
        tests::{app_with_section, confirmed, deliveries, left, meeting, reminders, section, time},
    };

    fn moved(day: &str, sequence: u32) -> SectionFacts {
        let meetings = vec![meeting("m1", &format!("2026-03-{day}T22:00:00Z"))];
        let revision = u64::from(sequence) + 1;
        SectionFacts { meetings, calendar_sequence: sequence, revision, ..section() }
    }

    async fn told(app: &testing::App) -> usize {
        deliveries(app).await.iter().filter(|it| it.kind == Kind::Rescheduled).count()
    }

    #[tokio::test]
    async fn everyone_with_a_seat_is_told_once_and_their_reminders_move() {
        const PEOPLE: usize = 230;
        let app = app_with_section().await;
        for it in 0..PEOPLE {
            app.deliver(&confirmed(&format!("p{it}"), 1)).await;
        }
        app.deliver(&confirmed("gone", 1)).await;
        app.deliver(&left("gone", 2)).await;
        let event = SectionUpdated { section: moved("12", 1) };
        let commits = app.commits();
        app.deliver(&event).await;
        // Each person writes an attendance, two reminders, a message, an item and an event.
        let parts = (PEOPLE * 6).div_ceil(Changes::MOST) + PEOPLE.div_ceil(100) + 2;
        assert!(app.commits() - commits <= parts, "{}", app.commits() - commits);
        app.deliver_again().await;
        app.deliver(&event).await;
        assert_eq!(told(&app).await, PEOPLE);
        for name in ["p0", "p117", "p229"] {
            let due = reminders(&app, name).await[0].fate().1;
            assert_eq!(due, Some(time("2026-03-11T22:00:00Z")));
        }
        app.settle().await;
        let mail = app.mail().pop().unwrap();
        assert!(mail.attachments[0].content.contains("SEQUENCE:1"), "{mail:?}");
    }

    #[tokio::test]
    async fn what_a_crash_left_undone_is_done_and_nobody_is_told_twice() {
        let app = app_with_section().await;
        for it in 0..10 {
            app.deliver(&confirmed(&format!("p{it}"), 1)).await;
        }
        // As if it had stopped after four people.
        let (cx, facts) = (app.context(), moved("12", 1));
        crate::section::learn(&cx, &facts).await.unwrap();
        let section = cx.get::<KnownSection>("s1").await.unwrap().unwrap();
        for it in 0..4 {
            let attendance = cx.get::<Attendance>(&format!("e-p{it}")).await.unwrap().unwrap();
            cx.commit(one(&cx, attendance, &section).await.unwrap()).await.unwrap();
        }
        app.deliver(&SectionUpdated { section: facts }).await;
        assert_eq!(told(&app).await, 10);
        assert_eq!(reminders(&app, "p9").await[0].fate().1, Some(time("2026-03-11T22:00:00Z")));
    }

    #[tokio::test]
    async fn late_events_change_nothing_and_the_newest_dates_are_told() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.deliver(&SectionUpdated { section: moved("13", 2) }).await;
        app.deliver(&SectionUpdated { section: moved("12", 1) }).await;
        assert_eq!(reminders(&app, "ada").await[0].fate().1, Some(time("2026-03-12T22:00:00Z")));
        assert_eq!(told(&app).await, 1);
    }

    #[tokio::test]
    async fn what_changes_no_date_is_told_to_nobody_and_writes_nothing() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let commits = app.commits();
        let changed = SectionFacts { capacity: Some(5), revision: 2, ..section() };
        app.deliver(&SectionUpdated { section: changed }).await;
        assert_eq!((app.commits() - commits, told(&app).await), (1, 0));
    }

    #[tokio::test]
    async fn other_times_before_move_reminders_and_are_told_to_nobody() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let reminder_minutes_before = vec![60, 30];
        let changed = SectionFacts { reminder_minutes_before, revision: 2, ..section() };
        app.deliver(&SectionUpdated { section: changed }).await;
        let states: Vec<_> = reminders(&app, "ada").await.iter().map(|it| it.state).collect();
        let planned = ReminderState::Planned;
        assert_eq!(states, [ReminderState::Dropped, planned, planned]);
        assert_eq!(told(&app).await, 0);
    }

    #[tokio::test]
    async fn a_meeting_that_is_taken_out_leaves_the_calendar() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let meetings = vec![meeting("m2", "2026-03-20T22:00:00Z")];
        app.deliver(&SectionUpdated { section: SectionFacts { meetings, ..moved("09", 1) } }).await;
        app.settle().await;
        let files: Vec<_> =
            app.mail()[1].attachments.iter().map(|it| it.filename.clone()).collect();
        assert_eq!(files, ["invite.ics", "cancel.ics"]);
    }
}
