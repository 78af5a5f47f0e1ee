//! Signing in by a passkey alone.
//!
//! It says whose it is by itself, so nobody is named before; and that its person
//! was there and known to their device, by a finger or a PIN, makes it two factors
//! in one. Whatever is wrong gets the same refusal as a wrong password.

use runtime::prelude::*;

use crate::{
    account::NOBODY,
    challenge::Challenge,
    device::Devices,
    factor::{self, Factors},
    guesses::Counted,
    linking::Claim,
    opening,
    passkey::{PasskeyShown, Site, Verdict},
    person::Person,
    sign_in::WRONG_CREDENTIALS,
    tokens::SignedIn,
};

/// Lets in whoever shows a passkey that has signed the challenge of this token.
pub async fn let_in(
    cx: &Context<Anyone>,
    shown: &PasskeyShown,
    pending_token: &str,
    device_token: Option<&str>,
    claim: Option<Claim>,
) -> Result<SignedIn> {
    let challenge = Challenge::of(cx, pending_token).await?;
    let guesses = Counted::of_network(cx).await?;
    guesses.check(cx.now)?;
    let user_id = shown.user_id().unwrap_or_else(|| NOBODY.into());
    let (person, mut factors, devices) = tokio::try_join!(
        cx.get::<Person>(user_id.as_str()),
        Factors::of(cx, &user_id),
        Devices::of(cx, user_id.as_str()),
    )?;

    let site = Site::of(&cx.settings().public_url);
    let verdict = factors.let_in(shown, &challenge.text(cx.secret()), &site);
    let answered = Changes::new().create(&challenge.answered());
    let person = match (person.filter(|it| it.is_active()), verdict) {
        (Some(person), Verdict::Right) => person,
        (Some(person), Verdict::Copied) => {
            let suspicion = factor::suspicion(&person, shown, cx.now);
            return refused(cx, answered.emit(&suspicion), guesses).await;
        }
        _ => return refused(cx, answered, guesses).await,
    };
    // Saved though it may be as it was: a passkey that is just being removed lets nobody in.
    let mut changes = answered.save(&factors);
    if let Some(claim) = claim {
        changes = changes.and(claim.link(cx, &person).await?);
    }
    let (opened, signed_in) = opening::open(cx, &person, devices, device_token).await?;
    cx.answer(changes.and(opened), signed_in).await
}

/// An answer that was wrong can't be tried again, and is counted, before that's told.
async fn refused(cx: &Context<Anyone>, answered: Changes, guesses: Counted) -> Result<SignedIn> {
    cx.commit_part(answered).await?;
    guesses.wrong(cx).await?;
    Err(WRONG_CREDENTIALS.into())
}

#[cfg(test)]
mod tests {
    use contracts::identity::{DeviceAdded, PasskeySuspected};
    use runtime::problems::TOO_MANY_REQUESTS;
    use testing::{Answer, App, Value, json};

    use super::*;
    use crate::{
        identity_link::IdentityLink,
        passkey::software::Authenticator,
        pending::{INVALID_PENDING_TOKEN, MFA_REQUIRED},
        person::State,
        provider::Vouched,
        tests::{
            OTHER, PASSWORD, add_passkey, app, challenge, disable, enter, holder, member, person,
            sign_in, sign_in_by, with_factor,
        },
    };

    const ADA: &str = "ada@example.org";

    /// Someone who has a passkey.
    async fn with_passkey(app: &App, email: &str) -> (UserId, Authenticator, String) {
        let id = member(app, email).await;
        let session = enter(app, email).await;
        let (factor, device) = add_passkey(app, &session).await;
        (id, device, factor)
    }

    /// What a device has signed, sent with the token of a challenge.
    async fn answer(app: &App, challenge: &Value, passkey: Value) -> Answer {
        let body = json!({ "passkey": passkey, "pending_token": challenge["pending_token"] });
        app.anyone().post("/v1/sessions", body).await
    }

    fn text(challenge: &Value) -> &str {
        challenge["challenge"].as_str().expect("a challenge")
    }

