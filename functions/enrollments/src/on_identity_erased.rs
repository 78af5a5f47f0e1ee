//! On `identity.erased.v1`: nothing of the person is kept.
//!
//! The seats that they had become free as if they had left, so that the counts
//! stay right and those who wait are promoted. Of the person nothing stays: the
//! enrollments, whose ids are made of them, go too. Nobody is told of them, since
//! every domain drops what it has by the same event.

use contracts::identity::Erased;
use runtime::prelude::*;

use crate::{
    certificate::Certificate, enrollment::Enrollment, hall::Want, kept, learning::known,
    progress::Progress, promoting,
};

pub async fn run(cx: Context<System>, event: Erased) -> Result<()> {
    let user_id = &event.user_id;
    for enrollment in kept::enrollments(&cx, user_id).await? {
        erase(&cx, enrollment).await?;
    }
    for certificate in kept::certificates(&cx, user_id).await? {
        cx.commit_part(Changes::new().delete(&certificate)).await?;
    }
    for achievement in kept::achievements(&cx, user_id).await? {
        cx.commit_part(Changes::new().delete(&achievement)).await?;
    }
    for mut part in kept::parts(&cx, user_id).await? {
        part.forget(user_id);
        cx.commit_part(Changes::new().save(&part)).await?;
    }
    cx.commit(Changes::new()).await
}

/// Drops an enrollment with all that hangs on it; its seat passes on.
async fn erase(cx: &Context<System>, mut enrollment: Stored<Enrollment>) -> Result<()> {
    let mut changes = Changes::new();
    if enrollment.is_active() {
        let mut seats = known(cx, &enrollment.section_id, Want::Leaving).await?.seats;
        enrollment.leave(&mut seats, cx.now);
        let promoted = promoting::first(cx, &mut seats, Some(&enrollment)).await?;
        changes = changes.and(seats.changes()).and(promoted);
    }
    if let Some(progress) = cx.get::<Progress>(enrollment.id.as_str()).await? {
        changes = changes.delete(&progress);
    }
    let certificate_id = Certificate::id_of(&enrollment.id);
    if let Some(certificate) = cx.get::<Certificate>(certificate_id.as_str()).await? {
        changes = changes.delete(&certificate);
    }
    cx.commit_part(changes.delete(&enrollment)).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{CourseFacts, ItemFacts},
        enrollments::{Cancelled, Confirmed},
    };
    use serde_json::json;

    use super::*;
    use crate::tests::{app, certified, course, enroll, enrolled, section, state};

    /// All that is stored of these people.
    async fn stored(app: &testing::App) -> String {
        let mut stored = String::new();
        for user in ["ada", "bob", "cid"] {
            let data = format!("/internal/enrollments/users/{user}/personal-data");
            stored += &app.platform().get(&data).await.ok().to_string();
        }
        stored
    }

    #[tokio::test]
    async fn a_seat_passes_on_and_nothing_of_the_person_is_kept() {
        let items = vec![ItemFacts { id: "a".into(), required: true }];
        let app = app(section(Some(1)), CourseFacts { items, ..course() });
        let ada = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        enroll(&app, "cid").await.ok();
        let done = format!("/v1/enrollments/{ada}/record-progress");
        app.user("ada").post(&done, json!({ "item_ids": ["a"] })).await.ok();
        app.settle().await;
        let rows = json!({ "rows": [{ "section_id": "s1", "user_id": "ada" }] });
        app.admin("root").post("/v1/enrollments/batch", rows).await.ok();
        app.settle().await;
        let before = stored(&app).await;
        assert_eq!(before.matches("\"ada\"").count(), 5, "{before}");

        let erased = Erased { user_id: "ada".into() };
        app.deliver(&erased).await;
        app.deliver_again().await;
        app.deliver(&erased).await;
        let after = stored(&app).await;
        assert!(!after.contains("\"ada\""), "{after}");
        assert!(app.user("ada").get("/v1/enrollments").await.ok()["items"] == json!([]));
        assert_eq!(state(&app, "bob").await.0, "confirmed");
        assert_eq!(state(&app, "cid").await, ("waitlisted".into(), json!(1)));
        assert_eq!(app.emitted::<Cancelled>().await.len(), 0, "nobody is told of who is gone");
        assert_eq!(app.emitted::<Confirmed>().await.len(), 2);
        let seats = app.platform();
        let seats = seats.post("/internal/enrollments/get-seats", json!({ "section_ids": ["s1"] }));
        let seats = seats.await.ok();
        assert_eq!(seats["sections"][0]["seats_taken"], 1);
    }

    #[tokio::test]
    async fn who_waits_or_asks_or_is_offered_a_seat_is_dropped_too() {
        let offering =
            contracts::courses::SectionFacts { offer_hours: Some(1), ..section(Some(1)) };
        let app = app(offering, course());
        let ada = enrolled(&app, "ada").await;
        for name in ["bob", "cid", "dan"] {
            enroll(&app, name).await.ok();
        }
        app.user("ada").post(&format!("/v1/enrollments/{ada}/cancel"), json!({})).await.ok();
        assert_eq!(state(&app, "bob").await.0, "offered");
        app.deliver(&Erased { user_id: "cid".into() }).await;
        app.deliver(&Erased { user_id: "bob".into() }).await;
        assert_eq!(state(&app, "dan").await.0, "offered");
        // A certificate that is asked for once its holder is gone isn't there.
        let (app, id) = certified(section(None), course()).await;
        app.deliver(&Erased { user_id: "ada".into() }).await;
        let gone = app.anyone().get(&format!("/v1/certificates/{id}")).await;
        gone.is(crate::certificate::CERTIFICATE_NOT_FOUND);
    }
}
