//! What people do who sign in at a second issuer, on any platform that takes its tokens.

use serde_json::json;

use crate::{
    school::in_seconds,
    support::{Client, Issuer, until},
};

/// Someone who signs in at the second issuer does what people do here.
pub fn journey(server: &Client, issuer: &Issuer) {
    let ines = server.sign_up("ines@aula.example", &["instructor"]);
    let section = server.open_section(
        &ines,
        &json!({ "starts_at": in_seconds(7200), "ends_at": in_seconds(9000), "capacity": 5 }),
    );

    // At first sight there's an account, and every domain knows whose it is.
    let token = issuer.token("ada@aula.example", &json!({}));
    let me = server.get("/v1/users/me", &token).ok();
    assert_eq!((&me["email"], &me["state"]), (&json!("ada@aula.example"), &json!("active")));
    let enrolled = server.post("/v1/enrollments", &token, &section.seat());
    assert_eq!((enrolled.status, &enrolled.body["state"]), (201, &json!("confirmed")));
    assert_eq!(enrolled.body["user_id"], me["id"]);
    assert_eq!(server.get("/v1/courses", &token).status, 200);
    until("a notification", || {
        let told = server.get("/v1/users/me/notifications", &token).ok();
        let told = told["items"].as_array().expect("items").clone();
        told.iter().any(|it| it["kind"] == "enrolled").then_some(())
    });
    // They may do what their roles here say, whatever they'd like the issuer to say.
    let claimed = issuer.token("ada@aula.example", &json!({ "roles": ["admin"], "admin": true }));
    server.get("/v1/users", &claimed).is(403, "forbidden");

    // Another token of theirs, of another key: it's still them.
    let refreshed = issuer.token_of_another_key("ada@aula.example", &json!({}));
    let again = until("the other key to be learned", || {
        let answer = server.get("/v1/users/me", &refreshed);
        (answer.status != 401).then_some(answer)
    });
    assert_eq!(again.ok()["id"], me["id"]);

    // Who has an account here gets to it by an address that is verified there, and only then.
    let bo = server.sign_up("bo@aula.example", &[]);
    let unverified = json!({ "email_verified": false, "sub": "mallory" });
    let refused = server.get("/v1/users/me", &issuer.token("bo@aula.example", &unverified));
    refused.is(401, "unauthenticated");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let bos = issuer.token("bo@aula.example", &json!({}));
    assert_eq!(server.get("/v1/users/me", &bos).ok()["id"], bo.id.as_str());
    server.wait_for_mail("bo@aula.example", "School");

    // What isn't for us isn't taken, and nobody else says what the issuer says.
    let others = issuer.token("ada@aula.example", &json!({ "aud": "another" }));
    assert_eq!(server.get("/v1/users/me", &others).status, 401);
    let (head, _) = token.rsplit_once('.').expect("a JWT has three parts");
    assert_eq!(server.get("/v1/users/me", &format!("{head}.")).status, 401);
    assert_eq!(server.get("/v1/enrollments", &bo.token).status, 200);
}
