//! `POST /v1/sessions`

use contracts::Code;
use runtime::prelude::*;

use crate::{
    account::Account,
    email::Email,
    password::{ClaimedPassword, Hashed},
    session::Session,
    tokens::SignedIn,
};

/// Whoever they are, they aren't let in. Why, isn't told.
pub const WRONG_CREDENTIALS: Problem = Problem::new(
    Code::Unauthenticated,
    "wrong-credentials",
    "This address and this password don't let you in. Perhaps the address isn't verified yet.",
    "Esta dirección y esta contraseña no te dan acceso. Quizás la dirección aún no está verificada.",
);

/// Sign in.
///
/// A wrong password, an unknown address, one that isn't verified and a disabled
/// account get the same refusal, in the same time. The access token is good for
/// 15 minutes, the refresh token for 30 days after its session was last used.
/// The answer holds secrets, so it's never kept: repeating the request opens
/// another session, whatever its `Idempotency-Key`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The address that you registered with. Its case doesn't matter.
    email: Email,
    /// Your password.
    password: ClaimedPassword,
}

impl Endpoint for SignIn {
    const OPERATION: &'static str = "identity.sign_in";
    const ROUTE: Route = Route::create("/v1/sessions");
    const PROBLEMS: &'static [Problem] = &[WRONG_CREDENTIALS];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const RATE: Rate = Rate::Strict;
    type Response = SignedIn;
}

