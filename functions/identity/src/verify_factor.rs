//! `POST /v1/users/{user_id}/factors/{factor_id}/verify`

use contracts::identity::{FactorAdded, FactorKind, RecoveryCodeUsed, USER_NOT_FOUND};
use runtime::{
    prelude::*,
    problems::{FORBIDDEN, UNAUTHENTICATED},
};

use crate::{
    account::Credentials,
    device::Devices,
    factor::{self, FACTOR_NOT_FOUND, Factors, WRONG_FACTOR},
    guesses::Counted,
    opening,
    passkey::{PasskeyShown, Site, Verdict},
    password::ClaimedPassword,
    pending::{INVALID_PENDING_TOKEN, Pending},
    person::Person,
    session::Session,
    tokens::SignedIn,
};

/// Show a factor.
///
/// It does one of three things. For a factor that was just begun it's the proof
/// that the app has its secret: from then on signing in takes it, and with the
/// first one come recovery codes, told this one time. With the `pending_token`
/// of a sign-in it opens the session; `recovery` as the factor takes a recovery
/// code then. In an open session it shows once more that it's you, for what
/// can't be undone: by an app's code, or, for who has no factor, by `password` as
/// the factor. A code is good once; after five wrong ones each takes longer to wait for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyFactor {
    /// Whose; `me` for your own.
    user_id: UserId,
    /// Which; `recovery` for a recovery code, `password` for your password.
    factor_id: Line<1, 64>,
    /// The code of the app, or a recovery code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Line<1, 64>>,
    /// What the browser gives for a passkey: when it was made, or, with a `pending_token`, when it
    /// has signed the `challenge` that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passkey: Option<PasskeyShown>,
    /// Your password, for the factor `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<ClaimedPassword>,
    /// What `mfa-required` gave you, if you aren't signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_token: Option<Line<1, 200>>,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FactorOutcome")]
enum Outcome {
    /// The factor counts from now on.
    Added,
    /// You are signed in.
    SignedIn,
    /// What can't be undone can be done for five minutes.
    Elevated,
}

/// What has come of showing a factor.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct FactorVerified {
    /// What it was for.
    status: Outcome,
    /// If it's the first factor: each signs in once in place of one. They aren't told again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recovery_codes: Vec<String>,
    /// What a session's holder gets, if you weren't signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SignedIn>,
}

impl FactorVerified {
    const fn of(status: Outcome) -> Self {
        Self { status, recovery_codes: Vec::new(), session: None }
    }
}

impl Endpoint for VerifyFactor {
    const OPERATION: &'static str = "identity.verify_factor";
    const ROUTE: Route = Route::act("/v1/users/{user_id}/factors/{factor_id}/verify");
    const PROBLEMS: &'static [Problem] =
        &[USER_NOT_FOUND, FACTOR_NOT_FOUND, WRONG_FACTOR, INVALID_PENDING_TOKEN, FORBIDDEN];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const RATE: Rate = Rate::Strict;
    type Response = FactorVerified;
}

/// In place of a factor's id: a recovery code is shown.
const RECOVERY: &str = "recovery";
/// In place of a factor's id: the password is shown.
const PASSWORD: &str = "password";

pub async fn run(cx: Context<Anyone>, request: VerifyFactor) -> Result<FactorVerified> {
    if let Some(token) = &request.pending_token {
        return finish_signing_in(&cx, &request, token).await;
    }
    let caller = request.caller(&cx)?;
    let person = cx.get::<Person>(caller.id.as_str()).await?.filter(|it| it.is_active());
    let person = person.ok_or(USER_NOT_FOUND)?;
    let session = cx.get::<Session>(caller.session_id()).await?;
    let session = session.filter(|it| it.is_of(&person, cx.now)).ok_or(UNAUTHENTICATED)?;
    if &*request.factor_id == PASSWORD {
        return show_password(&cx, &request, &person, session).await;
    }
    let mut factors = Factors::of(&cx, &person.id).await?;
    let (_, was_verified) = factors.find(&request.factor_id, cx.now)?;
    if request.judge(&cx, &mut factors, None)? != Verdict::Right {
        return wrong(&cx, Changes::new().save(&factors)).await;
    }
    if was_verified {
        return elevate(&cx, session, Changes::new().save(&factors)).await;
    }
    added(&cx, &request, person, factors).await
}

