//! On `courses.section_cancelled.v1`: nobody is reminded of it any more.
//!
//! Enrollments tells of each person who loses their place, and then they are
//! told and their reminders dropped; until then what is due is skipped.

use contracts::courses::SectionCancelled;
use runtime::prelude::*;

use crate::section;

pub async fn run(cx: Context<System>, event: SectionCancelled) -> Result<()> {
    section::learn(&cx, &event.section).await
}

#[cfg(test)]
mod tests {
    use contracts::courses::{SectionFacts, SectionUpdated};

    use super::*;
    use crate::{
        delivery::{DeliveryState, Reason},
        reminder::ReminderState,
        tests::{app_with_section, confirmed, deliveries, reminders, section},
    };

    fn gone() -> SectionFacts {
        SectionFacts { cancelled: true, revision: 3, calendar_sequence: 1, ..section() }
    }

    #[tokio::test]
    async fn what_is_due_before_everyone_has_lost_their_place_is_skipped() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        app.deliver(&SectionCancelled { section: gone() }).await;
        app.advance_minutes(6 * 24 * 60 + 10 * 60);
        app.run_job("notifications.send_reminders").await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        let skipped = deliveries(&app).await.remove(0);
        let expected = (DeliveryState::Skipped, Some(Reason::SectionCancelled));
        assert_eq!((skipped.state, skipped.reason), expected);
    }

    #[tokio::test]
    async fn nobody_is_told_new_dates_of_a_cancelled_section() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.deliver(&SectionCancelled { section: gone() }).await;
        app.deliver(&SectionUpdated { section: gone() }).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        let all = reminders(&app, "ada").await;
        assert!(all.iter().all(|it| it.state == ReminderState::Dropped));
    }
}
