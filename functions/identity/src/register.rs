//! `POST /v1/users`

use contracts::{
    TimeZone,
    identity::{CodeDeclined, CodePurpose, CodeRequested, RegistrationRepeated, Role},
};
use runtime::prelude::*;

use crate::{
    account::{Account, Address, Credentials},
    code::{Code, MailPromised, Purpose},
    email::Email,
    password::{Hashed, NewPassword},
    person::{Name, Person},
};

/// Register.
///
/// A mail goes to the address, and the answer is the same whatever comes of
/// it: with a code to verify the address, or with the word that it has an
/// account already. Nobody can sign in before the code is redeemed.
///
/// If two register with an address before it is verified, the first one's
/// profile stays, and neither one's password counts unless they are the same:
/// once the address is verified, its owner chooses one with a `reset_password`
/// code. An address gets ten mails at once, and then one every three minutes.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The address to sign in with and to get mail at. Its case doesn't matter.
    email: Email,
    /// The password: 12 to 128 characters of any kind, spaces included. One of those that are
    /// guessed first is refused, and one with the address in it.
    password: NewPassword,
    /// What to call you.
    name: Name,
    /// The language of your mail; that of this request, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<Language>,
    /// The zone that times are told in; UTC unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<TimeZone>,
    /// What you want to be here. Everyone is a student; an admin decides on the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2))]
    roles: Option<Vec<WantedRole>>,
}

/// What one can ask to be.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WantedRole {
    /// Learns, as everyone may.
    Student,
    /// Makes courses and teaches them.
    Instructor,
}

impl Endpoint for Register {
    const OPERATION: &'static str = "identity.register";
    const ROUTE: Route = Route::accept("/v1/users");
    const RATE: Rate = Rate::Strict;
    type Response = MailPromised;
}

pub async fn run(cx: Context<Anyone>, request: Register) -> Result<MailPromised> {
    let mut faults = Faults::new();
    faults.unless(
        request.roles.as_ref().is_none_or(|it| it.len() <= 2),
        "roles",
        "too-many",
        "at most 2",
        "como máximo 2",
    );
    faults.unless(
        !request.password.tells(&request.email),
        "password",
        "contains-address",
        "it contains your address, which is guessed first",
        "contiene tu dirección, que es lo primero que se prueba",
    );
    faults.check()?;

    let account = Account::with(&cx, &request.email).await?;
    let mut code = Code::of(&cx, &request.email, Purpose::VerifyEmail).await?;

    // Each way costs one hash, one commit and one event, so that the time
    // doesn't tell whether the address has an account.
    let changes = match account {
        None => {
            let password = request.password.hash(cx.random()).await?;
            newcomer(&cx, request, password, &mut code)
        }
        Some(account) if account.is_unverified() => {
            let same = request.password.is(account.credentials.password()).await?;
            again_before_verifying(&cx, account, same, &mut code)
        }
        Some(account) => {
            request.password.is(None).await?;
            let event = RegistrationRepeated { contact: account.person.contact() };
            // Whoever closed their account isn't written to any more.
            if code.count_mail(cx.now) && !account.person.is_closed() {
                Changes::new().emit(&event)
            } else {
                declined(&code)
            }
        }
    };
    cx.answer(changes.save(&code), MailPromised::new()).await
}

/// Someone registers with an address that nobody has registered with.
fn newcomer(
    cx: &Context<Anyone>,
    request: Register,
    password: Hashed,
    code: &mut Stored<Code>,
) -> Changes {
    let Register { email, name, locale, time_zone, roles, .. } = request;
    let mut person = Person::new(cx.random().id(), email, name, cx.now);
    person.locale = locale.unwrap_or(cx.language);
    person.time_zone = time_zone.unwrap_or_default();
    if roles.is_some_and(|it| it.contains(&WantedRole::Instructor)) {
        person.requested_roles = vec![Role::Instructor];
    }
    let credentials = Credentials::new(person.id.clone(), Some(password), cx.now);
    let changes = Changes::new().create(&Address::of(&person)).create(&person).create(&credentials);
    changes.and(with_code(cx, &person, code))
}

