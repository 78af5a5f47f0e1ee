//! `PATCH /v1/users/{user_id}/notification-preferences`

use std::collections::BTreeSet;

use contracts::notifications::PreferencesUpdated;
use runtime::prelude::*;

use crate::{
    get_preferences::zone,
    news::{Kind, Rank},
    own::own,
    preferences::{self, MailWhen},
    shown_preferences::ShownPreferences,
    wall_clock::QuietHours,
};

/// Change what you want to hear of, by which way, and when.
///
/// Fields that are absent stay as they are, and so do kinds that aren't named.
/// It holds for messages that wait to be sent too. What concerns the safety of
/// your account, or decides about a seat of yours, you always hear of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePreferences {
    /// Whose: `me`, the caller.
    user_id: UserId,
    /// The version that you saw; `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The kinds of messages of which something is to change, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    kinds: Option<Vec<WantedKind>>,
    /// When no mail is wanted but what can't wait. If it's from and until the
    /// same time, mail is always wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet_hours: Option<QuietHours>,
    /// At which hour of the day the digest comes, from the next one on: 0 to 23,
    /// on the person's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 23))]
    digest_hour: Option<u8>,
}

/// What is to change of a kind of message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedKind {
    /// What the messages are about.
    kind: Kind,
    /// When mail is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail: Option<MailWhen>,
    /// Whether it's wanted in the list of notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inbox: Option<bool>,
}

impl Endpoint for UpdatePreferences {
    const OPERATION: &'static str = "notifications.update_preferences";
    const ROUTE: Route = Route::update("/v1/users/{user_id}/notification-preferences");
    type Response = ShownPreferences;
}

/// How many kinds may be named.
const KINDS_MOST: usize = 50;

pub async fn run(cx: Context<User>, request: UpdatePreferences) -> Result<ShownPreferences> {
    let user_id = own(&cx, &request.user_id)?;
    request.check()?;
    let mut preferences = preferences::of(&cx, &user_id).await?;
    cx.expect_etag(&preferences.etag(), request.etag.as_deref())?;
    for WantedKind { kind, mail, inbox } in request.kinds.into_iter().flatten() {
        if let Some(when) = mail {
            preferences.want_mail(kind, when);
        }
        if let Some(listed) = inbox {
            preferences.want_listed(kind, listed);
        }
    }
    if let Some(hours) = request.quiet_hours {
        preferences.quiet_hours = Some(hours).filter(|it| it.from != it.until);
    }
    if let Some(hour) = request.digest_hour {
        preferences.digest_hour = hour;
    }
    preferences.changed(cx.now);
    let shown = ShownPreferences::of(&preferences, zone(&cx, &user_id).await?);
    cx.commit(Changes::new().save(&preferences).emit(&PreferencesUpdated { user_id })).await?;
    Ok(shown)
}

