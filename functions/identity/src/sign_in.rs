//! `POST /v1/sessions`

use contracts::Code;
use runtime::prelude::*;

use crate::{
    account::{Account, NOBODY},
    by_passkey,
    device::Devices,
    email::Email,
    factor,
    guesses::Counted,
    linking::{Claim, INVALID_LINK_TOKEN},
    opening,
    passkey::PasskeyShown,
    password::{ClaimedPassword, Hashed},
    pending::{INVALID_PENDING_TOKEN, MFA_REQUIRED, Pending},
    tokens::SignedIn,
};

/// Whoever they are, they aren't let in. Why, isn't told.
pub const WRONG_CREDENTIALS: Problem = Problem::new(
    Code::Unauthenticated,
    "wrong-credentials",
    "What you show doesn't let you in. Perhaps the address isn't verified yet, or the passkey was removed.",
    "Lo que muestras no te da acceso. Quizás la dirección aún no está verificada, o la llave de acceso se quitó.",
);

/// Sign in.
///
/// It takes `email` and `password`, or a `passkey` alone with the `pending_token`
/// of its challenge (`POST /v1/passkey-challenges`).
///
/// A wrong password, an unknown address, one that isn't verified and a disabled
/// account get the same refusal, in the same time; so does a passkey that isn't
/// right, isn't known or was removed. Whoever signs in by password and has a second factor
/// is refused with `mfa-required`, whose `values` have a `pending_token`, good
/// for five minutes, and the `factors`: verifying one of them with that token
/// signs in. A passkey needs no second factor: it's something that one has, and
/// its device has made sure who uses it. The access token is good for 15 minutes, the refresh token for 30
/// days after its session was last used. On a new device its owner is told by mail.
///
/// After five wrong passwords for an account from one network each takes longer
/// to wait for, up to 15 minutes (429, `Retry-After`). Other networks and
/// devices that the account was used on don't wait, nor does who shows a passkey; a
/// network that sends very many wrong ones of either does. The answer holds secrets,
/// so it's never kept: repeating the request opens another session, whatever its
/// `Idempotency-Key`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The address that you registered with. Its case doesn't matter. Without a `passkey` it's
    /// required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    /// Your password. Without a `passkey` it's required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<ClaimedPassword>,
    /// What the browser gives when your passkey has signed the `challenge`: in place of address
    /// and password, with `signature` and `user_handle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passkey: Option<PasskeyShown>,
    /// The `pending_token` that came with the `challenge`; with a `passkey` it's required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_token: Option<Line<1, 200>>,
    /// The `device_token` that you got when you last signed in on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_token: Option<Line<1, 200>>,
    /// The `link_token` that `prove-account` gave you: the account elsewhere is linked to yours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link_token: Option<Line<1, 2000>>,
}

impl Endpoint for SignIn {
    const OPERATION: &'static str = "identity.sign_in";
    const ROUTE: Route = Route::create("/v1/sessions");
    const PROBLEMS: &'static [Problem] =
        &[WRONG_CREDENTIALS, MFA_REQUIRED, INVALID_PENDING_TOKEN, INVALID_LINK_TOKEN];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const RATE: Rate = Rate::Strict;
    type Response = SignedIn;
}

/// What someone shows to be let in.
enum Shown<'a> {
    Password(&'a Email, &'a ClaimedPassword),
    Passkey(&'a PasskeyShown, &'a str),
}

impl SignIn {
    fn shown(&self) -> Result<Shown<'_>> {
        let by_password = self.email.is_some() || self.password.is_some();
        let by_passkey = self.passkey.is_some() || self.pending_token.is_some();
        let mut faults = Faults::new();
        let mut needs = |there: bool, field| {
            faults.unless(there, field, "missing", "it is required", "es obligatorio");
        };
        if by_passkey {
            needs(self.passkey.is_some(), "passkey");
            needs(self.pending_token.is_some(), "pending_token");
            let lacks = |part: fn(&PasskeyShown) -> bool| self.passkey.as_ref().is_some_and(part);
            needs(!lacks(|it| it.signature.is_none()), "passkey.signature");
            needs(!lacks(|it| it.user_handle.is_none()), "passkey.user_handle");
        } else {
            needs(self.email.is_some(), "email");
            needs(self.password.is_some(), "password");
        }
        let (en, es) = (
            "show an address and a password, or a passkey with its pending token, and not both",
            "muestra una dirección y una contraseña, o una llave de acceso con su token pendiente, y no ambas",
        );
        let field = if self.passkey.is_some() { "passkey" } else { "pending_token" };
        faults.unless(!(by_password && by_passkey), field, "exactly-one", en, es);
        faults.check()?;
        match (&self.email, &self.password, &self.passkey, &self.pending_token) {
            (_, _, Some(passkey), Some(token)) => Ok(Shown::Passkey(passkey, token)),
            (Some(email), Some(password), ..) => Ok(Shown::Password(email, password)),
            _ => unreachable!("it was refused"),
        }
    }
}

