//! `POST /v1/codes/redeem`

use contracts::identity::{ContactChanged, EmailChanged, PasswordChanged};
use runtime::{prelude::*, problems::UNAUTHENTICATED};

use crate::{
    account::{Account, Address},
    code::{Code, INVALID_CODE, Purpose},
    email::Email,
    ending::end_all,
    factor::{self, Factors},
    identity_link::IdentityLink,
    password::NewPassword,
    person::Person,
    session::Session,
};

/// Redeem a one-time code.
///
/// `verify_email` shows that the address is yours, so that you can sign in.
/// `reset_password` sets a new password, ends all your sessions, and shows that
/// the address is yours, too; your passkeys sign in alone again once you have shown
/// them with the new password. `change_email` moves your account to the address;
/// sign in with it from then on. A code that is wrong, too old, used, guessed at
/// too often or never sent gets the same refusal.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemCode {
    /// The address that the code was mailed to.
    email: Email,
    /// What the code is for.
    purpose: Purpose,
    /// The 8 digits. Spaces and hyphens between them don't matter.
    code: Line<1, 32>,
    /// The new password, 12 to 128 characters, none that is guessed first; for `reset_password` only, which requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<NewPassword>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Redeemed {
    /// What has happened.
    status: Outcome,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CodeOutcome")]
enum Outcome {
    /// The address is yours; you can sign in.
    EmailVerified,
    /// The new password is yours; you can sign in.
    PasswordChanged,
    /// The account is at the new address.
    EmailChanged,
}

impl Endpoint for RedeemCode {
    const OPERATION: &'static str = "identity.redeem_code";
    const ROUTE: Route = Route::act("/v1/codes/redeem");
    const PROBLEMS: &'static [Problem] = &[INVALID_CODE];
    const RATE: Rate = Rate::Strict;
    type Response = Redeemed;
}

pub async fn run(cx: Context<Anyone>, request: RedeemCode) -> Result<Redeemed> {
    // Before the code is looked at: a password that isn't taken costs no guess.
    let task = request.task()?;
    if matches!(task, Task::Move) {
        return change_email(cx, &request).await;
    }
    let account = Account::with(&cx, &request.email).await?;
    let mut code = Code::of(&cx, &request.email, request.purpose).await?;

    let right = code.redeem(&request.digits(), cx.secret(), cx.now);
    let account = account.filter(|it| right && it.person.may_have_codes());
    let Some(account) = account else {
        // The guess is counted before it's answered, whatever becomes of the answer.
        cx.commit_part(Changes::new().save(&code)).await?;
        return Err(refusal().into());
    };
    let (changes, status) = match task {
        Task::Verify | Task::Move => (verify(&cx, account), Outcome::EmailVerified),
        Task::Reset(password) => (reset(&cx, account, password).await?, Outcome::PasswordChanged),
    };
    cx.answer(changes.save(&code), Redeemed { status }).await
}

/// What a code is redeemed for.
enum Task {
    Verify,
    Reset(NewPassword),
    Move,
}

impl RedeemCode {
    /// What it's for, and the password that this takes.
    fn task(&self) -> Result<Task> {
        let mut faults = Faults::new();
        match (self.purpose, &self.password) {
            (Purpose::VerifyEmail, None) => return Ok(Task::Verify),
            (Purpose::ChangeEmail, None) => return Ok(Task::Move),
            (Purpose::ResetPassword, Some(password)) if password.tells(&self.email) => faults
                .unless(
                    false,
                    "password",
                    "contains-address",
                    "it contains your address, which is guessed first",
                    "contiene tu dirección, que es lo primero que se prueba",
                ),
            (Purpose::ResetPassword, Some(password)) => return Ok(Task::Reset(password.clone())),
            (Purpose::ResetPassword, None) => faults.unless(
                false,
                "password",
                "missing",
                "it is required to reset a password",
                "es obligatoria para restablecer la contraseña",
            ),
            (Purpose::VerifyEmail | Purpose::ChangeEmail, Some(_)) => faults.unless(
                false,
                "password",
                "not-taken",
                "only resetting the password takes one; leave it out",
                "solo restablecer la contraseña la requiere; omítela",
            ),
        }
        Err(faults.refuse(runtime::problems::INVALID_REQUEST).into())
    }

