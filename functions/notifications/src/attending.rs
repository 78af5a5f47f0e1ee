//! Attending: what becomes of a person's reminders, and what they are told,
//! when their enrollment changes.

use contracts::enrollments::{EnrollmentFacts, EnrollmentState};
use runtime::prelude::*;

use crate::{
    attendance::Attendance,
    delivery::Reason,
    erasure,
    news::{About, News},
    reminder::{self, Reminder},
    rescheduling,
    section::{self, KnownSection},
    telling,
};

/// How many reminders are written in one commit: it takes [`Changes::MOST`], and some are ours.
const REMINDERS_AT_ONCE: usize = Changes::MOST - 20;

/// An enrollment that has changed.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// As its event tells of it.
    pub facts: &'a EnrollmentFacts,
    /// Where it stands now.
    pub state: EnrollmentState,
    /// Since when: reminders that were due before are too late.
    pub since: Timestamp,
}

/// Follows an enrollment's change: the attendance, its reminders and what the
/// person is told, in one commit. A late or a repeated event changes nothing.
///
/// `news` says what to tell, given the attendance as it is now and whether the
/// person had a seat before.
pub async fn follow(
    cx: &Context<System>,
    change: Change<'_>,
    news: impl FnOnce(&Attendance, bool) -> News,
) -> Result<()> {
    let Change { facts, state, since } = change;
    let known = cx.get::<Attendance>(facts.enrollment_id.as_str()).await?;
    let mut attendance = known.unwrap_or_else(|| Stored::new(Attendance::new(facts)));
    // Whatever comes late of somebody who is gone: nothing is kept of them again.
    if attendance.is_new() && erasure::is_erased(cx, &facts.user_id).await? {
        return Ok(());
    }
    let had_seat = attendance.has_seat();
    if attendance.follow(facts, state) {
        let section = section::of(cx, &facts.section_id).await?;
        let news = news(&attendance, had_seat);
        let changes = match &section {
            None => telling::untold(cx, &facts.user_id, news, Reason::SectionNotFound),
            Some(section) => {
                attendance.sequence = section.facts.calendar_sequence;
                // Too many for this commit are planned after it, as for new dates.
                let reminders = if fits(&attendance, section) {
                    let changes = planned(cx, &attendance, section, since).await?;
                    attendance.planned_for = section.itinerary;
                    changes
                } else {
                    Changes::new()
                };
                let told = telling::told(cx, &facts.user_id, news, Some(section)).await?;
                reminders.and(told)
            }
        };
        // The attendance's revision guards against repeats: the event needn't be marked as handled.
        cx.commit_part(changes.save(&attendance)).await?;
    }
    if attendance.has_seat() {
        catch_up(cx, &attendance).await?;
    }
    Ok(())
}

/// Tells a person once of something about their enrollment that doesn't change
/// where it stands.
pub async fn tell_once(
    cx: &Context<System>,
    facts: &EnrollmentFacts,
    news: impl FnOnce(About) -> News,
) -> Result<()> {
    let known = cx.get::<Attendance>(facts.enrollment_id.as_str()).await?;
    if known.is_none() && erasure::is_erased(cx, &facts.user_id).await? {
        return Ok(());
    }
    let attendance = known.map_or_else(|| Attendance::new(facts), Stored::into_inner);
    let news = news(About { revision: facts.revision, ..attendance.about() });
    let section = section::of(cx, &facts.section_id).await?;
    let told = telling::told_once(cx, &facts.user_id, news, section.as_ref()).await?;
    cx.commit_part(told).await
}

/// Whether a person's reminders can be planned in the commit that first tells of them.
fn fits(attendance: &Stored<Attendance>, section: &KnownSection) -> bool {
    !attendance.is_new() || reminder::count(section) <= REMINDERS_AT_ONCE
}

