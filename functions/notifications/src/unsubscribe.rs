//! `POST /v1/unsubscribe`

use std::borrow::Cow;

use contracts::{Body, Content, notifications::PreferencesUpdated};
use runtime::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::{
    contact::KnownContact,
    news::Kind,
    preferences::{self, MailWhen},
    unsubscribe_page::{self, HTML, INVALID_UNSUBSCRIBE_TOKEN},
    unsubscribing,
};

/// Get no more mail of a kind, without signing in.
///
/// It's what a mail program sends that unsubscribes with one click (RFC 8058),
/// and what the page sends on which one does it by hand. It holds for messages
/// that wait to be sent too, and until the person says otherwise in their
/// preferences. Doing it twice changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// What the link in the mail carries.
    token: Line<1, 300>,
    /// What the mail program or the page says.
    body: Form,
}

/// What a mail program or a page says: a form, encoded in one way or another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Form(String);

impl Form {
    /// Whether the person wants no mail at all that they can do without.
    fn means_all(&self) -> bool {
        self.0.split('&').any(|pair| pair == "scope=all")
    }
}

impl JsonSchema for Form {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "UnsubscribeForm".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "List-Unsubscribe": {
                    "type": "string", "const": "One-Click",
                    "description": "What a mail program sends.",
                },
                "scope": {
                    "type": "string", "enum": ["kind", "all"],
                    "description": "What the page sends: this kind, or all that one can do without.",
                },
            },
        })
    }
}

impl Endpoint for Unsubscribe {
    const OPERATION: &'static str = "notifications.unsubscribe";
    const ROUTE: Route = Route::act("/v1/unsubscribe");
    const PROBLEMS: &'static [Problem] = &[INVALID_UNSUBSCRIBE_TOKEN];
    // A mail program knows nothing of keys, and a repeat changes nothing.
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const BODY: Body = Body::AsSent("application/x-www-form-urlencoded");
    const ANSWERS: &'static str = HTML;
    type Response = Content;
}

pub async fn run(cx: Context<Anyone>, request: Unsubscribe) -> Result<Content> {
    let Unsubscribe { token, body } = request;
    let subscription = unsubscribing::subscription(&cx, &token);
    let subscription = subscription.ok_or(INVALID_UNSUBSCRIBE_TOKEN)?;
    let (user_id, kind, all) = (subscription.user_id, subscription.kind, body.means_all());
    // Of somebody who is gone nothing is kept again.
    if let Some(contact) = cx.get::<KnownContact>(user_id.as_str()).await? {
        let mut preferences = preferences::of(&cx, &user_id).await?;
        let named = [kind];
        let kinds = if all { Kind::ALL } else { &named };
        let wanted = |it: &Kind| preferences.mail(*it) != MailWhen::Off;
        let unwanted: Vec<_> = kinds.iter().copied().filter(wanted).collect();
        let before = unwanted.len();
        for kind in unwanted {
            preferences.want_mail(kind, MailWhen::Off);
        }
        if before > 0 {
            preferences.changed(cx.now);
            let changes = Changes::new().save(&contact).save(&preferences);
            cx.commit(changes.emit(&PreferencesUpdated { user_id })).await?;
        }
    }
    unsubscribe_page::done(cx.language, kind, all)
}

#[cfg(test)]
mod tests {
    use testing::{Answer, App};

    use super::*;
    use crate::{
        delivery::{DeliveryState, Reason},
        tests::{app, app_with_section, confirmed, deliveries, left},
    };

    const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
    const FORM: &str = "application/x-www-form-urlencoded";

    /// As the mail's own headers say that it's done.
    async fn click(app: &App, subject: &str, body: &str, media_type: &str) -> Answer {
        let mail = app.mail().into_iter().find(|it| it.subject.starts_with(subject)).unwrap();
        let header = |name: &str| {
            let found = mail.headers.iter().find(|it| it.0 == name);
            found.map(|it| it.1.clone()).unwrap_or_default()
        };
        assert_eq!(header("List-Unsubscribe-Post"), ONE_CLICK);
        let link = header("List-Unsubscribe");
        let uri = link.strip_prefix("<https://aula.example").unwrap().strip_suffix('>').unwrap();
        let headers = [("content-type", media_type)];
        app.anyone().send("POST", uri, &headers, body.as_bytes().to_vec()).await
    }