    /// The digits as the mail has them, however they were copied.
    fn digits(&self) -> String {
        self.code.chars().filter(|it| !it.is_whitespace() && *it != '-').collect()
    }
}

fn refusal() -> Refusal {
    let mut faults = Faults::new();
    let (en, es) = (
        "it isn't right, or no longer good; ask for a new one",
        "no es correcto o ya no vale; pide uno nuevo",
    );
    faults.unless(false, "code", INVALID_CODE.reason, en, es);
    faults.refuse(INVALID_CODE)
}

/// Moves the account of whoever asked for the code to its address.
async fn change_email(cx: Context<Anyone>, request: &RedeemCode) -> Result<Redeemed> {
    let caller = cx.caller.user.clone().ok_or(UNAUTHENTICATED)?;
    let mut code = Code::of(&cx, &request.email, Purpose::ChangeEmail).await?;
    let taken = Address::find(&cx, &request.email).await?.is_some();
    let person = cx.get::<Person>(caller.id.as_str()).await?.filter(|it| it.is_active());
    let session = cx.get::<Session>(caller.session_id()).await?;
    // A token goes on for minutes after its session was ended; this doesn't.
    let lives = |person: &Person| session.is_some_and(|it| it.is_of(person, cx.now));
    let person = Some(person.filter(|it| lives(it)).ok_or(UNAUTHENTICATED)?);

    let right = code.redeem(&request.digits(), cx.secret(), cx.now);
    let is_theirs = code.mover.as_ref() == Some(&caller.id);
    let Some(mut person) = person.filter(|_| right && is_theirs && !taken) else {
        cx.commit_part(Changes::new().save(&code)).await?;
        return Err(refusal().into());
    };
    let old = Address::find(&cx, &person.email).await?;
    let old_email = person.move_to(request.email.clone(), cx.now).as_str().to_owned();
    let changes = Changes::new().create(&Address::of(&person)).save(&person).save(&code);
    // Whoever registers with the old address from now on begins anew.
    let changes = old.iter().fold(changes, Changes::delete);
    let (contact, changed_at) = (person.contact(), cx.now);
    let changes = changes
        .emit(&EmailChanged { contact: contact.clone(), old_email, changed_at })
        .emit(&ContactChanged { contact });
    cx.answer(changes, Redeemed { status: Outcome::EmailChanged }).await
}

/// The most accounts elsewhere that are let go at once: nobody has so many.
const LINKS: u32 = 100;

/// The address is its owner's.
fn verify(cx: &Context<Anyone>, account: Account) -> Changes {
    let mut person = account.person;
    if !person.verify(cx.settings().admin_email.as_deref(), cx.now) {
        return Changes::new();
    }
    Changes::new().save(&person).emit(&ContactChanged { contact: person.contact() })
}

/// The address is its owner's, who takes another password; whoever was in with
/// the old one is out, by the accounts elsewhere that they have linked and the
/// passkeys that they have added, too. An account elsewhere with the same address
/// is linked again at its next sign-in; a passkey lets in alone again once it was
/// shown with the new password.
async fn reset(cx: &Context<Anyone>, account: Account, password: NewPassword) -> Result<Changes> {
    let Account { mut person, mut credentials } = account;
    let password = password.hash(cx.random()).await?;
    credentials.change(password, cx.now);
    let is_new = person.verify(cx.settings().admin_email.as_deref(), cx.now);
    let ended = end_all(cx, &mut person).await?;
    let (contact, changed_at) = (person.contact(), cx.now);
    let changes = Changes::new().save(&person).save(&credentials).and(ended);
    let links = IdentityLink::all_of(&person.id).limit(LINKS);
    let changes = cx.query::<IdentityLink>(&links).await?.0.iter().fold(changes, Changes::delete);
    let mut changes = changes.emit(&PasswordChanged { contact: contact.clone(), changed_at });
    if factor::is_needed(&person) {
        let mut factors = Factors::of(cx, &person.id).await?;
        factors.distrust_passkeys();
        changes = changes.save(&factors);
    }
    Ok(if is_new { changes.emit(&ContactChanged { contact }) } else { changes })
}