/// Brings a person in line with an itinerary that the section got while they
/// were being enrolled: whoever rescheduled may not have seen them yet.
async fn catch_up(cx: &Context<System>, enrolled: &Attendance) -> Result<()> {
    let section = cx.get::<KnownSection>(enrolled.section_id.as_str()).await?;
    let Some(section) = section.filter(|it| enrolled.planned_for < it.itinerary) else {
        return Ok(());
    };
    let attendance = cx.get::<Attendance>(enrolled.id.as_str()).await?;
    let behind = |it: &Stored<Attendance>| it.has_seat() && it.planned_for < section.itinerary;
    match attendance.filter(behind) {
        Some(attendance) => {
            let changes = rescheduling::one(cx, attendance, &section).await?;
            cx.commit_part(changes).await
        }
        None => Ok(()),
    }
}

/// The changes that plan a person's reminders. If they are too many for one
/// commit, some are made already; it does no harm to make them again.
pub async fn planned(
    cx: &Context<System>,
    attendance: &Stored<Attendance>,
    section: &KnownSection,
    since: Timestamp,
) -> Result<Changes> {
    let existing = if attendance.is_new() {
        Vec::new()
    } else {
        cx.query_all(&Reminder::of(&attendance.id)).await?
    };
    let mut changes = Changes::new();
    for reminder in &reminder::plan(existing, attendance, section, since) {
        if changes.len() == REMINDERS_AT_ONCE {
            cx.commit_part(std::mem::take(&mut changes)).await?;
        }
        changes = changes.save(reminder);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{GetSectionFacts, SectionFacts, SectionUpdated},
        enrollments::{CancelReason, Cancelled, Confirmed, Rejected, Requested, Waitlisted},
        notifications::DeliveryRequested,
    };

    use super::*;
    use crate::{
        delivery::DeliveryState,
        news::Kind,
        reminder::ReminderState,
        tests::{
            app, app_with_section, asked, confirmed, deliveries, enrollment, left, meeting,
            reminders, section, time,
        },
    };

    #[tokio::test]
    async fn a_seat_costs_one_commit_and_four_reads() {
        let app = app_with_section().await;
        let (commits, reads) = (app.commits(), app.reads());
        app.deliver(&confirmed("ada", 1)).await;
        assert_eq!((app.commits() - commits, app.reads() - reads), (1, 4));
        assert_eq!(deliveries(&app).await[0].state, DeliveryState::Scheduled);
        assert_eq!(reminders(&app, "ada").await.len(), 2);
        assert_eq!(app.emitted::<DeliveryRequested>().await.len(), 1);
    }

    #[tokio::test]
    async fn a_repeated_and_a_late_event_change_nothing() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let commits = app.commits();
        app.deliver_again().await;
        app.deliver(&confirmed("ada", 1)).await;
        assert_eq!(app.commits(), commits);
        app.deliver(&left("ada", 4)).await;
        app.deliver(&confirmed("ada", 3)).await;
        let kinds: Vec<_> = deliveries(&app).await.iter().map(|it| it.kind).collect();
        assert_eq!(kinds.len(), 2);
        assert!(kinds.contains(&Kind::Enrolled) && kinds.contains(&Kind::Cancelled));
        let all = reminders(&app, "ada").await;
        assert!(all.iter().all(|it| it.state == ReminderState::Dropped));
    }

    #[tokio::test]
    async fn each_step_of_an_enrollment_is_told() {
        let app = app_with_section().await;
        let enrollment = |revision| enrollment("ada", revision);
        app.deliver(&Requested { enrollment: enrollment(1) }).await;
        app.settle().await;
        let note = Some("Not yet.".to_owned());
        app.deliver(&Rejected { enrollment: enrollment(2), note }).await;
        app.settle().await;
        app.deliver(&Waitlisted { enrollment: enrollment(3), position: 1 }).await;
        app.settle().await;
        app.deliver(&Confirmed { promoted: true, ..confirmed("ada", 4) }).await;
        app.settle().await;
        let why = CancelReason::SectionCancelled;
        app.deliver(&Cancelled { enrollment: enrollment(5), why }).await;
        app.settle().await;
        let subjects: Vec<_> = app.mail().into_iter().map(|it| it.subject).collect();
        assert_eq!(
            subjects,
            [
                "Your request was received: Rust",
                "Your request wasn't approved: Rust",
                "You're on the waitlist: Rust",
                "You have a seat now: Rust",
                "Cancelled: Rust",
            ]
        );
        let cancel = &app.mail()[4].attachments[0];
        assert!(cancel.content.contains("METHOD:CANCEL") && cancel.content.contains("SEQUENCE:1"));
    }

    #[tokio::test]
    async fn who_comes_back_is_reminded_again() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.deliver(&left("ada", 2)).await;
        app.settle().await;
        app.deliver(&confirmed("ada", 3)).await;
        let all = reminders(&app, "ada").await;
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|it| it.state == ReminderState::Planned));
        app.settle().await;
        assert!(app.mail()[2].attachments[0].content.contains("SEQUENCE:2"));
    }

    #[tokio::test]
    async fn courses_is_asked_for_a_section_that_it_has_not_told_of() {
        let app = app().answering::<GetSectionFacts>(|_| Ok(asked(section())));
        app.deliver(&confirmed("ada", 1)).await;
        app.now_answering::<GetSectionFacts>(|_| panic!("it is known by now"));
        app.deliver(&confirmed("bob", 1)).await;
        assert_eq!(reminders(&app, "bob").await.len(), 2);
    }

    #[tokio::test]
    async fn without_a_section_there_is_a_record_and_no_mail() {
        let app = app();
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        let delivery = deliveries(&app).await.remove(0);
        assert_eq!(delivery.state, DeliveryState::Skipped);
        assert_eq!(delivery.reason, Some(Reason::SectionNotFound));
        assert!(app.mail().is_empty());
    }

    #[tokio::test]
    async fn while_courses_cannot_be_asked_the_event_is_not_taken() {
        let app = app().answering::<GetSectionFacts>(|_| Err(runtime::problems::UNAVAILABLE));
        assert!(app.try_deliver(&confirmed("ada", 1)).await.is_err());
        assert!(deliveries(&app).await.is_empty());
        app.now_answering::<GetSectionFacts>(|_| Ok(asked(section())));
        app.deliver_again().await;
        assert_eq!(deliveries(&app).await.len(), 1);
    }

    #[tokio::test]
    async fn a_seat_given_while_the_dates_changed_follows_the_new_dates() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        // As if the section had been rescheduled after the seat's subscriber had read it,
        // and by someone who didn't see the seat yet.
        let meetings = vec![meeting("m1", "2026-03-10T22:00:00Z")];
        let (revision, calendar_sequence) = (2, 1);
        let moved = SectionFacts { meetings, revision, calendar_sequence, ..section() };
        section::learn(&app.context(), &moved).await.unwrap();
        app.deliver_again().await;
        let due = reminders(&app, "ada").await[0].fate().1;
        assert_eq!(due, Some(time("2026-03-09T22:00:00Z")));
        app.deliver(&SectionUpdated { section: moved }).await;
        let kinds: Vec<_> = deliveries(&app).await.iter().map(|it| it.kind).collect();
        assert_eq!(kinds.iter().filter(|it| **it == Kind::Rescheduled).count(), 1);
    }

    #[tokio::test]
    async fn more_reminders_than_a_commit_takes_are_planned_in_parts() {
        let app = app();
        let meetings = (0..300).map(|it| meeting(&format!("m{it}"), "2026-03-09T22:00:00Z"));
        let meetings: Vec<_> = meetings.collect();
        app.now_answering::<GetSectionFacts>(move |_| {
            Ok(asked(SectionFacts { meetings: meetings.clone(), ..section() }))
        });
        app.deliver(&confirmed("ada", 1)).await;
        assert_eq!(reminders(&app, "ada").await.len(), 600);
        app.deliver(&left("ada", 2)).await;
        let all = reminders(&app, "ada").await;
        assert!(all.iter().all(|it| it.state == ReminderState::Dropped));
    }
}
