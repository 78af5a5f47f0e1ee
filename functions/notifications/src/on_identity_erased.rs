//! On `identity.erased.v1`: all that is kept of the person is dropped.
//!
//! An address that mail came back from stays suppressed: it's known by a seal
//! alone, which tells nobody whose it was.

use contracts::identity::Erased;
use runtime::prelude::*;

use crate::{
    attendance::Attendance,
    contact::KnownContact,
    delivery::Delivery,
    digest::Digest,
    erasure::{Erasure, is_erased},
    feed::Feed,
    inbox_item::InboxItem,
    preferences::Preferences,
    reminder::Reminder,
};

pub async fn run(cx: Context<System>, event: Erased) -> Result<()> {
    let user_id = &event.user_id;
    if !is_erased(&cx, user_id).await? {
        // At first: what is told of them from now on isn't kept.
        cx.commit_part(Changes::new().create(&Erasure::new(&cx, user_id))).await?;
    }
    for attendance in cx.query_all::<Attendance>(&Attendance::of(user_id)).await? {
        drop_all(&cx, cx.query_all::<Reminder>(&Reminder::of(&attendance.id)).await?).await?;
        drop_all(&cx, vec![attendance]).await?;
    }
    drop_all(&cx, cx.query_all::<Delivery>(&Delivery::of(user_id)).await?).await?;
    drop_all(&cx, cx.query_all::<InboxItem>(&InboxItem::of(user_id)).await?).await?;
    drop_all(&cx, cx.query_all::<Digest>(&Digest::of(user_id)).await?).await?;
    // The contact first: nothing of the rest is made anew without it.
    drop_one::<KnownContact>(&cx, user_id).await?;
    drop_one::<Feed>(&cx, user_id).await?;
    drop_one::<Preferences>(&cx, user_id).await
}

/// How many documents are dropped in one commit.
const AT_ONCE: usize = 400;

async fn drop_all<D: Document>(cx: &Context<System>, documents: Vec<Stored<D>>) -> Result<()> {
    for some in documents.chunks(AT_ONCE) {
        let changes = some.iter().fold(Changes::new(), Changes::delete);
        cx.commit_part(changes).await?;
    }
    Ok(())
}

async fn drop_one<D: Document>(cx: &Context<System>, user_id: &UserId) -> Result<()> {
    let found = cx.get::<D>(user_id.as_str()).await?;
    drop_all(cx, found.into_iter().collect()).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        enrollments::CertificateRevoked,
        identity::{ContactChanged, EmailChangeRequested, PasswordChanged},
    };
    use testing::{App, json};

    use super::*;
    use crate::tests::{app_with_section, confirmed, contact, enrollment, left};

    async fn kept(app: &App, name: &str) -> usize {
        let uri = format!("/internal/notifications/users/{name}/personal-data");
        let data = app.platform().get(&uri).await.ok();
        let collections = data["collections"].as_object().unwrap();
        collections.values().map(|it| it.as_array().unwrap().len()).sum()
    }

    async fn with_people() -> App {
        let app = app_with_section().await;
        for name in ["ada", "bob"] {
            app.deliver(&ContactChanged { contact: contact(name) }).await;
            app.deliver(&confirmed(name, 1)).await;
            app.settle().await;
            let user = app.user(name);
            let body = json!({ "kinds": [{ "kind": "reminder", "mail": "daily" }] });
            user.patch("/v1/users/me/notification-preferences", body, "1").await.ok();
            user.post("/v1/users/me/calendar/rotate", json!({})).await.ok();
        }
        app.advance_minutes(6 * 24 * 60 + 10 * 60);
        app.run_job("notifications.send_reminders").await;
        app.settle().await;
        app
    }

    #[tokio::test]
    async fn everything_of_the_person_goes_and_of_nobody_else() {
        let app = with_people().await;
        let others = kept(&app, "bob").await;
        assert!(kept(&app, "ada").await >= 8);
        let event = EmailChangeRequested {
            code_id: "k1".into(),
            new_email: "new@mail.example".into(),
            contact: contact("ada"),
            expires_at: app.now().plus_minutes(15),
        };
        app.deliver(&event).await;
        app.deliver(&Erased { user_id: "ada".into() }).await;
        app.deliver_again().await;
        assert_eq!((kept(&app, "ada").await, kept(&app, "bob").await), (0, others));
        app.advance_minutes(24 * 60);
        app.run_job("notifications.send_digests").await;
        app.run_job("notifications.send_due").await;
        app.settle().await;
        assert_eq!(kept(&app, "ada").await, 0);
    }

    #[tokio::test]
    async fn what_is_told_of_them_late_is_not_kept_either() {
        let app = with_people().await;
        app.deliver(&Erased { user_id: "ada".into() }).await;
        app.deliver(&left("ada", 2)).await;
        app.deliver(&confirmed("ada", 2)).await;
        let revoked = CertificateRevoked {
            enrollment: enrollment("ada", 3),
            certificate_id: "z1".into(),
            revoked_at: app.now(),
            reason: "Erased.".into(),
        };
        app.deliver(&revoked).await;
        app.deliver(&ContactChanged { contact: contact("ada") }).await;
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.settle().await;
        assert_eq!(kept(&app, "ada").await, 0);
    }

    #[tokio::test]
    async fn more_than_a_commit_takes_goes_in_parts() {
        let app = app_with_section().await;
        for revision in 0..250 {
            app.deliver(&confirmed("ada", revision * 2 + 1)).await;
            app.deliver(&left("ada", revision * 2 + 2)).await;
        }
        assert!(kept(&app, "ada").await > 1000);
        app.deliver(&Erased { user_id: "ada".into() }).await;
        assert_eq!(kept(&app, "ada").await, 0);
    }
}