#[cfg(test)]
mod tests {
    use contracts::identity::{CodeRequested, EmailChangeRequested};
    use futures_util::future::join_all;
    use testing::{Answer, App, As, Value, json};

    use super::*;
    use crate::{
        factor::WRONG_FACTOR,
        pending::MFA_REQUIRED,
        refresh_session::INVALID_REFRESH_TOKEN,
        sign_in::WRONG_CREDENTIALS,
        tests::{
            OTHER, PASSWORD, add_passkey, app, ask, code, disable, enter, holder, member, person,
            refresh, register, reset, sign_in, sign_in_by, verify, wrong,
        },
    };

    const ADA: &str = "ada@example.org";

    async fn asked_to_reset(app: &App) -> String {
        ask(app, ADA, "reset_password").await.ok();
        code(app).await
    }

    /// A refusal without what is of this request alone.
    fn gist(answer: &Answer) -> Value {
        let mut body = answer.is(INVALID_CODE).body.clone();
        body.as_object_mut().unwrap().remove("trace_id");
        body
    }

    #[tokio::test]
    async fn a_code_verifies_an_address() {
        let app = app();
        register(&app, ADA).await.ok();
        let before = app.commits();
        let answer = verify(&app, "ADA@example.org", &code(&app).await).await;
        assert_eq!((answer.status, answer.body), (200, json!({ "status": "email_verified" })));
        assert_eq!(app.commits() - before, 1);
        let told = app.emitted::<ContactChanged>().await.pop().unwrap();
        assert_eq!((told.contact.email.as_str(), told.contact.revision), (ADA, 2));
    }

    #[tokio::test]
    async fn a_code_may_be_copied_with_spaces() {
        let app = app();
        register(&app, ADA).await.ok();
        let code = code(&app).await;
        verify(&app, ADA, &format!(" {} - {} ", &code[..4], &code[4..])).await.ok();
    }

    #[tokio::test]
    async fn a_reset_takes_another_password_and_ends_all_sessions() {
        let app = app();
        member(&app, ADA).await;
        let (one, other) = (enter(&app, ADA).await, enter(&app, ADA).await);
        let code = asked_to_reset(&app).await;
        let answer = reset(&app, ADA, &code, OTHER).await;
        assert_eq!((answer.status, answer.body), (200, json!({ "status": "password_changed" })));
        for signed_in in [one, other] {
            refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        }
        sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        sign_in(&app, ADA, OTHER).await.ok();
        let told = app.emitted::<PasswordChanged>().await;
        assert_eq!((told.len(), told[0].changed_at), (1, app.now()));
    }

    #[tokio::test]
    async fn a_reset_lets_go_of_accounts_elsewhere() {
        let app = app();
        let id = member(&app, ADA).await;
        let link = IdentityLink::new("https://other.example", "mallory", &id, app.now());
        let cx = app.context();
        cx.commit(Changes::new().create(&link)).await.expect("nothing was there");
        let code = asked_to_reset(&app).await;
        reset(&app, ADA, &code, OTHER).await.ok();
        let (links, _) = cx.query::<IdentityLink>(&IdentityLink::all_of(&id)).await.unwrap();
        assert!(links.is_empty(), "whoever linked it is out");
    }

