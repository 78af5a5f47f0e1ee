//! `POST /v1/enrollments/{enrollment_id}/accept-offer`

use contracts::enrollments::{Confirmed, EnrollmentId, EnrollmentState};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    enrollment::{ENROLLMENT_NOT_FOUND, EnrollmentView},
    get::{Seen, seen},
    hall::Want,
    learning::known,
    rules::SECTION_CANCELLED,
    seats::OFFER_LAPSED,
};

/// Nothing is offered to the person.
pub const NO_OFFER: Problem = Problem::conflict(
    "no-offer",
    "No seat is offered in this enrollment.",
    "En esta inscripción no se ofrece ningún cupo.",
);

/// Accept the seat that is offered.
///
/// Where a section says so, a seat that becomes free is offered to the first of
/// the waitlist and kept for them until `offer_expires_at`. Only the person
/// themself may accept it. To decline it, leave the section; it then passes on
/// at once. Accepting again changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptOffer {
    /// The enrollment that the seat is offered in.
    enrollment_id: EnrollmentId,
}

impl Endpoint for AcceptOffer {
    const OPERATION: &'static str = "enrollments.accept_offer";
    const ROUTE: Route = Route::act("/v1/enrollments/{enrollment_id}/accept-offer");
    const PROBLEMS: &'static [Problem] = &[
        ENROLLMENT_NOT_FOUND,
        NO_OFFER,
        OFFER_LAPSED,
        SECTION_CANCELLED,
        contracts::courses::SECTION_NOT_FOUND,
    ];
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = EnrollmentView;
}

