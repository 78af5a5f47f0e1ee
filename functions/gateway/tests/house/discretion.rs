//! A log tells nothing of people, on any platform: whatever they do, and wherever
//! they put what isn't to be seen.

use serde_json::{Value, json};

use crate::{
    school::text,
    support::{Client, PASSWORD, Person},
};

/// Does what tempts a platform to tell too much.
pub fn tempt(server: &Client) {
    let ada = server.sign_up("ada@aula.example", &[]);
    let admin = server.admin();
    wrong_credentials(server, &ada);
    wrong_places(server, &ada, &admin);
    links(server, &ada);

    // A new password by a code out of a mail, and a session that goes on.
    let wish = json!({ "email": ada.email, "purpose": "reset_password" });
    let mails = server.mail_to(&ada.email).len();
    server.post("/v1/codes", "", &wish).ok();
    crate::support::until("the code to be mailed", || {
        (server.mail_to(&ada.email).len() > mails).then_some(())
    });
    let mut redeemed = wish;
    redeemed["code"] = json!(server.wait_for_code(&ada.email));
    redeemed["password"] = json!(PASSWORD);
    server.post("/v1/codes/redeem", "", &redeemed).ok();
    let credentials = json!({ "email": ada.email, "password": PASSWORD });
    let session = server.post("/v1/sessions", "", &credentials).ok();
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    server.post("/v1/sessions/refresh", "", &refresh).ok();
    // The same again, as whoever lost the answer asks, or a thief.
    server.post("/v1/sessions/refresh", "", &refresh);
    // Who has an account already is told so by mail.
    let again = json!({ "email": ada.email, "password": PASSWORD, "name": "Ada Quispe Huamán" });
    server.post("/v1/users", "", &again).ok();
}

fn wrong_credentials(server: &Client, ada: &Person) {
    let wrong = json!({ "email": ada.email, "password": "not her password at all" });
    server.post("/v1/sessions", "", &wrong).is_problem();
    let nobody = json!({ "email": "nobody@aula.example", "password": PASSWORD });
    server.post("/v1/sessions", "", &nobody).is_problem();
    let code = json!({ "email": ada.email, "purpose": "reset_password", "code": "01234567",
        "password": PASSWORD });
    server.post("/v1/codes/redeem", "", &code).is_problem();
    let cut = &ada.token[..ada.token.len() - 7];
    server.get("/v1/users/me", cut).is_problem();
    let basic = [("Authorization".to_owned(), "Basic YWRhQGF1bGEuZXhhbXBsZTpwdw==".to_owned())];
    server.send("GET", "/v1/users/me", &basic, &[]).is_problem();
}

/// What is to be in a body is in a path, in a query, in a name; and a body is broken.
fn wrong_places(server: &Client, ada: &Person, admin: &Person) {
    for path in [
        format!("/v1/users/{}", ada.email),
        format!("/v1/users/{}", ada.email.replace('@', "%40")),
        "/v1/users/Ada%20Quispe%20Huam%C3%A1n".to_owned(),
        format!("/v1/{}", ada.token),
        format!("/v1/users?email_prefix={}", ada.email),
        format!("/v1/users?token={}", ada.token),
        format!("/v1/users?{}=1", ada.email),
    ] {
        server.get(&path, &admin.token);
        server.get(&path, "").is_problem();
    }
    let broken = format!(r#"{{"email":"{}","password":"{PASSWORD}","name":"#, ada.email);
    server.send("POST", "/v1/users", &[], broken.as_bytes()).is_problem();
    for body in [
        json!({ "email": [ada.email], "password": PASSWORD, "name": "Ada Quispe Huamán" }),
        json!({ "ada@aula.example": PASSWORD }),
        json!({ "email": ada.email, "password": PASSWORD, "name": "Quispe ".repeat(100) }),
        Value::String(ada.email.clone()),
    ] {
        server.post("/v1/users", "", &body).is_problem();
        server.post("/v1/sessions", "", &body).is_problem();
    }
    let key = [("Idempotency-Key".to_owned(), ada.email.clone())];
    server.send("POST", "/v1/users", &key, b"{}").is_problem();
}

/// Links that let in whoever has them.
fn links(server: &Client, ada: &Person) {
    let rotate = format!("/v1/users/{}/calendar/rotate", ada.id);
    let calendar = server.post(&rotate, &ada.token, &json!({})).ok();
    let url = text(&calendar["url"]);
    let path = &url[url.find("/v1/").expect("a path")..];
    assert_eq!(server.get(path, "").status, 200, "{path}");
    assert!(server.get(&format!("{path}x"), "").status >= 400);
    let unsubscribe = format!("/v1/unsubscribe?token={}x", &path[path.len() - 20..]);
    assert!(server.get(&unsubscribe, "").status >= 400);
}