    #[tokio::test]
    async fn after_a_reset_a_passkey_lets_in_alone_once_it_was_shown_with_the_new_password() {
        let app = app();
        member(&app, ADA).await;
        let session = enter(&app, ADA).await;
        let (factor, mut device) = add_passkey(&app, &session).await;
        let code = asked_to_reset(&app).await;
        reset(&app, ADA, &code, OTHER).await.ok();
        sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
        let refused = sign_in(&app, ADA, OTHER).await;
        let pending = refused.is(MFA_REQUIRED).body["errors"][0]["values"].clone();
        let uri = format!("/v1/users/me/factors/{factor}/verify");
        let show = |passkey: Value| json!({ "passkey": passkey, "pending_token": pending["pending_token"] });
        let wrong = show(device.sign("another challenge"));
        app.anyone().post(&uri, wrong).await.is(WRONG_FACTOR);
        sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
        let right = show(device.sign(pending["challenge"].as_str().unwrap()));
        app.anyone().post(&uri, right).await.ok();
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn a_reset_ends_the_session_that_is_just_being_opened() {
        let app = app();
        member(&app, ADA).await;
        let code = asked_to_reset(&app).await;
        // Both hash a password; whichever commits first, no session of the old one lives on.
        let (session, answer) =
            tokio::join!(sign_in(&app, ADA, PASSWORD), reset(&app, ADA, &code, OTHER));
        answer.ok();
        if session.status == 201 {
            refresh(&app, &session.body["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        } else {
            session.is(WRONG_CREDENTIALS);
        }
    }

    #[tokio::test]
    async fn a_reset_shows_that_an_address_is_ones_own() {
        let app = app();
        register(&app, ADA).await.ok();
        let code = asked_to_reset(&app).await;
        reset(&app, ADA, &code, OTHER).await.ok();
        sign_in(&app, ADA, OTHER).await.ok();
        assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
    }

    #[tokio::test]
    async fn every_refusal_is_the_same() {
        let app = app();
        register(&app, ADA).await.ok();
        let right = code(&app).await;
        let wrong_code = gist(&verify(&app, ADA, &wrong(&right)).await);
        let other_purpose = gist(&reset(&app, ADA, &right, OTHER).await);
        let unknown = gist(&verify(&app, "eve@example.org", &right).await);
        ask(&app, "eve@example.org", "verify_email").await.ok();
        let strangers = gist(&verify(&app, "eve@example.org", &right).await);
        let no_digits = gist(&verify(&app, ADA, "let me in").await);
        app.advance_minutes(15);
        let expired = gist(&verify(&app, ADA, &right).await);
        ask(&app, ADA, "verify_email").await.ok();
        let right = code(&app).await;
        verify(&app, ADA, &right).await.ok();
        let used = gist(&verify(&app, ADA, &right).await);
        for refusal in [other_purpose, unknown, strangers, no_digits, expired, used] {
            assert_eq!(refusal, wrong_code);
        }
        assert_eq!(wrong_code["errors"][0]["field"], "code");
    }

    #[tokio::test]
    async fn every_refusal_is_the_same_work() {
        let app = app();
        register(&app, ADA).await.ok();
        let right = code(&app).await;
        let work = async |email: &str, code: &str| {
            let before = (app.commits(), app.reads());
            let body = json!({ "email": email, "purpose": "verify_email", "code": code });
            let answer = app.anyone().post_without_key("/v1/codes/redeem", body).await;
            answer.is(INVALID_CODE);
            (app.commits() - before.0, app.reads() - before.1)
        };
        let wrong_code = work(ADA, &wrong(&right)).await;
        assert_eq!(wrong_code.0, 1, "the guess is counted");
        assert_eq!(work("eve@example.org", &right).await, wrong_code);
        assert_eq!(work("eve@example.org", &right).await, wrong_code);
        verify(&app, ADA, &right).await.ok();
        assert_eq!(work(ADA, &right).await, wrong_code);
    }

    #[tokio::test]
    async fn five_wrong_guesses_use_a_code_up_though_they_come_at_once() {
        let app = app();
        register(&app, ADA).await.ok();
        let right = code(&app).await;
        let guesses = [1, 2, 3, 4, 5].map(|_| wrong(&right));
        for answer in join_all(guesses.iter().map(|guess| verify(&app, ADA, guess))).await {
            answer.is(INVALID_CODE);
        }
        verify(&app, ADA, &right).await.is(INVALID_CODE);
        ask(&app, ADA, "verify_email").await.ok();
        verify(&app, ADA, &code(&app).await).await.ok();
    }

    #[tokio::test]
    async fn the_fifth_guess_may_be_right() {
        let app = app();
        register(&app, ADA).await.ok();
        let right = code(&app).await;
        for _ in 0..4 {
            verify(&app, ADA, &wrong(&right)).await.is(INVALID_CODE);
        }
        verify(&app, ADA, &right).await.ok();
    }

    #[tokio::test]
    async fn of_two_who_redeem_a_code_at_once_one_wins() {
        let app = app();
        member(&app, ADA).await;
        let code = asked_to_reset(&app).await;
        let (one, other) = tokio::join!(
            reset(&app, ADA, &code, "the first password"),
            reset(&app, ADA, &code, "the second password")
        );
        let (won, lost, password) = if one.status == 200 {
            (one, other, "the first password")
        } else {
            (other, one, "the second password")
        };
        won.ok();
        lost.is(INVALID_CODE);
        sign_in(&app, ADA, password).await.ok();
        assert_eq!(app.emitted::<PasswordChanged>().await.len(), 1);
    }

    #[tokio::test]
    async fn a_password_that_is_not_taken_costs_no_guess() {
        let app = app();
        member(&app, ADA).await;
        let code = asked_to_reset(&app).await;
        for _ in 0..6 {
            reset(&app, ADA, &code, "too short").await.blames("password", "too-short");
            let body = json!({ "email": ADA, "purpose": "reset_password", "code": code });
            let answer = app.anyone().post("/v1/codes/redeem", body).await;
            answer.blames("password", "missing");
        }
        reset(&app, ADA, &code, OTHER).await.ok();
    }

    #[tokio::test]
    async fn a_lost_answer_is_given_again_by_its_key() {
        let app = app();
        register(&app, ADA).await.ok();
        let code = code(&app).await;
        let body = json!({ "email": ADA, "purpose": "verify_email", "code": code });
        for _ in 0..2 {
            app.anyone().post_with_key("/v1/codes/redeem", &body, "k1").await.ok();
        }
        let mut wrong_body = body;
        wrong_body["code"] = json!(wrong(&code));
        for _ in 0..2 {
            let answer = app.anyone().post_with_key("/v1/codes/redeem", &wrong_body, "k2").await;
            answer.is(INVALID_CODE);
        }
    }

    #[tokio::test]
    async fn a_code_that_was_sent_before_does_not_let_a_disabled_person_in() {
        let app = app();
        let ada = member(&app, ADA).await;
        let code = asked_to_reset(&app).await;
        disable(&app, &ada).await.ok();
        reset(&app, ADA, &code, OTHER).await.is(INVALID_CODE);
        assert!(!person(&app, ADA).await.is_active());
        assert!(app.emitted::<PasswordChanged>().await.is_empty());
    }

    #[tokio::test]
    async fn verifying_again_changes_nothing() {
        let app = app();
        member(&app, ADA).await;
        let before = person(&app, ADA).await.etag();
        ask(&app, ADA, "verify_email").await.ok();
        verify(&app, ADA, &code(&app).await).await.ok();
        assert_eq!(person(&app, ADA).await.etag(), before);
        assert_eq!(app.emitted::<CodeRequested>().await.len(), 2);
        assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
    }

    /// Someone who wants another address, and the code that was mailed there.
    async fn moving(app: &App, email: &str) -> (Value, String) {
        member(app, ADA).await;
        let ada = enter(app, ADA).await;
        let body = json!({ "email": email, "purpose": "change_email" });
        holder(app, &ada).post("/v1/codes", body).await.ok();
        let sent = app.emitted::<EmailChangeRequested>().await.pop().unwrap();
        (ada, app.context().secret().code(&sent.code_id))
    }

    async fn arrive(caller: As<'_>, email: &str, code: &str) -> Answer {
        let body = json!({ "email": email, "purpose": "change_email", "code": code });
        caller.post("/v1/codes/redeem", body).await
    }

    #[tokio::test]
    async fn an_account_moves_to_the_address_and_the_old_one_is_told() {
        let app = app();
        let (ada, code) = moving(&app, "ada@new.example").await;
        let before = app.commits();
        let answer = arrive(holder(&app, &ada), "ada@new.example", &code).await;
        assert_eq!((answer.status, answer.body), (200, json!({ "status": "email_changed" })));
        assert_eq!(app.commits() - before, 1);
        sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        enter(&app, "ada@new.example").await;
        let told = app.emitted::<EmailChanged>().await.pop().unwrap();
        assert_eq!(
            (told.old_email.as_str(), told.contact.email.as_str()),
            (ADA, "ada@new.example")
        );
        let told = app.emitted::<ContactChanged>().await.pop().unwrap();
        assert_eq!(told.contact.email, "ada@new.example");

        // The old address is free, and leads nowhere near the account.
        ask(&app, ADA, "reset_password").await.ok();
        register(&app, ADA).await.ok();
        assert_ne!(person(&app, ADA).await.id, person(&app, "ada@new.example").await.id);
    }

    #[tokio::test]
    async fn an_account_is_moved_by_its_owner_alone() {
        let app = app();
        let (ada, code) = moving(&app, "ada@new.example").await;
        member(&app, "eve@example.org").await;
        let eve = enter(&app, "eve@example.org").await;
        arrive(app.anyone(), "ada@new.example", &code).await.is(UNAUTHENTICATED);
        arrive(holder(&app, &eve), "ada@new.example", &code).await.is(INVALID_CODE);
        arrive(holder(&app, &ada), "ada@other.example", &code).await.is(INVALID_CODE);
        assert_eq!(person(&app, ADA).await.email.as_str(), ADA);
    }

    #[tokio::test]
    async fn whose_session_was_ended_moves_nothing_though_their_token_still_holds() {
        let app = app();
        let (thief, moved) = moving(&app, "thief@example.org").await;
        ask(&app, ADA, "reset_password").await.ok();
        reset(&app, ADA, &code(&app).await, OTHER).await.ok();
        let refused = arrive(holder(&app, &thief), "thief@example.org", &moved).await;
        refused.is(UNAUTHENTICATED);
        sign_in(&app, ADA, OTHER).await.ok();
    }

    #[tokio::test]
    async fn an_address_that_someone_registers_with_meanwhile_is_not_taken_from_them() {
        let app = app();
        let (ada, code) = moving(&app, "ada@new.example").await;
        register(&app, "ada@new.example").await.ok();
        arrive(holder(&app, &ada), "ada@new.example", &code).await.is(INVALID_CODE);
        enter(&app, ADA).await;
    }

    #[tokio::test]
    async fn of_two_who_move_to_one_address_one_gets_there() {
        let app = app();
        let (ada, code) = moving(&app, "new@example.org").await;
        let (one, other) = tokio::join!(
            arrive(holder(&app, &ada), "new@example.org", &code),
            register(&app, "new@example.org")
        );
        assert_eq!(other.status, 202);
        let moved = person(&app, "new@example.org").await.is_active();
        assert_eq!(one.status == 200, moved);
    }

    #[tokio::test]
    async fn bad_fields_are_named_and_nothing_changes() {
        let app = app();
        let good = || json!({ "email": ADA, "purpose": "verify_email", "code": "12345678" });
        let cases: &[(&str, Value, &str)] = &[
            ("email", json!("@"), "invalid-email"),
            ("purpose", json!("sign_in"), "unknown-value"),
            ("code", json!(12_345_678), "wrong-type"),
            ("code", json!(""), "empty"),
            ("code", json!("1".repeat(33)), "too-long"),
            ("code", json!("1234\n5678"), "invalid-characters"),
            ("password", json!(OTHER), "not-taken"),
            ("code_id", json!("c1"), "unknown-field"),
        ];
        for (field, value, reason) in cases {
            let mut body = good();
            body[field] = value.clone();
            let answer = app.anyone().post_without_key("/v1/codes/redeem", body).await;
            answer.blames(field, reason);
        }
        for field in ["email", "purpose", "code"] {
            let mut body = good();
            body.as_object_mut().unwrap().remove(field);
            let answer = app.anyone().post_without_key("/v1/codes/redeem", body).await;
            answer.blames(field, "missing");
        }
        assert_eq!(app.commits(), 0);
    }
}