impl VerifyFactor {
    /// Who asks, who must be whom the path names.
    fn caller(&self, cx: &Context<Anyone>) -> Result<User> {
        let caller = cx.caller.user.clone();
        match caller {
            Some(caller) if matches!(&self.user_id, id if id.as_str() == "me" || *id == caller.id) => {
                Ok(caller)
            }
            Some(_) => Err(FORBIDDEN.into()),
            // Who isn't signed in lacks the token that stands for it.
            None => {
                self.code()?;
                Err(UNAUTHENTICATED.into())
            }
        }
    }

    fn code(&self) -> Result<&str> {
        let mut faults = Faults::new();
        let (en, es) = ("it is required", "es obligatorio");
        faults.unless(self.code.is_some(), "code", "missing", en, es);
        faults.check()?;
        Ok(self.code.as_deref().unwrap_or_default())
    }

    /// Whether what is shown is right for its factor; for a passkey that counts, over a challenge.
    fn judge(
        &self,
        cx: &Context<Anyone>,
        factors: &mut Factors,
        challenge: Option<&str>,
    ) -> Result<Verdict> {
        let id = &*self.factor_id;
        let (secret, site) = (cx.secret(), Site::of(&cx.settings().public_url));
        let (kind, is_verified) = factors.find(id, cx.now)?;
        if kind == FactorKind::Totp {
            let code = self.code()?;
            factors.check(cx.now)?;
            return Ok(factors.show(id, code, secret, cx.now).into());
        }
        let mut faults = Faults::new();
        let (en, es) = ("it is required", "es obligatorio");
        faults.unless(self.passkey.is_some(), "passkey", "missing", en, es);
        faults.check()?;
        factors.check(cx.now)?;
        let shown = self.passkey.as_ref().ok_or(WRONG_FACTOR)?;
        match challenge {
            _ if !is_verified => Ok(factors.make(id, shown, secret, &site, cx.now).into()),
            Some(challenge) => Ok(factors.has_signed(id, shown, challenge, &site, cx.now)),
            // In a session there's nothing for it to sign; signing in again is as good.
            None => Err(FACTOR_NOT_FOUND.into()),
        }
    }

    fn claimed(&self) -> Result<ClaimedPassword> {
        let mut faults = Faults::new();
        let (en, es) = ("it is required for the factor password", "es obligatoria para password");
        faults.unless(self.password.is_some(), "password", "missing", en, es);
        faults.check()?;
        self.password.clone().ok_or_else(|| WRONG_FACTOR.into())
    }
}

/// The wrong code is counted before it's answered.
async fn wrong(cx: &Context<Anyone>, counted: Changes) -> Result<FactorVerified> {
    cx.commit_part(counted).await?;
    Err(WRONG_FACTOR.into())
}

async fn finish_signing_in(
    cx: &Context<Anyone>,
    request: &VerifyFactor,
    token: &str,
) -> Result<FactorVerified> {
    let pending = Pending::of(cx, token).await?;
    if request.user_id.as_str() != "me" && request.user_id != pending.user_id {
        return Err(INVALID_PENDING_TOKEN.into());
    }
    let person = cx.get::<Person>(pending.user_id.as_str()).await?;
    let person = person.filter(|it| pending.is_of(it)).ok_or(INVALID_PENDING_TOKEN)?;
    let mut factors = Factors::of(cx, &person.id).await?;

    let mut changes = Changes::new();
    let verdict = if &*request.factor_id == RECOVERY {
        let code = request.code()?;
        factors.check(cx.now)?;
        let right = factors.recover(code, cx.secret(), cx.now);
        let codes_left = u32::try_from(factors.recovery_left()).unwrap_or(u32::MAX);
        let (contact, used_at) = (person.contact(), cx.now);
        changes = changes.emit(&RecoveryCodeUsed { contact, codes_left, used_at });
        right.into()
    } else if let (_, true) = factors.find(&request.factor_id, cx.now)? {
        let challenge = pending.challenge(cx.secret());
        request.judge(cx, &mut factors, Some(&challenge))?
    } else {
        return Err(FACTOR_NOT_FOUND.into());
    };
    match (verdict, &request.passkey) {
        (Verdict::Right, _) => {}
        (Verdict::Copied, Some(shown)) => {
            let suspicion = factor::suspicion(&person, shown, cx.now);
            return wrong(cx, Changes::new().save(&factors).emit(&suspicion)).await;
        }
        _ => return wrong(cx, Changes::new().save(&factors)).await,
    }
    let devices = Devices::of(cx, person.id.as_str()).await?;
    let device_token = pending.device_token.as_deref();
    let (opened, signed_in) = opening::open(cx, &person, devices, device_token).await?;
    if let Some(claim) = &pending.claim {
        changes = changes.and(claim.link(cx, &person).await?);
    }
    let changes = changes.and(opened).save(&factors).delete(&pending);
    let verified =
        FactorVerified { session: Some(signed_in), ..FactorVerified::of(Outcome::SignedIn) };
    cx.answer(changes, verified).await
}

