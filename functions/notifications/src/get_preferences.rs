//! `GET /v1/users/{user_id}/notification-preferences`

use contracts::TimeZone;
use runtime::prelude::*;

use crate::{contact::KnownContact, preferences, shown_preferences::ShownPreferences};

/// Get what a person wants to hear of, by which way, and when.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPreferences {
    /// Whose: `me` is the caller; another only an admin may name.
    user_id: UserId,
}

impl Endpoint for GetPreferences {
    const OPERATION: &'static str = "notifications.get_preferences";
    const ROUTE: Route = Route::get("/v1/users/{user_id}/notification-preferences");
    type Response = ShownPreferences;
}

pub async fn run(cx: Context<User>, request: GetPreferences) -> Result<ShownPreferences> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let preferences = preferences::of(&cx, &user_id).await?;
    Ok(ShownPreferences::of(&preferences, zone(&cx, &user_id).await?))
}

/// The zone of a person's clock, as far as it's known here.
pub async fn zone<C>(cx: &Context<C>, user_id: &UserId) -> Result<TimeZone> {
    let contact = cx.get::<KnownContact>(user_id.as_str()).await?;
    Ok(contact.map_or_else(TimeZone::default, |it| it.into_inner().contact.time_zone))
}

#[cfg(test)]
mod tests {
    use contracts::identity::ContactChanged;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{Value, json};

    use crate::tests::{app, contact};

    #[tokio::test]
    async fn who_has_never_said_has_the_usual_ones() {
        let app = app();
        app.deliver(&ContactChanged { contact: contact("ada") }).await;
        let uri = "/v1/users/me/notification-preferences";
        let body = app.user("ada").get(uri).await.ok();
        assert_eq!((&body["etag"], &body["digest_hour"]), (&"1".into(), &8.into()));
        assert_eq!(body["time_zone"], "Europe/Madrid");
        assert!(body["quiet_hours"].is_null() && body["updated_at"].is_null());
        let kind = |name: &str| -> Value {
            let kinds = body["kinds"].as_array().unwrap();
            kinds.iter().find(|it| it["kind"] == name).unwrap().clone()
        };
        let expected =
            json!({ "kind": "reminder", "mail": "at_once", "inbox": true, "required": false });
        assert_eq!(kind("reminder"), expected);
        assert_eq!(kind("password_changed")["required"], true);
    }

    #[tokio::test]
    async fn only_the_person_and_admins_may_read_them() {
        let app = app();
        let uri = "/v1/users/ada/notification-preferences";
        app.anyone().get(uri).await.is(UNAUTHENTICATED);
        app.user("bob").get(uri).await.is(FORBIDDEN);
        assert_eq!(app.admin("root").get(uri).await.ok()["user_id"], "ada");
    }
}