pub async fn run(cx: Context<User>, request: AcceptOffer) -> Result<EnrollmentView> {
    let Seen { mut enrollment, .. } = seen(&cx, &request.enrollment_id).await?;
    if enrollment.user_id != cx.caller.id {
        return Err(FORBIDDEN.into());
    }
    if enrollment.state == EnrollmentState::Confirmed {
        return cx.answer(Changes::new(), enrollment.view(None, cx.now)).await;
    }
    let until = enrollment.offer_expires_at.ok_or(NO_OFFER)?;
    let mut seats = known(&cx, &enrollment.section_id, Want::All).await?.seats;
    if seats.rules.cancelled {
        return Err(SECTION_CANCELLED.into());
    }

    let place = seats.accept(until, cx.now)?;
    enrollment.take(place, cx.now);

    let facts = enrollment.facts();
    let told = Confirmed { enrollment: facts, promoted: true, confirmed_at: cx.now };
    let view = enrollment.view(None, cx.now);
    cx.answer(Changes::new().save(&enrollment).and(seats.changes()).emit(&told), view).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::SectionFacts,
        enrollments::{CancelReason, Cancelled, Offered},
    };
    use serde_json::json;
    use testing::App;

    use super::*;
    use crate::tests::{app, course, enroll, enrolled, section, state};

    /// A section with one seat that ada has left: it's offered to bob, and cid waits.
    async fn offered() -> (App, String) {
        let offering = SectionFacts { offer_hours: Some(2), ..section(Some(1)) };
        let app = app(offering, course());
        let ada = enrolled(&app, "ada").await;
        let bob = enrolled(&app, "bob").await;
        enroll(&app, "cid").await.ok();
        let path = format!("/v1/enrollments/{ada}/cancel");
        app.user("ada").post(&path, json!({})).await.ok();
        (app, bob)
    }

    #[tokio::test]
    async fn a_freed_seat_is_offered_to_the_first_who_waits_and_kept_for_them() {
        let (app, bob) = offered().await;
        let offer = app.emitted::<Offered>().await;
        assert_eq!(offer.len(), 1);
        assert_eq!(offer[0].expires_at, app.now().plus_minutes(120));
        let seen = app.user("bob").get(&format!("/v1/enrollments/{bob}")).await.ok();
        assert_eq!((&seen["state"], &seen["waitlist_position"]), (&json!("offered"), &json!(null)));
        assert_eq!(seen["offer_expires_at"], offer[0].expires_at.to_string());
        assert_eq!(state(&app, "cid").await, ("waitlisted".into(), json!(1)));
        assert_eq!(enroll(&app, "dan").await.body["waitlist_position"], 2);
        let taken = app.platform();
        let taken = taken.post("/internal/enrollments/get-seats", json!({ "section_ids": ["s1"] }));
        assert_eq!(taken.await.ok()["sections"][0]["seats_taken"], 1);
    }

    #[tokio::test]
    async fn who_accepts_has_the_seat() {
        let (app, bob) = offered().await;
        let path = format!("/v1/enrollments/{bob}/accept-offer");
        app.advance_minutes(119);
        let answer = app.user("bob").post(&path, json!({})).await.ok();
        assert_eq!(answer["state"], "confirmed");
        assert_eq!(answer["offer_expires_at"], json!(null));
        let told = app.emitted::<Confirmed>().await;
        assert!(told.iter().any(|it| it.promoted && it.enrollment.user_id.as_str() == "bob"));
        // Again, and long after: nothing lapses, and nothing is told again.
        app.user("bob").post(&path, json!({})).await.ok();
        app.advance_minutes(60);
        app.run_job("enrollments.lapse_offers").await;
        assert_eq!(state(&app, "bob").await.0, "confirmed");
        assert_eq!(app.emitted::<Confirmed>().await.len(), told.len());
        assert_eq!(state(&app, "cid").await.0, "waitlisted");
    }

    #[tokio::test]
    async fn a_lapsed_offer_is_worth_nothing_though_nobody_has_cleared_it_away() {
        let (app, bob) = offered().await;
        app.advance_minutes(120);
        let path = format!("/v1/enrollments/{bob}/accept-offer");
        let refused = app.user("bob").post(&path, json!({})).await;
        refused.is(OFFER_LAPSED);
        assert_eq!(state(&app, "bob").await.0, "cancelled");
        // Who wants it still may wait again, behind the others.
        assert_eq!(enroll(&app, "bob").await.ok()["waitlist_position"], 2);
        let told = app.emitted::<Cancelled>().await;
        assert_eq!(told.last().map(|it| it.why), Some(CancelReason::OfferLapsed));
    }

    #[tokio::test]
    async fn a_seat_whose_offer_has_lapsed_is_free_for_whoever_comes() {
        let offering = SectionFacts { offer_hours: Some(2), ..section(Some(1)) };
        let app = app(offering, course());
        let ada = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        let path = format!("/v1/enrollments/{ada}/cancel");
        app.user("ada").post(&path, json!({})).await.ok();
        app.advance_minutes(121);
        assert_eq!(enroll(&app, "dan").await.ok()["state"], "confirmed");
        app.run_job("enrollments.lapse_offers").await;
        assert_eq!(state(&app, "bob").await.0, "cancelled");
        assert_eq!(enroll(&app, "eve").await.ok()["state"], "waitlisted");
    }

    #[tokio::test]
    async fn who_declines_passes_the_seat_on() {
        let (app, bob) = offered().await;
        let path = format!("/v1/enrollments/{bob}/cancel");
        app.user("bob").post(&path, json!({})).await.ok();
        assert_eq!(state(&app, "cid").await.0, "offered");
        let accept = format!("/v1/enrollments/{bob}/accept-offer");
        app.user("bob").post(&accept, json!({})).await.is(NO_OFFER);
    }

    #[tokio::test]
    async fn nobody_accepts_for_another() {
        let (app, bob) = offered().await;
        let path = format!("/v1/enrollments/{bob}/accept-offer");
        app.instructor("ines").post(&path, json!({})).await.is(FORBIDDEN);
        app.user("cid").post(&path, json!({})).await.is(ENROLLMENT_NOT_FOUND);
        app.anyone().post(&path, json!({})).await.is(runtime::problems::UNAUTHENTICATED);
        let ada = app.user("ada").get("/v1/enrollments").await.ok();
        let ada = ada["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/enrollments/{ada}/accept-offer");
        app.user("ada").post(&path, json!({})).await.is(NO_OFFER);
    }

    #[tokio::test]
    async fn a_cancelled_section_takes_its_offers_back() {
        let (app, bob) = offered().await;
        let gone = SectionFacts { cancelled: true, revision: 2, ..section(Some(1)) };
        app.deliver(&contracts::courses::SectionCancelled { section: gone }).await;
        assert_eq!(state(&app, "bob").await.0, "cancelled");
        let path = format!("/v1/enrollments/{bob}/accept-offer");
        app.user("bob").post(&path, json!({})).await.is(NO_OFFER);
    }
}