pub async fn run(cx: Context<Anyone>, request: SignIn) -> Result<SignedIn> {
    let account = Account::with(&cx, &request.email).await?;

    let password = account.as_ref().and_then(|it| it.credentials.password());
    let right = request.password.is(password).await?;
    let account = account.filter(|it| right && it.person.is_active()).ok_or(WRONG_CREDENTIALS)?;

    let Account { person, mut credentials } = account;
    let (id, token) = (cx.random().id(), cx.random().secret());
    let (session, token) = Session::open(id, token, &person, cx.secret(), cx.now);
    let mut changes = Changes::new().create(&session);
    let password_is_up_to_date = credentials.password().is_some_and(Hashed::is_up_to_date);
    if !password_is_up_to_date {
        credentials.upgrade(request.password.hash(cx.random()).await?);
        changes = changes.save(&credentials);
    }
    let signed_in = SignedIn::new(&cx, &person, &token).await?;
    cx.answer(changes, signed_in).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::Role;
    use runtime::token::{ACCESS_TOKEN_SECONDS, Claims};
    use testing::{App, Value, json};

    use super::*;
    use crate::{
        account::Credentials,
        tests::{OTHER, PASSWORD, app, disable, enter, member, register, sign_in},
    };

    const ADA: &str = "ada@example.org";

    async fn claims(app: &App, token: &Value) -> Claims {
        let token = token.as_str().expect("a token");
        let claims = app.ports().verifier.check(token, app.now()).await.unwrap();
        Claims::clone(&claims.expect("the platform takes its own token"))
    }

    #[tokio::test]
    async fn signing_in_gives_a_token_that_every_function_takes() {
        let app = app();
        let ada = member(&app, ADA).await;
        let answer = sign_in(&app, "Ada@Example.org", PASSWORD).await;
        let body = answer.ok();
        assert_eq!(answer.status, 201);
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!((&body["user"]["id"], &body["user"]["email"]), (&json!(ada), &json!(ADA)));
        assert_eq!(answer.header("cache-control"), "no-store");

        let claims = claims(&app, &body["access_token"]).await;
        let now = app.now().as_seconds();
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (App::PUBLIC_URL, App::PUBLIC_URL));
        assert_eq!((claims.sub, claims.roles), (ada, vec![Role::Student]));
        assert_eq!((claims.iat, claims.exp), (now, now + ACCESS_TOKEN_SECONDS));
        assert!(body["refresh_token"].as_str().unwrap().starts_with(&claims.sid));
        crate::tests::holder(&app, &body).get("/v1/users/me").await.ok();
    }

    #[tokio::test]
    async fn signing_in_costs_one_commit_and_three_reads() {
        let app = app();
        member(&app, ADA).await;
        let before = (app.commits(), app.reads());
        enter(&app, ADA).await;
        assert_eq!((app.commits() - before.0, app.reads() - before.1), (1, 3));
    }

    #[tokio::test]
    async fn whoever_is_not_let_in_cannot_tell_why() {
        let app = app();
        member(&app, ADA).await;
        register(&app, "new@example.org").await.ok();
        let bob = member(&app, "bob@example.org").await;
        disable(&app, &bob).await.ok();
        let refused = async |email: &str, password: &str| {
            let before = (app.commits(), app.reads());
            let answer = sign_in(&app, email, password).await;
            let mut body = answer.is(WRONG_CREDENTIALS).body.clone();
            body.as_object_mut().unwrap().remove("trace_id");
            assert_eq!((app.commits() - before.0, app.reads() - before.1), (0, 3));
            (body, answer.header("www-authenticate").to_owned())
        };
        let wrong = refused(ADA, OTHER).await;
        assert_eq!(refused("eve@example.org", PASSWORD).await, wrong);
        assert_eq!(refused("new@example.org", PASSWORD).await, wrong);
        assert_eq!(refused("bob@example.org", PASSWORD).await, wrong);
        assert_eq!(refused(ADA, "short").await, wrong);
    }

    #[tokio::test]
    async fn a_password_that_was_hashed_at_a_lower_cost_is_hashed_anew() {
        let app = app();
        let ada = member(&app, ADA).await;
        let cx = app.context();
        // "correct horse battery" at an eighth of the memory.
        let old: Hashed = crate::password::hash_cheaply(PASSWORD).await;
        let mut credentials = cx.get::<Credentials>(ada.as_str()).await.unwrap().unwrap();
        credentials.upgrade(old);
        cx.commit(Changes::new().save(&credentials)).await.unwrap();

        let before = app.commits();
        enter(&app, ADA).await;
        assert_eq!(app.commits() - before, 1);
        let credentials = cx.get::<Credentials>(ada.as_str()).await.unwrap().unwrap();
        assert!(credentials.password().unwrap().is_up_to_date());
        enter(&app, ADA).await;
        sign_in(&app, ADA, OTHER).await.is(WRONG_CREDENTIALS);
    }

    #[tokio::test]
    async fn each_sign_in_is_a_session_of_its_own_whatever_its_key() {
        let app = app();
        member(&app, ADA).await;
        let body = json!({ "email": ADA, "password": PASSWORD });
        let one = app.anyone().post_with_key("/v1/sessions", &body, "k1").await.ok();
        let other = app.anyone().post_with_key("/v1/sessions", &body, "k1").await.ok();
        assert_ne!(one["refresh_token"], other["refresh_token"]);
    }

    #[tokio::test]
    async fn bad_fields_are_named() {
        let app = app();
        let cases: &[(Value, &str, &str)] = &[
            (json!({}), "email", "missing"),
            (json!({ "email": ADA }), "password", "missing"),
            (json!({ "email": ADA, "password": "" }), "password", "empty"),
            (json!({ "email": ADA, "password": null }), "password", "wrong-type"),
            (json!({ "email": ADA, "password": "x".repeat(129) }), "password", "too-long"),
            (json!({ "email": "' or 1=1 --", "password": PASSWORD }), "email", "invalid-email"),
            (json!({ "email": { "$ne": "" }, "password": PASSWORD }), "email", "wrong-type"),
            (json!({ "email": ADA, "password": PASSWORD, "otp": "1" }), "otp", "unknown-field"),
        ];
        for (body, field, reason) in cases {
            app.anyone().post("/v1/sessions", body).await.blames(field, reason);
        }
    }
}
