//! No token but the platform's own is good, and only as long as it says.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Options, PASSWORD, Person, Server};

#[test]
fn a_token_that_is_not_the_platforms_own_is_refused() {
    let server = Server::start(Options::default());
    let person = server.sign_up("ada@example.com", &[]);
    let key = server.get("/.well-known/jwks.json", "").ok()["keys"][0].clone();
    let kid = key["kid"].as_str().unwrap();
    let pem = fs::read(server.data().join("keys/token.pem")).unwrap();
    let own = EncodingKey::from_rsa_pem(&pem).unwrap();
    let foreign = include_bytes!("../../../../shared/testing/data/key.pem");
    let foreign = EncodingKey::from_rsa_pem(foreign).unwrap();

    let good = claims(&person);
    let sign = |key: &EncodingKey, kid: &str, claims: &Value| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, key).unwrap()
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    // So that what is refused below is refused for what is changed about it.
    assert_eq!(server.get("/v1/users/me", &sign(&own, kid, &good)).status, 200);

    let [head, body, signature] = person.token.split('.').collect::<Vec<_>>()[..] else {
        panic!("a JWT has three parts")
    };
    let symmetric = |secret: &[u8]| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let unsigned = json!({ "alg": "none", "typ": "JWT", "kid": kid });
    let now = now();
    let bad = [
        ("no algorithm", format!("{}.{body}.", part(&unsigned))),
        ("no algorithm, with a signature", format!("{}.{body}.{signature}", part(&unsigned))),
        ("signed with the public key's modulus", symmetric(&decode(&key["n"]))),
        ("signed with the public key's text", symmetric(key.to_string().as_bytes())),
        ("another's key", sign(&foreign, kid, &good)),
        ("another's key and id", sign(&foreign, "foreign", &good)),
        ("an unknown key", sign(&own, "unknown", &good)),
        ("expired", sign(&own, kid, &with("exp", json!(now - 1)))),
        ("not issued yet", sign(&own, kid, &with("iat", json!(now + 3600)))),
        ("another issuer", sign(&own, kid, &with("iss", json!("https://evil.example")))),
        ("another audience", sign(&own, kid, &with("aud", json!("https://evil.example")))),
        ("no expiry", sign(&own, kid, &without("exp"))),
        ("no subject", sign(&own, kid, &without("sub"))),
        ("an unknown role", sign(&own, kid, &with("roles", json!(["root"])))),
        ("another's claims", format!("{head}.{}.{signature}", part(&with("sub", json!("eve"))))),
        ("cut off", person.token[..person.token.len() - 10].to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("garbage", "garbage".to_owned()),
        ("dots", "..".to_owned()),
        ("long", "a".repeat(20_000)),
    ];
    for (what, token) in bad {
        let answer = server.get("/v1/users/me", &token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        answer.is(401, "unauthenticated");
        // Nor is it overlooked where signing in isn't needed.
        assert_eq!(server.get("/v1/courses", &token).status, 401, "{what}");
    }
}

#[test]
fn another_scheme_than_bearer_is_refused() {
    let server = Server::start(Options::default());
    for value in ["Basic YTpi", "bearer", "Bearer", "Token x", ""] {
        let headers = [("Authorization".to_owned(), value.to_owned())];
        let answer = server.send("GET", "/v1/users/me", &headers, b"");
        assert_eq!(answer.status, 401, "{value}");
    }
}

#[test]
fn a_token_is_good_where_it_was_made_and_nowhere_else() {
    let one = Server::start(Options::default());
    let other = Server::start(Options::default());
    let person = one.sign_up("ada@example.com", &[]);
    other.get("/v1/users/me", &person.token).is(401, "unauthenticated");
}

#[test]
fn a_refresh_token_is_worth_nothing_once_its_session_has_ended() {
    let server = Server::start(Options::default());
    server.register("ada@example.com");
    let credentials = json!({ "email": "ada@example.com", "password": PASSWORD });
    let session = server.post("/v1/sessions", "", &credentials).ok();
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let session = server.post("/v1/sessions/refresh", "", &refresh).ok();
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(server.delete("/v1/users/me/sessions/-", token).status, 204);
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(server.post("/v1/sessions/refresh", "", &refresh).status, 401);
}

/// What the platform says of a person in their token.
fn claims(person: &Person) -> Value {
    let body = person.token.split('.').nth(1).expect("a JWT has three parts");
    serde_json::from_slice(&decode(&json!(body))).expect("claims are JSON")
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(value: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(value.as_str().expect("a text")).expect("base64url")
}

#[expect(clippy::disallowed_methods, reason = "the server that is tested has the machine's clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it's later than 1970").as_secs()
}
