//! Every minute: offers that weren't accepted in time end, and their seats pass on.
//!
//! It only clears away: a lapsed offer is worth nothing to anybody before.

use contracts::{
    courses::SectionId,
    enrollments::{CancelReason, Cancelled},
};
use runtime::prelude::*;

use crate::{enrollment::Enrollment, hall::Want, learning::known, promoting};

/// End the offers whose deadline has passed.
#[derive(Default)]
pub struct LapseOffers;

impl Job for LapseOffers {
    const NAME: &'static str = "enrollments.lapse_offers";
    const SCHEDULE: &'static str = "* * * * *";
}

/// How many offers end in one commit: each writes an enrollment and an event,
/// and so does whoever gets the next one.
const AT_ONCE: u32 = 80;

pub async fn run(cx: Context<System>, _: LapseOffers) -> Result<()> {
    loop {
        let due = Query::ascending::<Enrollment>("offer_expires_at").at_most(cx.now);
        let (lapsed, _) = cx.query::<Enrollment>(&due.limit(AT_ONCE)).await?;
        let Some(first) = lapsed.first() else { return Ok(()) };
        let section_id = first.section_id.clone();
        let its = lapsed.into_iter().filter(|it| it.section_id == section_id).collect();
        clear(&cx, &section_id, its).await?;
    }
}

/// Ends the lapsed offers of a section, and offers the seats to those who wait.
async fn clear(
    cx: &Context<System>,
    section_id: &SectionId,
    lapsed: Vec<Stored<Enrollment>>,
) -> Result<()> {
    let mut seats = known(cx, section_id, Want::All).await?.seats;
    let mut changes = Changes::new();
    for mut enrollment in lapsed {
        enrollment.leave(&mut seats, cx.now);
        let told = Cancelled { enrollment: enrollment.facts(), why: CancelReason::OfferLapsed };
        changes = changes.save(&enrollment).emit(&told);
    }
    let promoted = promoting::first(cx, &mut seats, None).await?;
    cx.commit_part(changes.and(promoted).and(seats.changes())).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::SectionFacts,
        enrollments::{CancelReason, Cancelled, Offered},
    };
    use serde_json::json;

    use crate::tests::{app, course, enroll, section, state};

    #[tokio::test]
    async fn a_lapsed_offer_passes_on_to_the_next_until_nobody_waits() {
        let offering = SectionFacts { offer_hours: Some(1), ..section(Some(0)) };
        let app = app(offering.clone(), course());
        for name in ["ada", "bob", "cid"] {
            enroll(&app, name).await.ok();
        }
        let raised = SectionFacts { capacity: Some(1), revision: 2, ..offering };
        let told = json!({ "section": raised, "course": course() });
        app.platform().post("/internal/enrollments/learn-section", told).await.ok();
        for (name, next) in [("ada", Some("bob")), ("bob", Some("cid")), ("cid", None)] {
            assert_eq!(state(&app, name).await.0, "offered");
            app.run_job("enrollments.lapse_offers").await;
            assert_eq!(state(&app, name).await.0, "offered", "it isn't time yet");
            app.advance_minutes(60);
            app.run_job("enrollments.lapse_offers").await;
            app.run_job("enrollments.lapse_offers").await;
            assert_eq!(state(&app, name).await.0, "cancelled");
            if let Some(next) = next {
                assert_eq!(state(&app, next).await.0, "offered");
            }
        }
        let lapsed = app.emitted::<Cancelled>().await;
        assert_eq!(lapsed.len(), 3);
        assert!(lapsed.iter().all(|it| it.why == CancelReason::OfferLapsed));
        assert_eq!(app.emitted::<Offered>().await.len(), 3);
        assert_eq!(enroll(&app, "dan").await.ok()["state"], "confirmed");
    }
}
