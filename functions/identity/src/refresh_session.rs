//! `POST /v1/sessions/refresh`

use contracts::Code;
use runtime::prelude::*;

use crate::{
    device,
    person::Person,
    session::{RefreshToken, Refreshed, Session},
    tokens::SignedIn,
};

/// The session is over, or there never was one.
pub const INVALID_REFRESH_TOKEN: Problem = Problem::new(
    Code::Unauthenticated,
    "invalid-refresh-token",
    "This refresh token isn't good any more; sign in again.",
    "Este token de renovación ya no vale; inicia sesión de nuevo.",
);

/// Refresh a session.
///
/// Gives a new access token, with what the person may do now, and the refresh
/// token that is good from now on. A refresh token is good once. If one comes
/// again within 10 seconds, as when two tabs refresh at once or an answer is
/// lost, the one that's good is given again; if it comes later, two hold it and
/// the session ends. The answer holds secrets, so it's never kept, whatever the
/// `Idempotency-Key`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshSession {
    /// The refresh token that was given last.
    refresh_token: Line<1, 256>,
}

impl Endpoint for RefreshSession {
    const OPERATION: &'static str = "identity.refresh_session";
    const ROUTE: Route = Route::act("/v1/sessions/refresh");
    const PROBLEMS: &'static [Problem] = &[INVALID_REFRESH_TOKEN];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    type Response = SignedIn;
}

pub async fn run(cx: Context<Anyone>, request: RefreshSession) -> Result<SignedIn> {
    let token = RefreshToken::read(&request.refresh_token, cx.secret());
    let token = token.ok_or(INVALID_REFRESH_TOKEN)?;
    let session = cx.get::<Session>(token.session_id()).await?;
    let mut session = session.ok_or(INVALID_REFRESH_TOKEN)?;
    let person = cx.get::<Person>(session.user_id.as_str()).await?;

    let refreshed = session.refresh(&token, person.as_deref(), cx.secret(), cx.now);
    let changes = match refreshed {
        Refreshed::Next(_) | Refreshed::Reused => Changes::new().save(&session),
        Refreshed::Again(_) | Refreshed::Over => Changes::new(),
    };
    let device_token =
        session.device_id().map(|it| device::token(&session.user_id, it, cx.secret()));
    if let (Refreshed::Next(good) | Refreshed::Again(good), Some(person)) = (refreshed, person) {
        let signed_in = SignedIn::new(&cx, &person, &good, device_token).await?;
        return cx.answer(changes, signed_in).await;
    }
    cx.commit(changes).await?;
    Err(INVALID_REFRESH_TOKEN.into())
}

#[cfg(test)]
mod tests {
    use contracts::identity::Role;
    use testing::{Value, json};

    use super::*;
    use crate::tests::{app, disable, enter, holder, member, refresh};

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn a_session_goes_on_with_another_refresh_token() {
        let app = app();
        let ada = member(&app, ADA).await;
        let first = enter(&app, ADA).await;
        app.advance_minutes(14);
        let before = (app.commits(), app.reads());
        let answer = refresh(&app, &first["refresh_token"]).await;
        assert_eq!((app.commits() - before.0, app.reads() - before.1), (1, 2));
        let second = answer.ok();
        assert_eq!((answer.status, &second["user"]["id"]), (200, &json!(ada)));
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        app.advance_minutes(14);
        holder(&app, &first).get("/v1/users/me").await.is(runtime::problems::UNAUTHENTICATED);
        holder(&app, &second).get("/v1/users/me").await.ok();
        refresh(&app, &second["refresh_token"]).await.ok();
    }

    #[tokio::test]
    async fn two_tabs_that_refresh_at_once_get_the_same_token() {
        let app = app();
        member(&app, ADA).await;
        let token = enter(&app, ADA).await["refresh_token"].clone();
        let (one, other) = tokio::join!(refresh(&app, &token), refresh(&app, &token));
        assert_eq!(one.ok()["refresh_token"], other.ok()["refresh_token"]);
        app.advance_seconds(10);
        let again = refresh(&app, &token).await.ok();
        assert_eq!(again["refresh_token"], one.ok()["refresh_token"]);
        refresh(&app, &again["refresh_token"]).await.ok();
    }

