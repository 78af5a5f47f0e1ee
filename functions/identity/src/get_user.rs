//! `GET /v1/users/{user_id}`

use contracts::identity::USER_NOT_FOUND;
use runtime::prelude::*;

use crate::person::{Person, Profile};

/// Get a person's profile.
///
/// Everyone sees their own, an admin anyone's.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetUser {
    /// Whose; `me` for your own.
    user_id: UserId,
}

impl Endpoint for GetUser {
    const OPERATION: &'static str = "identity.get_user";
    const ROUTE: Route = Route::get("/v1/users/{user_id}");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND];
    type Response = Profile;
}

pub async fn run(cx: Context<User>, request: GetUser) -> Result<Profile> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let person = cx.get::<Person>(user_id.as_str()).await?;
    // Who has closed their account is gone, until it's erased; admins see that it isn't yet.
    let person = person.filter(|it| !it.is_closed() || cx.caller.is_admin());
    Ok(person.ok_or(USER_NOT_FOUND)?.profile())
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::{app, enter, holder, member};

    #[tokio::test]
    async fn everyone_sees_their_own_profile() {
        let app = app();
        let ada = member(&app, "ada@example.org").await;
        let signed_in = enter(&app, "ada@example.org").await;
        let before = app.reads();
        let profile = holder(&app, &signed_in).get("/v1/users/me").await.ok();
        assert_eq!(app.reads() - before, 1);
        let expected = json!({
            "id": ada,
            "email": "ada@example.org",
            "name": "Ada Lovelace",
            "locale": "en",
            "time_zone": "UTC",
            "roles": ["student"],
            "requested_roles": [],
            "state": "active",
            "factors": [],
            "enrollments_url": format!("/v1/enrollments?user_id={ada}"),
            "created_at": app.now(),
            "updated_at": app.now(),
            "etag": "2",
        });
        assert_eq!(profile, expected);
        assert_eq!(signed_in["user"], expected);
    }

    #[tokio::test]
    async fn a_profile_is_shown_to_its_person_and_to_admins() {
        let app = app();
        let ada = member(&app, "ada@example.org").await;
        let uri = format!("/v1/users/{ada}");
        app.anyone().get(&uri).await.is(UNAUTHENTICATED);
        app.anyone().get("/v1/users/me").await.is(UNAUTHENTICATED);
        app.user("eve").get(&uri).await.is(FORBIDDEN);
        app.user("eve").get("/v1/users/nobody-here").await.is(FORBIDDEN);
        app.instructor("ines").get(&uri).await.is(FORBIDDEN);
        app.user(ada.as_str()).get(&uri).await.ok();
        assert_eq!(app.admin("root").get(&uri).await.ok()["id"], json!(ada));
        app.admin("root").get("/v1/users/nobody-here").await.is(USER_NOT_FOUND);
        app.admin("root").get("/v1/users/a%2Fb").await.blames("user_id", "invalid-id");
        app.user(ada.as_str())
            .get("/v1/users/me?fields=id")
            .await
            .blames("fields", "unknown-field");
    }
}