pub async fn run(cx: Context<Anyone>, request: SignIn) -> Result<SignedIn> {
    let shown = request.shown()?;
    let claim = request.link_token.as_ref().map(|it| Claim::read(&cx, it)).transpose()?;
    let device_token = request.device_token.as_deref();
    match shown {
        Shown::Password(email, password) => {
            by_password(&cx, email, password, device_token, claim).await
        }
        Shown::Passkey(passkey, token) => {
            by_passkey::let_in(&cx, passkey, token, device_token, claim).await
        }
    }
}

async fn by_password(
    cx: &Context<Anyone>,
    email: &Email,
    claimed: &ClaimedPassword,
    device_token: Option<&str>,
    claim: Option<Claim>,
) -> Result<SignedIn> {
    let account = Account::with(cx, email).await?;
    let user_id = account.as_ref().map_or(NOBODY, |it| it.person.id.as_str());
    let devices = Devices::of(cx, user_id).await?;
    let device_id = devices.holding(device_token, cx.secret());
    let guesses = Counted::of(cx, email, device_id).await?;
    guesses.check(cx.now)?;

    let password = account.as_ref().and_then(|it| it.credentials.password());
    let right = claimed.is(password).await?;
    let Some(account) = account.filter(|it| right && it.person.is_active()) else {
        guesses.wrong(cx).await?;
        return Err(WRONG_CREDENTIALS.into());
    };

    let Account { person, mut credentials } = account;
    let mut changes = Changes::new();
    let password_is_up_to_date = credentials.password().is_some_and(Hashed::is_up_to_date);
    if !password_is_up_to_date {
        credentials.upgrade(claimed.hash(cx.random()).await?);
    }
    // With a claim, too: a link outlives the session, so it's made only while the
    // password is still the one that was shown.
    if !password_is_up_to_date || claim.is_some() {
        changes = changes.save(&credentials);
    }
    if factor::is_needed(&person) {
        let device_token = device_token.map(str::to_owned);
        let pending = Pending::new(cx.random().id(), &person, device_token, claim, cx.now);
        cx.commit(changes.create(&pending)).await?;
        return Err(pending.refusal(&person.factors, cx.secret()).into());
    }
    if let Some(claim) = claim {
        changes = changes.and(claim.link(cx, &person).await?);
    }
    let (opened, signed_in) = opening::open(cx, &person, devices, device_token).await?;
    cx.answer(guesses.right(changes.and(opened)), signed_in).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::{DeviceAdded, Role};
    use runtime::{
        problems::TOO_MANY_REQUESTS,
        token::{ACCESS_TOKEN_SECONDS, Claims},
    };
    use testing::{Answer, App, Value, json};

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
    async fn signing_in_costs_one_commit_and_six_reads() {
        let app = app();
        member(&app, ADA).await;
        let before = (app.commits(), app.reads());
        enter(&app, ADA).await;
        assert_eq!((app.commits() - before.0, app.reads() - before.1), (1, 6));
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
            let work = (app.commits() - before.0, app.reads() - before.1);
            assert_eq!(work, (1, 6), "the guess is counted");
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

    async fn guess(app: &App, from: &str, password: &str, token: Option<&Value>) -> Answer {
        let mut body = json!({ "email": ADA, "password": password });
        if let Some(token) = token {
            body["device_token"] = token.clone();
        }
        app.anyone().at(from).post("/v1/sessions", body).await
    }

    #[tokio::test]
    async fn after_five_wrong_passwords_from_a_network_each_takes_longer() {
        let app = app();
        member(&app, ADA).await;
        for _ in 0..6 {
            guess(&app, "203.0.113.7", OTHER, None).await.is(WRONG_CREDENTIALS);
        }
        let refused = guess(&app, "203.0.113.99", PASSWORD, None).await;
        refused.is(TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "2");
        app.advance_seconds(2);
        guess(&app, "203.0.113.7", OTHER, None).await.is(WRONG_CREDENTIALS);
        app.advance_seconds(3);
        guess(&app, "203.0.113.7", PASSWORD, None).await.is(TOO_MANY_REQUESTS);
        app.advance_seconds(1);
        guess(&app, "203.0.113.7", PASSWORD, None).await.ok();
        for _ in 0..5 {
            guess(&app, "203.0.113.7", OTHER, None).await.is(WRONG_CREDENTIALS);
        }
        guess(&app, "203.0.113.7", PASSWORD, None).await.ok();
    }

    #[tokio::test]
    async fn a_stranger_elsewhere_locks_nobody_out() {
        let app = app();
        member(&app, ADA).await;
        for _ in 0..6 {
            guess(&app, "198.51.100.1", OTHER, None).await.is(WRONG_CREDENTIALS);
        }
        guess(&app, "198.51.100.1", OTHER, None).await.is(TOO_MANY_REQUESTS);
        guess(&app, "203.0.113.7", PASSWORD, None).await.ok();
    }

    #[tokio::test]
    async fn a_neighbor_does_not_lock_out_a_device_that_is_known() {
        let app = app();
        member(&app, ADA).await;
        let known = guess(&app, "203.0.113.7", PASSWORD, None).await.ok();
        for _ in 0..6 {
            guess(&app, "203.0.113.8", OTHER, None).await.is(WRONG_CREDENTIALS);
        }
        guess(&app, "203.0.113.7", PASSWORD, None).await.is(TOO_MANY_REQUESTS);
        let forged = json!("d1.made-up");
        guess(&app, "203.0.113.7", PASSWORD, Some(&forged)).await.is(TOO_MANY_REQUESTS);
        let token = Some(&known["device_token"]);
        guess(&app, "203.0.113.7", PASSWORD, token).await.ok();
        // It's no way around the limit.
        for _ in 0..6 {
            guess(&app, "203.0.113.7", OTHER, token).await.is(WRONG_CREDENTIALS);
        }
        guess(&app, "203.0.113.7", OTHER, token).await.is(TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn whether_there_is_an_account_the_limit_does_not_tell() {
        let app = app();
        member(&app, ADA).await;
        let tried = async |email: &str| {
            let mut statuses = Vec::new();
            for _ in 0..8 {
                let answer = sign_in(&app, email, OTHER).await;
                statuses.push((answer.status, answer.headers.get("retry-after").cloned()));
            }
            statuses
        };
        assert_eq!(tried(ADA).await, tried("nobody@example.org").await);
    }

    #[tokio::test]
    async fn guesses_that_come_at_once_are_all_counted() {
        let app = app();
        member(&app, ADA).await;
        let guesses = (0..12).map(|_| guess(&app, "203.0.113.7", OTHER, None));
        let answers = futures_util::future::join_all(guesses).await;
        let told = answers.iter().filter(|it| it.status == 401).count();
        assert!(told <= 6, "{told} were told");
        assert!(answers.iter().all(|it| matches!(it.status, 401 | 429)));
    }

    #[tokio::test]
    async fn a_new_device_is_told_by_mail_and_a_known_one_is_not() {
        let app = app();
        member(&app, ADA).await;
        let on = async |address: &str, agent: &str| {
            let body = json!({ "email": ADA, "password": PASSWORD });
            let who = app.anyone().at(address).with_header("user-agent", agent);
            who.post("/v1/sessions", body).await.ok()
        };
        let firefox = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0";
        on("203.0.113.7", firefox).await;
        on("203.0.113.8", firefox).await;
        assert!(
            app.emitted::<DeviceAdded>().await.is_empty(),
            "the first is where they registered"
        );
        let phone = on("2001:db8::1", "Mozilla/5.0 (iPhone) Version/18 Safari/604").await;
        on("2001:db8::2", "Mozilla/5.0 (iPhone) Version/19 Safari/605").await;
        let told = app.emitted::<DeviceAdded>().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].device, "Safari on iPhone");
        assert_eq!(told[0].network.as_deref(), Some("2001:db8::/48"));
        assert!(phone["refresh_token"].as_str().unwrap().starts_with(told[0].session_id.as_str()));

        let listed = crate::tests::holder(&app, &phone).get("/v1/users/me/sessions").await.ok();
        let devices: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|it| &it["device"]).collect();
        assert_eq!(devices.iter().filter(|it| **it == "Firefox on Linux").count(), 2);
        assert!(!listed.to_string().contains("203.0.113.7"));
    }

    #[tokio::test]
    async fn bad_fields_are_named() {
        let app = app();
        let cases: &[(Value, &str, &str)] = &[
            (json!({}), "email", "missing"),
            (json!({}), "password", "missing"),
            (json!({ "email": ADA }), "password", "missing"),
            (json!({ "password": PASSWORD }), "email", "missing"),
            (json!({ "email": ADA, "password": "" }), "password", "empty"),
            (json!({ "email": ADA, "password": null }), "password", "missing"),
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