/// Someone registers with an address that someone, perhaps they, registered
/// with and hasn't verified.
///
/// Either of the two may be a stranger. If the first password stayed, one who
/// registers with others' addresses in advance would be in as soon as the
/// owner verifies; if the second took its place, one who comes between the
/// owner's registering and verifying would. So neither is good, unless they are the
/// same, which only one person can know.
fn again_before_verifying(
    cx: &Context<Anyone>,
    account: Account,
    same_password: bool,
    code: &mut Stored<Code>,
) -> Changes {
    let Account { person, mut credentials } = account;
    let changes = with_code(cx, &person, code);
    if same_password {
        return changes;
    }
    credentials.contest(cx.now);
    changes.save(&credentials)
}

fn with_code(cx: &Context<Anyone>, person: &Person, code: &mut Stored<Code>) -> Changes {
    match code.renew(cx.random().id(), cx.now) {
        Some(code_id) => Changes::new().emit(&CodeRequested {
            code_id,
            purpose: CodePurpose::VerifyEmail,
            contact: person.contact(),
            expires_at: code.expires_at(),
        }),
        None => declined(code),
    }
}

fn declined(code: &Code) -> Changes {
    let (address_id, purpose) = (code.key(), CodePurpose::VerifyEmail);
    Changes::new().emit(&CodeDeclined { address_id, purpose })
}

#[cfg(test)]
mod tests {
    use contracts::identity::{CodeDeclined, ContactChanged};
    use testing::{App, Value, json};

    use super::*;
    use crate::{
        code::INVALID_CODE,
        person::State,
        sign_in::WRONG_CREDENTIALS,
        tests::{
            OTHER, PASSWORD, app, code, disable, enter, form, member, person, register, roles,
            sign_in, verify,
        },
    };

    async fn register_with(app: &App, email: &str, password: &str) {
        let mut form = form(email);
        form["password"] = json!(password);
        app.anyone().post("/v1/users", form).await.ok();
    }

    #[tokio::test]
    async fn a_stranger_does_not_say_how_long_the_domains_may_take() {
        let app = app();
        let hurried = app.anyone().with_header("x-aula-timeout-ms", "1");
        assert_eq!(hurried.post("/v1/users", form("ada@example.org")).await.status, 202);
    }

    #[tokio::test]
    async fn whoever_registers_gets_a_code_and_cannot_sign_in_before_redeeming_it() {
        let app = app();
        let answer = register(&app, "Ada@Example.org").await;
        assert_eq!((answer.status, answer.body), (202, json!({ "status": "check_your_mail" })));
        assert_eq!(app.commits(), 1);

        let sent = app.emitted::<CodeRequested>().await.pop().unwrap();
        assert_eq!(sent.purpose, CodePurpose::VerifyEmail);
        assert_eq!(sent.contact.email, "ada@example.org");
        assert_eq!(sent.expires_at, app.now().plus_minutes(15));
        sign_in(&app, "ada@example.org", PASSWORD).await.is(WRONG_CREDENTIALS);

        verify(&app, "ada@example.org", &code(&app).await).await.ok();
        enter(&app, "ada@example.org").await;
        assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
    }