    #[tokio::test]
    async fn a_token_that_comes_again_later_ends_the_session_for_good() {
        let app = app();
        member(&app, ADA).await;
        let stolen = enter(&app, ADA).await["refresh_token"].clone();
        let other_session = enter(&app, ADA).await["refresh_token"].clone();
        let current = refresh(&app, &stolen).await.ok()["refresh_token"].clone();
        app.advance_seconds(11);
        refresh(&app, &stolen).await.is(INVALID_REFRESH_TOKEN);
        refresh(&app, &current).await.is(INVALID_REFRESH_TOKEN);
        refresh(&app, &stolen).await.is(INVALID_REFRESH_TOKEN);
        refresh(&app, &other_session).await.ok();
    }

    #[tokio::test]
    async fn a_made_up_token_ends_nobodys_session() {
        let app = app();
        member(&app, ADA).await;
        let token = enter(&app, ADA).await["refresh_token"].clone();
        let text = token.as_str().unwrap();
        let mut parts: Vec<&str> = text.split('.').collect();
        parts[1] = "made-up";
        let no_secret = parts.join(".");
        let session_id = parts[0];
        for forged in ["x", session_id, &no_secret, &text.to_uppercase(), &text[1..]] {
            refresh(&app, &json!(forged)).await.is(INVALID_REFRESH_TOKEN);
        }
        refresh(&app, &token).await.ok();
    }

    #[tokio::test]
    async fn a_session_that_is_not_used_for_thirty_days_is_over() {
        let app = app();
        member(&app, ADA).await;
        let token = enter(&app, ADA).await["refresh_token"].clone();
        app.advance_minutes(30 * 24 * 60 - 1);
        let token = refresh(&app, &token).await.ok()["refresh_token"].clone();
        app.advance_minutes(30 * 24 * 60);
        refresh(&app, &token).await.is(INVALID_REFRESH_TOKEN);
    }

    #[tokio::test]
    async fn a_disabled_person_cannot_refresh_even_when_they_are_let_in_again() {
        let app = app();
        let ada = member(&app, ADA).await;
        let token = enter(&app, ADA).await["refresh_token"].clone();
        let etag = disable(&app, &ada).await.ok()["etag"].clone();
        refresh(&app, &token).await.is(INVALID_REFRESH_TOKEN);
        let (uri, body) = (format!("/v1/users/{ada}"), json!({ "state": "active" }));
        app.admin("root").patch(&uri, body, etag.as_str().unwrap()).await.ok();
        refresh(&app, &token).await.is(INVALID_REFRESH_TOKEN);
        enter(&app, ADA).await;
    }

    #[tokio::test]
    async fn what_a_person_may_do_holds_from_the_next_refresh_on() {
        let app = app();
        let ada = member(&app, ADA).await;
        let first = enter(&app, ADA).await;
        let (uri, body) = (format!("/v1/users/{ada}"), json!({ "roles": ["instructor"] }));
        app.admin("root").patch(&uri, body, "2").await.ok();
        let second = refresh(&app, &first["refresh_token"]).await.ok();
        let token = second["access_token"].as_str().unwrap();
        let claims = app.ports().verifier.check(token, app.now()).await.unwrap().unwrap();
        assert_eq!(claims.roles, [Role::Student, Role::Instructor]);
    }

    #[tokio::test]
    async fn the_same_key_does_not_bring_an_answer_back() {
        let app = app();
        member(&app, ADA).await;
        let body = json!({ "refresh_token": enter(&app, ADA).await["refresh_token"] });
        app.anyone().post_with_key("/v1/sessions/refresh", &body, "k1").await.ok();
        app.advance_seconds(11);
        let again = app.anyone().post_with_key("/v1/sessions/refresh", &body, "k1").await;
        again.is(INVALID_REFRESH_TOKEN);
    }

    #[tokio::test]
    async fn bad_fields_are_named() {
        let app = app();
        let cases: &[(Value, &str, &str)] = &[
            (json!({}), "refresh_token", "missing"),
            (json!({ "refresh_token": 1 }), "refresh_token", "wrong-type"),
            (json!({ "refresh_token": "" }), "refresh_token", "empty"),
            (json!({ "refresh_token": "x".repeat(257) }), "refresh_token", "too-long"),
            (json!({ "refresh_token": "x", "session_id": "s" }), "session_id", "unknown-field"),
        ];
        for (body, field, reason) in cases {
            app.anyone().post("/v1/sessions/refresh", body).await.blames(field, reason);
        }
    }
}
