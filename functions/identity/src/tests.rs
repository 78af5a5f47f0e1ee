//! People under test: what the tests of the operations share.

use contracts::{
    UserId,
    identity::{CodeRequested, Role},
};
use runtime::Stored;
use testing::{Answer, App, As, Value, json};

use crate::{email::Email, passkey::software::Authenticator, person::Person};

/// Everyone's password.
pub const PASSWORD: &str = "correct horse battery";

/// Some other password.
pub const OTHER: &str = "staple correct horse";

/// The domain, with nobody in it.
pub fn app() -> App {
    App::of(crate::domain)
}

/// What someone fills in to register.
pub fn form(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" })
}

/// Someone registers.
pub async fn register(app: &App, email: &str) -> Answer {
    app.anyone().post("/v1/users", form(email)).await
}

/// The code in the last mail.
pub async fn code(app: &App) -> String {
    let sent = app.emitted::<CodeRequested>().await.pop().expect("a code was sent");
    app.context().secret().code(&sent.code_id)
}

/// A code that isn't this one.
pub fn wrong(code: &str) -> String {
    let number: u32 = code.parse().expect("a code is a number");
    format!("{:08}", (number + 1) % 100_000_000)
}

/// Someone redeems a code that verifies their address.
pub async fn verify(app: &App, email: &str, code: &str) -> Answer {
    let body = json!({ "email": email, "purpose": "verify_email", "code": code });
    app.anyone().post("/v1/codes/redeem", body).await
}

/// Someone asks for a code.
pub async fn ask(app: &App, email: &str, purpose: &str) -> Answer {
    app.anyone().post("/v1/codes", json!({ "email": email, "purpose": purpose })).await
}

/// Someone redeems a code to choose another password.
pub async fn reset(app: &App, email: &str, code: &str, password: &str) -> Answer {
    let purpose = "reset_password";
    let body = json!({ "email": email, "purpose": purpose, "code": code, "password": password });
    app.anyone().post("/v1/codes/redeem", body).await
}

/// Someone who has registered and verified their address; their id.
pub async fn member(app: &App, email: &str) -> UserId {
    register(app, email).await.ok();
    verify(app, email, &code(app).await).await.ok();
    person(app, email).await.id.clone()
}

/// Someone signs in.
pub async fn sign_in(app: &App, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    app.anyone().post("/v1/sessions", body).await
}

/// Someone signs in with everyone's password; what they get.
pub async fn enter(app: &App, email: &str) -> Value {
    sign_in(app, email, PASSWORD).await.ok()
}

/// Someone refreshes their session.
pub async fn refresh(app: &App, token: &Value) -> Answer {
    app.anyone().post("/v1/sessions/refresh", json!({ "refresh_token": token })).await
}

/// Who holds what they got by signing in.
pub fn holder<'a>(app: &'a App, signed_in: &Value) -> As<'a> {
    app.bearer(signed_in["access_token"].as_str().expect("a token"))
}

/// An admin disables someone.
pub async fn disable(app: &App, id: &UserId) -> Answer {
    let uri = format!("/v1/users/{id}");
    let etag = app.admin("root").get(&uri).await.ok()["etag"].clone();
    let etag = etag.as_str().expect("an etag");
    app.admin("root").patch(&uri, json!({ "state": "disabled" }), etag).await
}

/// Someone with a second factor.
pub struct WithFactor {
    pub id: UserId,
    /// The session in which they added it.
    pub session: Value,
    pub factor: String,
    /// What their app knows.
    secret: String,
    pub recovery: Vec<String>,
}

/// Someone who has registered and added an authenticator app.
pub async fn with_factor(app: &App, email: &str) -> WithFactor {
    let (id, session) = (member(app, email).await, enter(app, email).await);
    let begun = holder(app, &session).post("/v1/users/me/factors", json!({})).await.ok();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (factor, secret) = (text(&begun["id"]), text(&begun["secret"]));
    let mut ada = WithFactor { id, session, factor, secret, recovery: Vec::new() };
    let uri = format!("/v1/users/me/factors/{}/verify", ada.factor);
    let code = json!({ "code": app_code(app, &ada) });
    let verified = holder(app, &ada.session).post(&uri, code).await.ok();
    assert_eq!(verified["status"], "added");
    ada.recovery = verified["recovery_codes"].as_array().expect("codes").iter().map(text).collect();
    ada
}

/// The code that someone's app shows now.
pub fn app_code(app: &App, who: &WithFactor) -> String {
    let secret = crate::totp::read(&who.secret).expect("Base32");
    crate::totp::code_at(&secret, crate::totp::step_at(app.now().as_seconds()))
}

/// Someone adds a passkey to their account: the factor, and the device that holds it.
pub async fn add_passkey(app: &App, session: &Value) -> (String, Authenticator) {
    let who = holder(app, session);
    let begun = who.post("/v1/users/me/factors", json!({ "kind": "passkey" })).await.ok();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (factor, options) = (text(&begun["id"]), &begun["passkey"]);
    let mut device = Authenticator::new();
    device.user_handle = text(&options["user_handle"]);
    let made = device.make(&text(&options["challenge"]));
    let uri = format!("/v1/users/me/factors/{factor}/verify");
    who.post(&uri, json!({ "passkey": made })).await.ok();
    (factor, device)
}

/// Someone begins to sign in by a passkey alone.
pub async fn challenge(app: &App) -> Value {
    app.anyone().post("/v1/passkey-challenges", json!({})).await.ok()
}

/// Someone signs in by a passkey alone.
pub async fn sign_in_by(app: &App, device: &mut Authenticator) -> Answer {
    let asked = challenge(app).await;
    let passkey = device.sign(asked["challenge"].as_str().expect("a challenge"));
    let body = json!({ "passkey": passkey, "pending_token": asked["pending_token"] });
    app.anyone().post("/v1/sessions", body).await
}

/// A person as they are kept.
pub async fn person(app: &App, email: &str) -> Stored<Person> {
    let email = Email::new(email).expect("an address");
    let person = crate::account::person_with(&app.context(), &email).await;
    person.expect("the store answers").expect("there's this person")
}

/// What a person may do.
pub async fn roles(app: &App, email: &str) -> Vec<Role> {
    person(app, email).await.roles.clone()
}
