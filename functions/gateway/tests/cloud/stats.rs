//! What the cloud on one machine tells of what it has done, and the key that it's given.

use std::fs;

use runtime::{Keyring as _, RsaKey};
use serde_json::{Value, json};

use crate::{cloud::Cloud, support::until};

#[test]
fn the_numbers_tell_what_was_committed_and_whether_anything_is_under_way() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    let stats = || cloud.get("/local/stats", "").ok();
    let settled =
        || until("nothing to be under way", || Some(stats()).filter(|it| it["outbox"] == 0));
    let before = settled();
    let account = json!({
        "email": "ada@aula.example", "password": "correct horse battery staple", "name": "Ada",
    });
    cloud.post("/v1/users", "", &account).ok();
    let after = settled();
    // Whatever was to follow has: nobody has to wait for the mail now.
    assert_eq!(cloud.mail_to("ada@aula.example").len(), 1);

    let count = |stats: &Value, name: &str| stats[name].as_u64().expect("a number");
    for name in ["commits", "writes", "conflicts", "failures"] {
        let services = after["services"].as_object().expect("services");
        assert_eq!(services.len(), gateway::domains().len());
        let sum: u64 = services.values().map(|it| count(it, name)).sum();
        assert_eq!(sum, count(&after["store"], name), "{name}");
    }
    let identity = |stats: &Value| count(&stats["services"]["identity"], "commits");
    assert!(identity(&after) > identity(&before), "{before} {after}");
}

#[test]
fn tokens_are_signed_with_the_key_that_is_given() {
    let folder = std::env::temp_dir().join(format!("aula-key-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("token.pem");
    let pem = RsaKey::generate().and_then(|key| key.to_pem()).expect("a key");
    fs::write(&file, &pem).expect("a file");
    let words = ["--per", "domain", "--signing-key", file.to_str().expect("it's text")];
    let cloud = Cloud::start(&words);
    fs::remove_dir_all(&folder).expect("it's there");
    let Some(cloud) = cloud else { return };
    let told = cloud.get("/.well-known/jwks.json", "").ok();
    let given = embedded::FileKeyring::of_pem(&pem).expect("a key");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let keys = runtime.block_on(given.public_keys()).expect("keys");
    assert_eq!(
        (&told["keys"][0]["kid"], &told["keys"][0]["n"]),
        (&json!(keys[0].kid), &json!(keys[0].n))
    );
    assert_eq!(told["keys"].as_array().map(Vec::len), Some(1));
}