async fn show_password(
    cx: &Context<Anyone>,
    request: &VerifyFactor,
    person: &Person,
    session: Stored<Session>,
) -> Result<FactorVerified> {
    // Who has a factor shows that: a password alone doesn't open their account either.
    if factor::is_needed(person) {
        return Err(FACTOR_NOT_FOUND.into());
    }
    let claimed = request.claimed()?;
    let guesses = Counted::of(cx, &person.email, session.device_id()).await?;
    guesses.check(cx.now)?;
    let credentials = cx.get::<Credentials>(person.id.as_str()).await?;
    let password = credentials.as_ref().and_then(|it| it.password());
    if !claimed.is(password).await? {
        guesses.wrong(cx).await?;
        return Err(WRONG_FACTOR.into());
    }
    elevate(cx, session, guesses.right(Changes::new())).await
}

async fn elevate(
    cx: &Context<Anyone>,
    mut session: Stored<Session>,
    changes: Changes,
) -> Result<FactorVerified> {
    session.refreshen(cx.now);
    cx.answer(changes.save(&session), FactorVerified::of(Outcome::Elevated)).await
}

async fn added(
    cx: &Context<Anyone>,
    request: &VerifyFactor,
    mut person: Stored<Person>,
    mut factors: Stored<Factors>,
) -> Result<FactorVerified> {
    let recovery_codes = factors.confirm(&request.factor_id, cx.random(), cx.secret());
    person.show(factors.listed(), cx.now);
    let mut changes = Changes::new().save(&factors).save(&person);
    if let Some(added) = person.factors.iter().find(|it| it.id == *request.factor_id) {
        let (kind, name, added_at) = (added.kind, added.name.clone(), cx.now);
        changes = changes.emit(&FactorAdded { contact: person.contact(), kind, name, added_at });
    }
    let verified = FactorVerified { recovery_codes, ..FactorVerified::of(Outcome::Added) };
    cx.answer(changes, verified).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::PasskeySuspected;
    use runtime::problems::TOO_MANY_REQUESTS;
    use testing::{Answer, App, Value, json};

    use super::*;
    use crate::{
        fresh::REAUTHENTICATION_REQUIRED,
        passkey::software::Authenticator,
        pending::MFA_REQUIRED,
        tests::{OTHER, app, app_code, enter, holder, member, sign_in, with_factor},
    };

    const ADA: &str = "ada@example.org";

    /// What `mfa-required` says when someone signs in.
    async fn pending(app: &App) -> Value {
        let refused = sign_in(app, ADA, crate::tests::PASSWORD).await;
        refused.is(MFA_REQUIRED).body["errors"][0]["values"].clone()
    }

    async fn show(app: &App, pending: &Value, factor: &str, code: &str) -> Answer {
        let user_id = pending["user_id"].as_str().unwrap();
        let uri = format!("/v1/users/{user_id}/factors/{factor}/verify");
        let body = json!({ "code": code, "pending_token": pending["pending_token"] });
        app.anyone().post(&uri, body).await
    }

    #[tokio::test]
    async fn from_then_on_signing_in_takes_the_factor_too() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        assert_eq!(ada.recovery.len(), 10);
        let told = app.emitted::<FactorAdded>().await;
        assert_eq!((told.len(), told[0].name.as_str()), (1, "app"));
        let pending = pending(&app).await;
        assert_eq!(pending["factors"][0]["id"], ada.factor);
        app.advance_seconds(30);
        let answer = show(&app, &pending, &ada.factor, &app_code(&app, &ada)).await;
        let session = &answer.ok()["session"];
        holder(&app, session).get("/v1/users/me").await.ok();
        // The sign-in is finished.
        app.advance_seconds(30);
        let again = show(&app, &pending, &ada.factor, &app_code(&app, &ada)).await;
        again.is(INVALID_PENDING_TOKEN);
    }

    #[tokio::test]
    async fn a_wrong_password_does_not_tell_of_the_factor() {
        let app = app();
        with_factor(&app, ADA).await;
        sign_in(&app, ADA, OTHER).await.is(crate::sign_in::WRONG_CREDENTIALS);
    }

    #[tokio::test]
    async fn a_code_is_good_once() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let (one, other) = (pending(&app).await, pending(&app).await);
        app.advance_seconds(30);
        let code = app_code(&app, &ada);
        let (one, other) = tokio::join!(
            show(&app, &one, &ada.factor, &code),
            show(&app, &other, &ada.factor, &code)
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }

    #[tokio::test]
    async fn a_recovery_code_signs_in_once_and_its_owner_is_told() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let code = &ada.recovery[0];
        show(&app, &pending(&app).await, "recovery", code).await.ok();
        let told = app.emitted::<RecoveryCodeUsed>().await;
        assert_eq!((told.len(), told[0].codes_left), (1, 9));
        show(&app, &pending(&app).await, "recovery", code).await.is(WRONG_FACTOR);
        assert_eq!(app.emitted::<RecoveryCodeUsed>().await.len(), 1);
    }

    #[tokio::test]
    async fn codes_are_not_guessed_however_many_sign_ins_are_begun() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        for _ in 0..6 {
            let pending = pending(&app).await;
            show(&app, &pending, &ada.factor, "000000").await.is(WRONG_FACTOR);
        }
        let pending = pending(&app).await;
        let refused = show(&app, &pending, &ada.factor, "000000").await;
        refused.is(TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "2");
    }

    #[tokio::test]
    async fn a_sign_in_waits_five_minutes_for_its_factor_and_ends_with_the_sessions() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let late = pending(&app).await;
        app.advance_minutes(5);
        show(&app, &late, &ada.factor, &app_code(&app, &ada)).await.is(INVALID_PENDING_TOKEN);
        let ended = pending(&app).await;
        app.admin("root").delete(&format!("/v1/users/{}/sessions/-", ada.id)).await.ok();
        show(&app, &ended, &ada.factor, &app_code(&app, &ada)).await.is(INVALID_PENDING_TOKEN);
    }

    #[tokio::test]
    async fn a_pending_token_is_of_one_person_and_nobody_makes_one() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let pending = pending(&app).await;
        let mut eves = pending.clone();
        eves["user_id"] = json!("eve");
        app.advance_seconds(30);
        let code = app_code(&app, &ada);
        show(&app, &eves, &ada.factor, &code).await.is(INVALID_PENDING_TOKEN);
        let mut forged = pending.clone();
        forged["pending_token"] = json!("made.up");
        show(&app, &forged, &ada.factor, &code).await.is(INVALID_PENDING_TOKEN);
        show(&app, &pending, "another", &code).await.is(FACTOR_NOT_FOUND);
        show(&app, &pending, &ada.factor, &code).await.ok();
    }

    #[tokio::test]
    async fn in_a_session_a_factor_shows_once_more_that_it_is_them() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        app.advance_minutes(6);
        let holder = holder(&app, &ada.session);
        let export = "/v1/users/me/factors";
        holder.post(export, json!({})).await.is(REAUTHENTICATION_REQUIRED);
        let uri = format!("/v1/users/me/factors/{}/verify", ada.factor);
        let password = json!({ "password": crate::tests::PASSWORD });
        let by_password = holder.post("/v1/users/me/factors/password/verify", &password).await;
        by_password.is(FACTOR_NOT_FOUND);
        let shown = holder.post(&uri, json!({ "code": app_code(&app, &ada) })).await.ok();
        assert_eq!(shown["status"], "elevated");
        holder.post(export, json!({})).await.ok();
        app.advance_minutes(6);
        holder.post(export, json!({})).await.is(REAUTHENTICATION_REQUIRED);
    }

    #[tokio::test]
    async fn who_has_no_factor_shows_their_password_once_more() {
        let app = app();
        member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        app.advance_minutes(6);
        let ada = holder(&app, &ada);
        let uri = "/v1/users/me/factors/password/verify";
        ada.post(uri, json!({})).await.blames("password", "missing");
        ada.post(uri, json!({ "password": OTHER })).await.is(WRONG_FACTOR);
        ada.post("/v1/users/me/factors", json!({})).await.is(REAUTHENTICATION_REQUIRED);
        let shown = ada.post(uri, json!({ "password": crate::tests::PASSWORD })).await.ok();
        assert_eq!(shown, json!({ "status": "elevated" }));
        ada.post("/v1/users/me/factors", json!({})).await.ok();
    }

    async fn with_passkey(app: &App) -> (String, Authenticator) {
        member(app, ADA).await;
        let ada = enter(app, ADA).await;
        let ada = holder(app, &ada);
        let begun = ada.post("/v1/users/me/factors", json!({ "kind": "passkey" })).await.ok();
        assert_eq!(
            (begun.get("secret"), &begun["passkey"]["relying_party_id"]),
            (None, &json!("aula.example"))
        );
        let mut device = Authenticator::new();
        let uri = format!("/v1/users/me/factors/{}/verify", begun["id"].as_str().unwrap());
        ada.post(&uri, json!({ "code": "123456" })).await.blames("passkey", "missing");
        let other = json!({ "passkey": device.make("another challenge") });
        ada.post(&uri, other).await.is(WRONG_FACTOR);
        let made = device.make(begun["passkey"]["challenge"].as_str().unwrap());
        let added = ada.post(&uri, json!({ "passkey": made })).await.ok();
        assert_eq!(added["recovery_codes"].as_array().map(Vec::len), Some(10));
        (begun["id"].as_str().unwrap().to_owned(), device)
    }

    #[tokio::test]
    async fn a_passkey_is_a_factor_too() {
        let app = app();
        let (factor, mut device) = with_passkey(&app).await;
        let (one, other) = (pending(&app).await, pending(&app).await);
        assert_eq!(one["factors"][0]["kind"], "passkey");
        let sign_in = async |pending: &Value, passkey: Value| {
            let uri = format!("/v1/users/me/factors/{factor}/verify");
            let body = json!({ "passkey": passkey, "pending_token": pending["pending_token"] });
            app.anyone().post(&uri, body).await
        };
        let signed = device.sign(one["challenge"].as_str().unwrap());
        sign_in(&other, signed.clone()).await.is(WRONG_FACTOR);
        let session = sign_in(&one, signed.clone()).await.ok()["session"].clone();
        holder(&app, &session).get("/v1/users/me").await.ok();
        sign_in(&one, signed).await.is(INVALID_PENDING_TOKEN);
        let next = pending(&app).await;
        let mut anothers = device.sign(next["challenge"].as_str().unwrap());
        anothers["user_handle"] = json!("ZXZl");
        sign_in(&next, anothers).await.is(WRONG_FACTOR);
        device.count = 1;
        let behind = device.sign(next["challenge"].as_str().unwrap());
        sign_in(&next, behind).await.is(WRONG_FACTOR);
        let told = app.emitted::<PasskeySuspected>().await;
        assert_eq!((told.len(), told[0].name.as_str()), (1, "passkey"));
        let body = json!({ "passkey": device.sign("x") });
        let uri = format!("/v1/users/me/factors/{factor}/verify");
        holder(&app, &session).post(&uri, body).await.is(FACTOR_NOT_FOUND);
    }

    #[tokio::test]
    async fn nobody_shows_anothers_factor() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let uri = format!("/v1/users/{}/factors/{}/verify", ada.id, ada.factor);
        let code = json!({ "code": app_code(&app, &ada) });
        app.anyone().post(&uri, &code).await.is(UNAUTHENTICATED);
        app.user("eve").post(&uri, &code).await.is(FORBIDDEN);
        app.admin("root").post(&uri, &code).await.is(FORBIDDEN);
        app.anyone().post(&uri, json!({})).await.blames("code", "missing");
    }
}