    #[tokio::test]
    async fn neither_passwords_nor_codes_are_kept_or_told() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        let code = code(&app).await;
        for event in app.envelopes() {
            assert!(!event.data.get().contains(PASSWORD) && !event.data.get().contains(&code));
        }
        let account = account(&app, "ada@example.org").await;
        let kept = serde_json::to_string(&*account.credentials).unwrap();
        assert!(kept.contains("$argon2id$v=19$m=19456,t=2,p=1$") && !kept.contains(PASSWORD));
    }

    async fn account(app: &App, email: &str) -> Account {
        let email = Email::new(email).unwrap();
        Account::with(&app.context(), &email).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_instructor_waits_for_an_admin() {
        let app = app();
        let mut form = form("ines@example.org");
        form["roles"] = json!(["student", "instructor"]);
        app.anyone().post("/v1/users", form).await.ok();
        let ines = person(&app, "ines@example.org").await;
        assert_eq!(ines.roles, [Role::Student]);
        assert_eq!(ines.requested_roles, [Role::Instructor]);
    }

    #[tokio::test]
    async fn nobody_asks_to_be_an_admin() {
        let app = app();
        for (roles, field, reason) in [
            (json!(["admin"]), "roles[0]", "unknown-value"),
            (json!(["student", "admin"]), "roles[1]", "unknown-value"),
            (json!(["student", "student", "student"]), "roles", "too-many"),
            (json!("student"), "roles", "wrong-type"),
        ] {
            let mut form = form("eve@example.org");
            form["roles"] = roles;
            app.anyone().post_without_key("/v1/users", form).await.blames(field, reason);
        }
        assert_eq!(app.commits(), 0);
    }

    #[tokio::test]
    async fn the_operators_address_becomes_an_admin_once_it_is_verified() {
        let app = app();
        register(&app, App::ADMIN_EMAIL).await.ok();
        assert_eq!(roles(&app, App::ADMIN_EMAIL).await, [Role::Student]);
        verify(&app, App::ADMIN_EMAIL, &code(&app).await).await.ok();
        assert!(roles(&app, App::ADMIN_EMAIL).await.contains(&Role::Admin));
    }

    #[tokio::test]
    async fn the_language_is_that_of_the_request_unless_said() {
        let app = app();
        let (anyone, mut said) = (app.anyone().in_language("es-CO"), form("b@example.org"));
        anyone.post("/v1/users", form("a@example.org")).await.ok();
        said["locale"] = json!("en");
        said["time_zone"] = json!("America/Bogota");
        anyone.post("/v1/users", said).await.ok();
        assert_eq!(person(&app, "a@example.org").await.locale, Language::Es);
        let said = person(&app, "b@example.org").await;
        assert_eq!((said.locale, said.time_zone.as_str()), (Language::En, "America/Bogota"));
    }

    #[tokio::test]
    async fn a_known_address_is_told_by_mail_and_by_nothing_else() {
        let app = app();
        let unknown = register(&app, "ada@example.org").await;
        let work = (app.commits(), app.reads(), app.envelopes().len());
        verify(&app, "ada@example.org", &code(&app).await).await.ok();
        let before = (app.commits(), app.reads(), app.envelopes().len());

        let known = register(&app, "ADA@example.org").await;
        assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
        let after = (app.commits(), app.reads(), app.envelopes().len());
        let same_work = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        assert_eq!(same_work, work);

        let told = app.emitted::<RegistrationRepeated>().await.pop().unwrap();
        assert_eq!(told.contact.email, "ada@example.org");
        enter(&app, "ada@example.org").await;
    }

    #[tokio::test]
    async fn registering_again_does_not_open_a_disabled_account() {
        let app = app();
        let ada = member(&app, "ada@example.org").await;
        disable(&app, &ada).await.ok();
        register(&app, "ada@example.org").await.ok();
        let code = code(&app).await;
        verify(&app, "ada@example.org", &code).await.is(INVALID_CODE);
        assert_eq!(person(&app, "ada@example.org").await.state, State::Disabled);
    }

    #[tokio::test]
    async fn registering_again_with_the_same_password_sends_a_new_code() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        let first = code(&app).await;
        register(&app, "ada@example.org").await.ok();
        verify(&app, "ada@example.org", &first).await.is(INVALID_CODE);
        verify(&app, "ada@example.org", &code(&app).await).await.ok();
        enter(&app, "ada@example.org").await;
    }

    #[tokio::test]
    async fn a_stranger_who_registers_first_or_second_is_not_let_in_by_the_owners_verifying() {
        for (first, second) in [(PASSWORD, OTHER), (OTHER, PASSWORD)] {
            let app = app();
            register_with(&app, "ada@example.org", first).await;
            register_with(&app, "ada@example.org", second).await;
            verify(&app, "ada@example.org", &code(&app).await).await.ok();
            for password in [first, second] {
                sign_in(&app, "ada@example.org", password).await.is(WRONG_CREDENTIALS);
            }
            crate::tests::ask(&app, "ada@example.org", "reset_password").await.ok();
            let code = code(&app).await;
            crate::tests::reset(&app, "ada@example.org", &code, PASSWORD).await.ok();
            enter(&app, "ada@example.org").await;
        }
    }

    #[tokio::test]
    async fn what_an_unverified_person_said_of_themselves_is_not_overwritten() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        let mut other = form("ada@example.org");
        other["name"] = json!("Eve");
        other["roles"] = json!(["instructor"]);
        app.anyone().post("/v1/users", other).await.ok();
        let ada = person(&app, "ada@example.org").await;
        assert_eq!(&*ada.name, "Ada Lovelace");
        assert!(ada.requested_roles.is_empty());
    }

    #[tokio::test]
    async fn of_two_who_register_at_once_with_one_address_one_makes_the_account() {
        let app = app();
        let (one, other) =
            tokio::join!(register(&app, "ada@example.org"), register(&app, "ADA@example.org"));
        assert_eq!((one.status, other.status), (202, 202));
        let sent = app.emitted::<CodeRequested>().await;
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].contact.user_id, sent[1].contact.user_id);
        verify(&app, "ada@example.org", &code(&app).await).await.ok();
        enter(&app, "ada@example.org").await;
    }

    #[tokio::test]
    async fn an_address_is_not_flooded_with_mail() {
        let app = app();
        member(&app, "ada@example.org").await;
        for _ in 0..12 {
            assert_eq!(register(&app, "ada@example.org").await.status, 202);
        }
        // The first of the ten was the code.
        assert_eq!(app.emitted::<RegistrationRepeated>().await.len(), 9);
        assert_eq!(app.emitted::<CodeDeclined>().await.len(), 3);
        app.advance_minutes(3);
        register(&app, "ada@example.org").await.ok();
        assert_eq!(app.emitted::<RegistrationRepeated>().await.len(), 10);
    }

    #[tokio::test]
    async fn a_repeat_with_its_key_is_answered_again_and_changes_nothing() {
        let app = app();
        let form = form("ada@example.org");
        let first = app.anyone().post_with_key("/v1/users", &form, "k1").await;
        let again = app.anyone().post_with_key("/v1/users", &form, "k1").await;
        assert_eq!((again.status, &again.body), (202, &first.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(app.emitted::<CodeRequested>().await.len(), 1);
    }

    #[tokio::test]
    async fn bad_fields_are_named_and_nothing_changes() {
        let app = app();
        let long = "x".repeat(129);
        let cases: &[(&str, Value, &str)] = &[
            ("email", json!(null), "wrong-type"),
            ("email", json!(7), "wrong-type"),
            ("email", json!("ada"), "invalid-email"),
            ("email", json!("ada@example.org\r\nBcc: eve@example.org"), "invalid-email"),
            ("email", json!("x".repeat(300)), "too-long"),
            ("password", json!("short"), "too-short"),
            ("password", json!(long), "too-long"),
            ("password", json!("Password1234"), "too-common"),
            ("password", json!("a line\nand another"), "invalid-characters"),
            ("password", json!(123_456_789_012_u64), "wrong-type"),
            ("name", json!(""), "empty"),
            ("name", json!("   "), "empty"),
            ("name", json!("x".repeat(201)), "too-long"),
            ("name", json!("Ada\r\nBcc: eve@example.org"), "invalid-characters"),
            ("name", json!("\u{202e}adA"), "invalid-characters"),
            ("locale", json!("fr"), "unknown-value"),
            ("time_zone", json!("Mars/Olympus"), "unknown-time-zone"),
            ("state", json!("active"), "unknown-field"),
            ("id", json!("admin"), "unknown-field"),
        ];
        for (field, value, reason) in cases {
            let mut form = form("ada@example.org");
            form[field] = value.clone();
            app.anyone().post_without_key("/v1/users", form).await.blames(field, reason);
        }
        for field in ["email", "password", "name"] {
            let mut form = form("ada@example.org");
            form.as_object_mut().unwrap().remove(field);
            app.anyone().post_without_key("/v1/users", form).await.blames(field, "missing");
        }
        assert_eq!(app.commits(), 0);
    }

    #[tokio::test]
    async fn a_password_with_the_address_in_it_is_refused() {
        let app = app();
        let mut form = form("grace.hopper@example.org");
        form["password"] = json!("only grace.hopper knows");
        let refused = app.anyone().post("/v1/users", form).await;
        refused.blames("password", "contains-address");
        assert_eq!(app.emitted::<CodeRequested>().await.len(), 0);
    }

    #[tokio::test]
    async fn a_refusal_does_not_repeat_the_password() {
        let app = app();
        let mut form = form("ada@example.org");
        form["password"] = json!("2-short");
        let refused = app.anyone().post("/v1/users", form).await;
        assert!(!refused.body.to_string().contains("2-short"), "{}", refused.body);
    }
}
