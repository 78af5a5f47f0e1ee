//! Tokens of a second issuer are taken everywhere, by one setting; without it nowhere.

use serde_json::json;

use crate::{
    foreign_tokens::journey,
    support::{Issuer, Options, Server},
};

#[test]
fn who_signs_in_at_the_second_issuer_does_what_everyone_does() {
    let Some(issuer) = Issuer::start() else { return };
    let mut server = Server::start(Options { more: issuer.words(), ..Options::default() });
    journey(&server, &issuer);
    assert!(server.terminate().success());
    for line in server.said() {
        assert!(!line.contains("eyJ") && !line.contains("ada@aula.example"), "{line}");
    }
}

#[test]
fn without_the_setting_its_tokens_are_nobodys() {
    let Some(issuer) = Issuer::start() else { return };
    let server = Server::start(Options::default());
    let token = issuer.token("ada@aula.example", &json!({}));
    server.get("/v1/users/me", &token).is(401, "unauthenticated");
}

#[test]
fn while_the_issuers_keys_cannot_be_had_nobody_is_turned_away_for_good() {
    let Some(issuer) = Issuer::start() else { return };
    let (token, words) = (issuer.token("ada@aula.example", &json!({})), issuer.words());
    drop(issuer);
    let server = Server::start(Options { more: words, ..Options::default() });
    let refused = server.get("/v1/users/me", &token);
    refused.is(503, "unavailable");
    assert!(!refused.header("retry-after").is_empty());
    let ada = server.sign_up("ada@aula.example", &[]);
    server.get("/v1/users/me", &ada.token).ok();
}
