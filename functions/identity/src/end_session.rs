//! `DELETE /v1/users/{user_id}/sessions/{session_id}`

use contracts::identity::{SessionId, USER_NOT_FOUND};
use runtime::prelude::*;

use crate::{ending::end_all, person::Person, session::Session};

/// There's no such session, or it's another's.
pub const SESSION_NOT_FOUND: Problem = Problem::not_found(
    "session-not-found",
    "This person has no such session.",
    "Esta persona no tiene esa sesión.",
);

/// Sign out: end a session, or all of them.
///
/// Its refresh token is worth nothing from now on; its access token expires
/// within 15 minutes. Ending a session that has ended succeeds again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    /// Whose; `me` for your own.
    user_id: UserId,
    /// Which; `-` for all of them.
    session_id: SessionId,
}

impl Endpoint for EndSession {
    const OPERATION: &'static str = "identity.end_session";
    const ROUTE: Route = Route::delete("/v1/users/{user_id}/sessions/{session_id}");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND, SESSION_NOT_FOUND];
    type Response = ();
}

pub async fn run(cx: Context<User>, request: EndSession) -> Result<()> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let changes = match request.session_id.as_str() {
        "-" => {
            let person = cx.get::<Person>(user_id.as_str()).await?;
            let mut person = person.ok_or(USER_NOT_FOUND)?;
            let ended = end_all(&cx, &mut person).await?;
            ended.save(&person)
        }
        session_id => {
            let session = cx.get::<Session>(session_id).await?;
            let session = session.filter(|it| it.user_id == user_id);
            let mut session = session.ok_or(SESSION_NOT_FOUND)?;
            if session.end() { Changes::new().save(&session) } else { Changes::new() }
        }
    };
    cx.commit(changes).await
}

#[cfg(test)]
mod tests {
    use contracts::UserId;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, Value};

    use super::*;
    use crate::{
        refresh_session::INVALID_REFRESH_TOKEN,
        tests::{app, enter, holder, member, refresh},
    };

    const ADA: &str = "ada@example.org";

    /// Someone with a session, and where that is.
    async fn someone(app: &App, email: &str) -> (UserId, Value, String) {
        let id = member(app, email).await;
        let signed_in = enter(app, email).await;
        let token = signed_in["refresh_token"].as_str().unwrap();
        let session_id = token.split('.').next().unwrap().to_owned();
        (id, signed_in, session_id)
    }

    #[tokio::test]
    async fn a_session_that_is_ended_stays_ended_and_the_others_go_on() {
        let app = app();
        let (_, phone, session_id) = someone(&app, ADA).await;
        let laptop = enter(&app, ADA).await;
        let uri = format!("/v1/users/me/sessions/{session_id}");
        let answer = holder(&app, &laptop).delete(&uri).await;
        assert_eq!((answer.status, answer.body), (204, Value::Null));
        refresh(&app, &phone["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        refresh(&app, &laptop["refresh_token"]).await.ok();

        let before = app.commits();
        assert_eq!(holder(&app, &laptop).delete(&uri).await.status, 204);
        assert_eq!(app.commits(), before);
    }

    #[tokio::test]
    async fn a_person_signs_out_of_the_session_that_they_are_in() {
        let app = app();
        let (_, signed_in, session_id) = someone(&app, ADA).await;
        let uri = format!("/v1/users/me/sessions/{session_id}");
        holder(&app, &signed_in).delete(&uri).await.ok();
        refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
    }

    #[tokio::test]
    async fn all_sessions_end_at_once() {
        let app = app();
        let (_, phone, _) = someone(&app, ADA).await;
        let laptop = enter(&app, ADA).await;
        let before = app.commits();
        assert_eq!(holder(&app, &phone).delete("/v1/users/me/sessions/-").await.status, 204);
        assert_eq!(app.commits() - before, 1);
        for signed_in in [&phone, &laptop] {
            refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        }
        let listed = holder(&app, &phone).get("/v1/users/me/sessions").await.ok();
        assert_eq!(listed["items"], Value::Array(Vec::new()));
        assert_eq!(holder(&app, &phone).delete("/v1/users/me/sessions/-").await.status, 204);
        let again = enter(&app, ADA).await;
        refresh(&app, &again["refresh_token"]).await.ok();
    }

    #[tokio::test]
    async fn nobody_ends_anothers_session_but_an_admin() {
        let app = app();
        let (ada, signed_in, session_id) = someone(&app, ADA).await;
        let (_, eves, _) = someone(&app, "eve@example.org").await;
        let eve = holder(&app, &eves);
        for session in [session_id.as_str(), "-"] {
            let uri = format!("/v1/users/{ada}/sessions/{session}");
            app.anyone().delete(&uri).await.is(UNAUTHENTICATED);
            eve.delete(&uri).await.is(FORBIDDEN);
            app.instructor("ines").delete(&uri).await.is(FORBIDDEN);
        }
        let as_ones_own = format!("/v1/users/me/sessions/{session_id}");
        eve.delete(&as_ones_own).await.is(SESSION_NOT_FOUND);
        refresh(&app, &signed_in["refresh_token"]).await.ok();

        let uri = format!("/v1/users/{ada}/sessions/{session_id}");
        app.admin("root").delete(&uri).await.ok();
        refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        refresh(&app, &eves["refresh_token"]).await.ok();
    }

    #[tokio::test]
    async fn what_is_not_there_cannot_be_ended() {
        let app = app();
        let (_, signed_in, _) = someone(&app, ADA).await;
        let ada = holder(&app, &signed_in);
        ada.delete("/v1/users/me/sessions/made-up").await.is(SESSION_NOT_FOUND);
        ada.delete("/v1/users/me/sessions/a%2Fb").await.blames("session_id", "invalid-id");
        ada.delete("/v1/users/me/sessions/-?all=true").await.blames("all", "unknown-field");
        app.admin("root").delete("/v1/users/nobody-here/sessions/-").await.is(USER_NOT_FOUND);
        refresh(&app, &signed_in["refresh_token"]).await.ok();
    }
}
