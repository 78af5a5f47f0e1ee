//! On `enrollments.offered.v1`: the person is told until when a seat is kept for them.

use contracts::enrollments::{EnrollmentState, Offered};
use runtime::prelude::*;

use crate::{
    attending::{Change, follow},
    news::News,
};

pub async fn run(cx: Context<System>, event: Offered) -> Result<()> {
    let Offered { enrollment: facts, expires_at } = event;
    let (state, since) = (EnrollmentState::Offered, cx.now);
    follow(&cx, Change { facts: &facts, state, since }, |attendance, _| News::Offered {
        about: attendance.about(),
        expires_at,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::{DeliveryState, Reason},
        tests::{app_with_section, deliveries, enrollment, reminders},
    };

    async fn offered(app: &testing::App) {
        let expires_at = app.now().plus_minutes(48 * 60);
        app.deliver(&Offered { enrollment: enrollment("ada", 1), expires_at }).await;
    }

    #[tokio::test]
    async fn the_person_learns_until_when_the_seat_is_theirs_for_the_taking() {
        let app = app_with_section().await;
        offered(&app).await;
        app.settle().await;
        let mail = app.mail();
        assert_eq!(mail[0].subject, "A seat for you: Rust");
        assert!(mail[0].text.contains("Wednesday, March 4, 2026, 13:00 (Madrid, UTC+1)"));
        assert!(mail[0].attachments.is_empty() && reminders(&app, "ada").await.is_empty());
    }

    #[tokio::test]
    async fn an_offer_that_has_lapsed_meanwhile_is_not_told() {
        let app = app_with_section().await;
        offered(&app).await;
        app.advance_minutes(48 * 60);
        app.settle().await;
        let it = deliveries(&app).await.remove(0);
        assert_eq!((it.state, it.reason), (DeliveryState::Skipped, Some(Reason::OfferExpired)));
    }
}