    /// A person who was reminded, and has another reminder before them.
    async fn reminded() -> App {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        app.advance_minutes(6 * 24 * 60 + 10 * 60);
        app.run_job("notifications.send_reminders").await;
        app.settle().await;
        assert_eq!(app.mail().len(), 2);
        app
    }

    #[tokio::test]
    async fn one_click_is_enough_and_holds_for_what_is_queued() {
        let app = reminded().await;
        app.advance_minutes(23 * 60);
        // The next reminder is queued, and then it's unsubscribed from.
        app.run_job("notifications.send_reminders").await;
        let done = click(&app, "Reminder", ONE_CLICK, FORM).await;
        assert_eq!(done.status, 200);
        assert!(done.text.contains("no more mail about reminders"), "{}", done.text);
        app.settle().await;
        assert_eq!(app.mail().len(), 2);
        let skipped = deliveries(&app).await.remove(0);
        let expected = (DeliveryState::Skipped, Some(Reason::SwitchedOff));
        assert_eq!((skipped.state, skipped.reason), expected);
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn no_later_enrollment_turns_it_on_again() {
        let app = reminded().await;
        click(&app, "Reminder", ONE_CLICK, FORM).await.ok();
        app.deliver(&left("ada", 2)).await;
        app.deliver(&confirmed("ada", 3)).await;
        app.settle().await;
        let before = app.mail().len();
        app.advance_minutes(23 * 60);
        app.run_job("notifications.send_reminders").await;
        app.settle().await;
        assert_eq!(app.mail().len(), before);
    }

    #[tokio::test]
    async fn both_encodings_of_a_form_are_taken() {
        let app = reminded().await;
        let body = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
                    One-Click\r\n--x--\r\n";
        let done = click(&app, "Reminder", body, "multipart/form-data; boundary=x").await;
        assert_eq!(done.status, 200);
        let uri = "/v1/users/me/notification-preferences";
        let commits = app.commits();
        click(&app, "Reminder", ONE_CLICK, FORM).await.ok();
        assert_eq!(app.commits(), commits, "a repeat changes nothing");
        assert_eq!(app.user("ada").get(uri).await.ok()["etag"], "2");
    }

    #[tokio::test]
    async fn all_that_one_can_do_without_can_be_switched_off_and_nothing_else() {
        let app = reminded().await;
        let done = click(&app, "Reminder", "scope=all", FORM).await;
        assert!(done.text.contains("can do without"), "{}", done.text);
        let uri = "/v1/users/me/notification-preferences";
        let kinds = app.user("ada").get(uri).await.ok()["kinds"].clone();
        for it in kinds.as_array().unwrap() {
            assert_eq!(it["mail"] == "at_once", it["required"] == true, "{it}");
        }
    }

    #[tokio::test]
    async fn what_must_be_told_has_no_such_link() {
        let app = reminded().await;
        let enrolled = app.mail().remove(0);
        assert!(enrolled.subject.starts_with("You're enrolled"));
        assert!(!enrolled.headers.iter().any(|it| it.0.starts_with("List-Unsubscribe")));
        assert!(!enrolled.text.contains("unsubscribe"), "{}", enrolled.text);
    }

    #[tokio::test]
    async fn of_somebody_who_is_unknown_nothing_is_kept() {
        let app = app();
        let token = unsubscribing::token(&app.context(), &"nobody".into(), Kind::Reminder);
        let commits = app.commits();
        let uri = format!("/v1/unsubscribe?token={token}");
        let done = app.anyone().send("POST", &uri, &[], Vec::new()).await;
        assert_eq!((done.status, app.commits()), (200, commits));
        let uri = "/v1/unsubscribe?token=x";
        app.anyone().send("POST", uri, &[], Vec::new()).await.is(INVALID_UNSUBSCRIBE_TOKEN);
    }
}