    #[tokio::test]
    async fn a_passkey_opens_a_session_by_itself() {
        let app = app();
        let (ada, mut device, _) = with_passkey(&app, ADA).await;
        sign_in(&app, ADA, PASSWORD).await.is(MFA_REQUIRED);
        let signed_in = sign_in_by(&app, &mut device).await;
        let session = signed_in.ok();
        assert_eq!((signed_in.status, signed_in.header("cache-control")), (201, "no-store"));
        assert_eq!(session["user"]["id"], json!(ada));
        holder(&app, &session).get("/v1/users/me").await.ok();
        // It has shown who they are, for what can't be undone too.
        holder(&app, &session).post("/v1/users/me/factors", json!({})).await.ok();
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn signing_in_by_a_passkey_costs_one_commit_and_five_reads() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let before = (app.commits(), app.reads());
        sign_in_by(&app, &mut device).await.ok();
        assert_eq!((app.commits() - before.0, app.reads() - before.1), (1, 5));
    }

    #[tokio::test]
    async fn whoever_has_an_authenticator_app_too_is_not_asked_for_its_code() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let (_, mut device) = add_passkey(&app, &ada.session).await;
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn an_answer_is_good_once() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let asked = challenge(&app).await;
        let signed = device.sign(text(&asked));
        answer(&app, &asked, signed.clone()).await.ok();
        answer(&app, &asked, signed.clone()).await.is(INVALID_PENDING_TOKEN);
        let newer = device.sign(text(&asked));
        answer(&app, &asked, newer).await.is(INVALID_PENDING_TOKEN);
        let next = challenge(&app).await;
        answer(&app, &next, signed).await.is(WRONG_CREDENTIALS);
        assert!(app.emitted::<PasskeySuspected>().await.is_empty());
    }

    #[tokio::test]
    async fn of_two_answers_at_once_one_is_taken() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let asked = challenge(&app).await;
        let signed = device.sign(text(&asked));
        let (one, other) = tokio::join!(
            answer(&app, &asked, signed.clone()),
            answer(&app, &asked, signed.clone())
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 401]);
    }

    #[tokio::test]
    async fn after_a_wrong_answer_a_challenge_is_used_up() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let asked = challenge(&app).await;
        answer(&app, &asked, device.sign("another")).await.is(WRONG_CREDENTIALS);
        let right = device.sign(text(&asked));
        answer(&app, &asked, right).await.is(INVALID_PENDING_TOKEN);
    }

    #[tokio::test]
    async fn a_challenge_waits_five_minutes() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let (one, other) = (challenge(&app).await, challenge(&app).await);
        app.advance_seconds(299);
        answer(&app, &one, device.sign(text(&one))).await.ok();
        app.advance_seconds(1);
        answer(&app, &other, device.sign(text(&other))).await.is(INVALID_PENDING_TOKEN);
        // What was answered is remembered as long as it could be shown again, and no longer.
        assert!(app.everything().contains("answered_challenges/"));
        app.drop_expired().await;
        assert!(!app.everything().contains("answered_challenges/"));
    }

    #[tokio::test]
    async fn a_challenge_is_answered_by_who_holds_its_token() {
        let app = app();
        let (_, mut device, factor) = with_passkey(&app, ADA).await;
        let (one, other) = (challenge(&app).await, challenge(&app).await);
        answer(&app, &other, device.sign(text(&one))).await.is(WRONG_CREDENTIALS);
        for token in ["x", "made.up", text(&one)] {
            let made_up = json!({ "pending_token": token });
            answer(&app, &made_up, device.sign(text(&one))).await.is(INVALID_PENDING_TOKEN);
        }
        // A sign-in that lacks its second factor is another thing, and so is its token.
        let refused = sign_in(&app, ADA, PASSWORD).await;
        let lacking = refused.is(MFA_REQUIRED).body["errors"][0]["values"].clone();
        answer(&app, &lacking, device.sign(text(&lacking))).await.is(INVALID_PENDING_TOKEN);
        let body = json!({
            "passkey": device.sign(text(&one)),
            "pending_token": one["pending_token"],
        });
        let uri = format!("/v1/users/me/factors/{factor}/verify");
        app.anyone().post(&uri, body).await.is(INVALID_PENDING_TOKEN);
        answer(&app, &one, device.sign(text(&lacking))).await.is(WRONG_CREDENTIALS);
    }

    /// What is signed for a challenge is refused just as a wrong password is.
    async fn refused(app: &App, signed: impl FnOnce(&str) -> Value) {
        let told = |answer: &Answer| {
            let mut body = answer.is(WRONG_CREDENTIALS).body.clone();
            body["trace_id"] = Value::Null;
            (body, answer.header("www-authenticate").to_owned())
        };
        let password = told(&sign_in(app, "eve@example.org", OTHER).await);
        let asked = challenge(app).await;
        let signed = signed(text(&asked));
        let before = app.reads();
        assert_eq!(told(&answer(app, &asked, signed).await), password);
        assert_eq!(app.reads() - before, 5);
        app.advance_minutes(15);
    }

    #[tokio::test]
    async fn whatever_is_wrong_is_refused_like_a_wrong_password() {
        let app = app();
        let (ada, mut device, _) = with_passkey(&app, ADA).await;
        let (_, mut bobs, _) = with_passkey(&app, "bob@example.org").await;
        device.origin = "https://evil.example".to_owned();
        refused(&app, |it| device.sign(it)).await;
        device.origin = "https://aula.example:8443".to_owned();
        refused(&app, |it| device.sign(it)).await;
        device.origin = "https://aula.example".to_owned();
        device.host = "evil.example".to_owned();
        refused(&app, |it| device.sign(it)).await;
        device.host = "aula.example".to_owned();
        let both = std::mem::replace(&mut device.flags, 1);
        refused(&app, |it| device.sign(it)).await;
        device.flags = both;
        refused(&app, |_| device.sign("another challenge")).await;
        let as_made = |it: &str| {
            let mut shown = device.make(it);
            (shown["signature"], shown["user_handle"]) = (json!("AAAA"), json!("YWRh"));
            shown
        };
        refused(&app, as_made).await;
        // Another's passkey in Ada's name, Ada's in another's, and one that is nobody's.
        bobs.user_handle = ada.to_string();
        refused(&app, |it| bobs.sign(it)).await;
        device.user_handle = person(&app, "bob@example.org").await.id.to_string();
        refused(&app, |it| device.sign(it)).await;
        for nobody in ["nobody", "no such person", "../users", "\0"] {
            device.user_handle = nobody.to_owned();
            refused(&app, |it| device.sign(it)).await;
        }
        device.user_handle = ada.to_string();
        let changed = |field: &'static str, value: Value| {
            move |mut shown: Value| {
                shown[field] = value;
                shown
            }
        };
        for (field, value) in [
            ("id", json!("AAAA")),
            ("signature", json!("AAAA")),
            ("signature", json!("not base64!")),
            ("authenticator_data", json!("AAAA")),
            ("client_data_json", json!("AAAA")),
            ("client_data_json", json!("e30")),
            ("user_handle", json!("====")),
        ] {
            let change = changed(field, value);
            refused(&app, |it| change(device.sign(it))).await;
        }
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn a_passkey_that_was_removed_lets_nobody_in() {
        let app = app();
        let (id, mut device, factor) = with_passkey(&app, ADA).await;
        let uri = format!("/v1/users/{id}/factors/{factor}");
        assert_eq!(app.admin("root").delete(&uri).await.status, 204);
        sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
        enter(&app, ADA).await;
    }

    #[tokio::test]
    async fn a_passkey_that_was_not_verified_lets_nobody_in() {
        let app = app();
        let id = member(&app, ADA).await;
        let session = enter(&app, ADA).await;
        let begin = json!({ "kind": "passkey" });
        holder(&app, &session).post("/v1/users/me/factors", begin).await.ok();
        let mut device = Authenticator::new();
        device.user_handle = id.to_string();
        sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
    }

    #[tokio::test]
    async fn whoever_may_not_sign_in_by_password_may_not_by_a_passkey() {
        let app = app();
        let (id, mut device, _) = with_passkey(&app, ADA).await;
        disable(&app, &id).await.ok();
        sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
        for state in [State::Unverified, State::Closed] {
            let mut ada = person(&app, ADA).await;
            ada.state = state;
            app.context().commit(Changes::new().save(&ada)).await.unwrap();
            sign_in_by(&app, &mut device).await.is(WRONG_CREDENTIALS);
            sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        }
    }

    #[tokio::test]
    async fn a_passkey_that_may_have_been_copied_is_refused_and_its_owner_is_told() {
        let app = app();
        let (id, mut device, _) = with_passkey(&app, ADA).await;
        device.count = 7;
        sign_in_by(&app, &mut device).await.ok();
        device.count = 6;
        let refused = sign_in_by(&app, &mut device).await;
        refused.is(WRONG_CREDENTIALS);
        let told = app.emitted::<PasskeySuspected>().await;
        assert_eq!((told.len(), &told[0].contact.user_id, &*told[0].name), (1, &id, "passkey"));
        // Who can't sign by it makes no alarm.
        let mut strangers = Authenticator::new();
        strangers.user_handle = id.to_string();
        sign_in_by(&app, &mut strangers).await.is(WRONG_CREDENTIALS);
        assert_eq!(app.emitted::<PasskeySuspected>().await.len(), 1);
    }

    #[tokio::test]
    async fn a_passkey_as_it_was_kept_before_lets_its_person_in_too() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        device.user_handle.clear();
        let asked = challenge(&app).await;
        let signed = device.sign(text(&asked));
        answer(&app, &asked, signed).await.blames("passkey.user_handle", "missing");
        // As a second factor nobody has to be named.
        let refused = sign_in(&app, ADA, PASSWORD).await;
        let lacking = refused.is(MFA_REQUIRED).body["errors"][0]["values"].clone();
        let factor = lacking["factors"][0]["id"].as_str().unwrap();
        let uri = format!("/v1/users/me/factors/{factor}/verify");
        let signed = device.sign(text(&lacking));
        let body = json!({ "passkey": signed, "pending_token": lacking["pending_token"] });
        app.anyone().post(&uri, body).await.ok();
    }

    #[tokio::test]
    async fn a_new_device_is_told_by_mail_and_a_known_one_is_not() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let mut on = async |agent: &str, token: Option<Value>| {
            let asked = challenge(&app).await;
            let (passkey, pending) = (device.sign(text(&asked)), &asked["pending_token"]);
            let mut body = json!({ "passkey": passkey, "pending_token": pending });
            body["device_token"] = token.unwrap_or_else(|| json!("made.up"));
            let who = app.anyone().at("198.51.100.7").with_header("user-agent", agent);
            who.post("/v1/sessions", body).await.ok()
        };
        let phone = on("Mozilla/5.0 (iPhone) Version/18 Safari/604", None).await;
        let told = app.emitted::<DeviceAdded>().await;
        assert_eq!((told.len(), told[0].device.as_str()), (1, "Safari on iPhone"));
        on("Firefox/140.0", Some(phone["device_token"].clone())).await;
        assert_eq!(app.emitted::<DeviceAdded>().await.len(), 1);
    }

    #[tokio::test]
    async fn wrong_passkeys_in_anothers_name_make_nobody_wait() {
        let app = app();
        let (id, mut device, _) = with_passkey(&app, ADA).await;
        let mut strangers = Authenticator::new();
        strangers.user_handle = id.to_string();
        for _ in 0..20 {
            sign_in_by(&app, &mut strangers).await.is(WRONG_CREDENTIALS);
        }
        sign_in(&app, ADA, PASSWORD).await.is(MFA_REQUIRED);
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn wrong_passwords_for_an_account_do_not_hold_its_passkey_up() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        for _ in 0..6 {
            sign_in(&app, ADA, OTHER).await.is(WRONG_CREDENTIALS);
        }
        sign_in(&app, ADA, PASSWORD).await.is(TOO_MANY_REQUESTS);
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn a_network_sends_two_hundred_wrong_passkeys_and_no_more() {
        let app = app();
        let (id, mut device, _) = with_passkey(&app, ADA).await;
        let mut strangers = Authenticator::new();
        strangers.user_handle = id.to_string();
        for _ in 0..200 {
            sign_in_by(&app, &mut strangers).await.is(WRONG_CREDENTIALS);
        }
        let refused = sign_in_by(&app, &mut device).await;
        refused.is(TOO_MANY_REQUESTS);
        assert_eq!(refused.header("retry-after"), "2");
        let asked = challenge(&app).await;
        let body = json!({
            "passkey": device.sign(text(&asked)),
            "pending_token": asked["pending_token"],
        });
        app.anyone().at("198.51.100.1").post("/v1/sessions", body).await.ok();
        app.advance_seconds(2);
        sign_in_by(&app, &mut device).await.ok();
    }

    #[tokio::test]
    async fn an_account_elsewhere_is_linked_by_a_passkey_as_by_a_password() {
        let app = app();
        let (id, mut device, _) = with_passkey(&app, ADA).await;
        let vouched = Vouched {
            issuer: "https://idp.example".into(),
            subject: "42".into(),
            verified_email: None,
            name: None,
        };
        let claim = Claim::new(&vouched, "Elsewhere", app.now()).token(&app.context());
        let asked = challenge(&app).await;
        let body = json!({
            "passkey": device.sign(text(&asked)),
            "pending_token": asked["pending_token"],
            "link_token": claim,
        });
        app.anyone().post("/v1/sessions", body).await.ok();
        let key = IdentityLink::key_of("https://idp.example", "42");
        let link = app.context().get::<IdentityLink>(&key).await.unwrap();
        assert_eq!(link.map(|it| it.user_id.clone()), Some(id));
    }

    #[tokio::test]
    async fn what_is_malformed_is_named_and_uses_nothing_up() {
        let app = app();
        let (_, mut device, _) = with_passkey(&app, ADA).await;
        let asked = challenge(&app).await;
        let (token, signed) = (&asked["pending_token"], device.sign(text(&asked)));
        let without = |field: &str| {
            let mut shown = signed.clone();
            shown.as_object_mut().unwrap().remove(field);
            json!({ "passkey": shown, "pending_token": token })
        };
        let both = |more: &Value| {
            let mut body = json!({ "passkey": signed, "pending_token": token });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let cases = [
            (json!({ "passkey": signed }), "pending_token", "missing"),
            (json!({ "pending_token": token }), "passkey", "missing"),
            (json!({ "passkey": "x", "pending_token": token }), "passkey", "wrong-type"),
            (json!({ "passkey": signed, "pending_token": 1 }), "pending_token", "wrong-type"),
            (
                json!({ "passkey": signed, "pending_token": "x".repeat(201) }),
                "pending_token",
                "too-long",
            ),
            (without("id"), "passkey.id", "missing"),
            (without("client_data_json"), "passkey.client_data_json", "missing"),
            (without("authenticator_data"), "passkey.authenticator_data", "missing"),
            (without("signature"), "passkey.signature", "missing"),
            (without("user_handle"), "passkey.user_handle", "missing"),
            (both(&json!({ "email": ADA, "password": PASSWORD })), "passkey", "exactly-one"),
            (both(&json!({ "email": ADA })), "passkey", "exactly-one"),
            (both(&json!({ "password": PASSWORD })), "passkey", "exactly-one"),
            (
                json!({ "email": ADA, "password": PASSWORD, "pending_token": token }),
                "pending_token",
                "exactly-one",
            ),
        ];
        for (body, field, reason) in cases {
            app.anyone().post("/v1/sessions", body).await.blames(field, reason);
        }
        let mut more = signed.clone();
        more["type"] = json!("public-key");
        answer(&app, &asked, more).await.blames("passkey.type", "unknown-field");
        answer(&app, &asked, signed).await.ok();
    }
}