impl UpdatePreferences {
    fn check(&self) -> Result<()> {
        let mut faults = Faults::new();
        let kinds = self.kinds.as_deref().unwrap_or_default();
        faults.unless(
            kinds.len() <= KINDS_MOST,
            "kinds",
            "too-long",
            "At most 50 kinds can be named.",
            "Se pueden nombrar 50 tipos como mucho.",
        );
        let mut seen = BTreeSet::new();
        for (at, it) in kinds.iter().enumerate().take(KINDS_MOST) {
            let field = format!("kinds[{at}].kind");
            faults.unless(
                seen.insert(it.kind),
                &field,
                "given-twice",
                "Each kind may be named once.",
                "Cada tipo se puede nombrar una vez.",
            );
            let changes = it.mail.is_some_and(|it| it != MailWhen::AtOnce)
                || it.inbox.is_some_and(|listed| !listed);
            faults.unless(
                it.kind.rank() == Rank::Optional || !changes,
                &field,
                "required",
                "You always hear of this.",
                "De esto siempre se te avisa.",
            );
            faults.unless(
                it.kind != Kind::Digest || it.mail != Some(MailWhen::Daily),
                &field,
                "never-ending",
                "A digest can't be told in a digest.",
                "Un resumen no puede ir en un resumen.",
            );
        }
        faults.unless(
            self.digest_hour.is_none_or(|it| it <= 23),
            "digest_hour",
            "out-of-range",
            "An hour is 0 to 23.",
            "Una hora va de 0 a 23.",
        );
        faults.check()
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::{ETAG_REQUIRED, FORBIDDEN, STALE_ETAG, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::app;

    const URI: &str = "/v1/users/me/notification-preferences";

    #[tokio::test]
    async fn what_is_named_changes_and_the_rest_stays() {
        let app = app();
        let ada = app.user("ada");
        let body = json!({
            "kinds": [
                { "kind": "reminder", "mail": "daily" },
                { "kind": "rescheduled", "mail": "off", "inbox": false },
                { "kind": "password_changed", "mail": "at_once", "inbox": true },
            ],
            "quiet_hours": { "from": "22:00", "until": "07:30" },
            "digest_hour": 18,
        });
        let first = ada.patch(URI, &body, "1").await.ok();
        assert_eq!((&first["etag"], &first["digest_hour"]), (&"2".into(), &18.into()));
        assert_eq!(first["quiet_hours"], json!({ "from": "22:00", "until": "07:30" }));
        let body = json!({ "kinds": [{ "kind": "reminder", "inbox": false }] });
        let second = ada.patch(URI, &body, "2").await.ok();
        let kinds = second["kinds"].as_array().unwrap();
        let kind = |name: &str| kinds.iter().find(|it| it["kind"] == name).unwrap();
        assert_eq!(
            (&kind("reminder")["mail"], &kind("reminder")["inbox"]),
            (&"daily".into(), &false.into())
        );
        assert_eq!(kind("rescheduled")["mail"], "off");
        assert_eq!(ada.get(URI).await.ok(), second);
        let loud = json!({ "quiet_hours": { "from": "00:00", "until": "00:00" } });
        assert!(ada.patch(URI, &loud, "3").await.ok()["quiet_hours"].is_null());
        assert_eq!(app.emitted::<PreferencesUpdated>().await.len(), 3);
    }

    #[tokio::test]
    async fn a_version_must_be_named_and_be_the_last_one() {
        let app = app();
        let ada = app.user("ada");
        let body = json!({ "digest_hour": 7 });
        ada.patch_without_etag(URI, &body).await.is(ETAG_REQUIRED);
        ada.patch(URI, &body, "1").await.ok();
        ada.patch(URI, &body, "1").await.is(STALE_ETAG);
    }

    #[tokio::test]
    async fn what_must_be_told_cannot_be_switched_off() {
        let app = app();
        let ada = app.user("ada");
        for change in [
            json!({ "kind": "password_changed", "mail": "off" }),
            json!({ "kind": "reset_password", "mail": "daily" }),
            json!({ "kind": "device_added", "inbox": false }),
            json!({ "kind": "cancelled", "mail": "off" }),
        ] {
            let body = json!({ "kinds": [change] });
            ada.patch(URI, body, "1").await.blames("kinds[0].kind", "required");
        }
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_by_name() {
        let app = app();
        let ada = app.user("ada");
        let twice = json!({ "kinds": [{ "kind": "reminder" }, { "kind": "reminder" }] });
        ada.patch(URI, twice, "1").await.blames("kinds[1].kind", "given-twice");
        let digest = json!({ "kinds": [{ "kind": "digest", "mail": "daily" }] });
        ada.patch(URI, digest, "1").await.blames("kinds[0].kind", "never-ending");
        ada.patch(URI, json!({ "digest_hour": 24 }), "1")
            .await
            .blames("digest_hour", "out-of-range");
        let hours = json!({ "quiet_hours": { "from": "25:00", "until": "07:00" } });
        ada.patch(URI, hours, "1").await.blames("quiet_hours.from", "invalid-time-of-day");
        let kind = json!({ "kinds": [{ "kind": "advert", "mail": "off" }] });
        ada.patch(URI, kind, "1").await.blames("kinds[0].kind", "unknown-value");
        let many = json!({ "kinds": vec![json!({ "kind": "reminder" }); 51] });
        ada.patch(URI, many, "1").await.blames("kinds", "too-long");
    }

    #[tokio::test]
    async fn nobody_else_changes_them() {
        let app = app();
        let (uri, body) = ("/v1/users/ada/notification-preferences", json!({ "digest_hour": 7 }));
        app.anyone().patch(uri, &body, "1").await.is(UNAUTHENTICATED);
        app.user("bob").patch(uri, &body, "1").await.is(FORBIDDEN);
        app.admin("root").patch(uri, &body, "1").await.is(FORBIDDEN);
    }
}
