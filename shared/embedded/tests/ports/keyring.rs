//! The key that signs tokens, and the platform's secret.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;
use embedded::{FileKeyring, secret};
use runtime::{
    Keyring,
    token::{Claims, Verifier, sign},
};
use serde_json::json;
use testing::SeededRandom;

use crate::things::Folder;

const URL: &str = "https://aula.example";

fn claims() -> Claims {
    Claims {
        iss: URL.to_owned(),
        aud: URL.to_owned(),
        sub: "ada".into(),
        roles: Vec::new(),
        sid: "s".to_owned(),
        iat: 0,
        exp: 900,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_key_is_made_once_and_kept_from_others() {
    let folder = Folder::new();
    let keys = folder.join("keys");
    let keyring = Arc::new(FileKeyring::open(&keys));
    assert!(!keys.exists(), "it's made when it's needed");
    let (one, other) = tokio::join!(keyring.key_id(), keyring.key_id());
    assert_eq!(one.unwrap(), other.unwrap());
    let token = sign(&*keyring, &claims()).await.unwrap();
    assert_eq!((mode(&keys), mode(&keys.join("token.pem"))), (0o700, 0o600));

    // After a restart, and though a copy made it readable for all.
    fs::set_permissions(keys.join("token.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let again = Arc::new(FileKeyring::open(&keys));
    assert_eq!(again.public_keys().await.unwrap(), keyring.public_keys().await.unwrap());
    assert_eq!(mode(&keys.join("token.pem")), 0o600);
    let verifier = Verifier::new(again, URL);
    let known = verifier.check(&token, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    assert_eq!(*known, claims());

    let stranger = Verifier::new(Arc::new(FileKeyring::in_memory()), URL);
    assert_eq!(stranger.check(&token, Timestamp::UNIX_EPOCH).await.unwrap(), None);
    let left: Vec<_> = fs::read_dir(&keys).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["token.pem"], "nothing unfinished is left");
}

#[tokio::test]
async fn a_broken_key_is_told_and_not_replaced() {
    let folder = Folder::new();
    let file = folder.join("token.pem");
    for broken in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        fs::write(&file, broken).unwrap();
        let said = format!("{:#}", FileKeyring::open(&folder).key_id().await.unwrap_err());
        assert!(said.contains("token.pem"), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), broken);
    }
}

#[tokio::test]
async fn a_keys_id_is_its_thumbprint() {
    let pem = include_str!("../../../testing/data/key.pem");
    let keyring = FileKeyring::of_pem(&pem.replace('\n', "\r\n")).unwrap();
    let [key] = &keyring.public_keys().await.unwrap()[..] else { panic!("there's one key") };
    // RFC 7638: the required members, sorted by name, without spaces.
    let jwk = json!({ "e": key.e, "kty": "RSA", "n": key.n }).to_string();
    let thumbprint = digest(&SHA256, jwk.as_bytes());
    assert_eq!(key.kid, BASE64_URL_SAFE_NO_PAD.encode(thumbprint));
    assert_eq!((key.e.as_str(), keyring.key_id().await.unwrap()), ("AQAB", key.kid.clone()));
}

#[test]
fn the_secret_is_made_once_and_kept_from_others() {
    let folder = Folder::new();
    let keys = folder.join("keys");
    let first = secret(&keys, &SeededRandom::of(1)).unwrap();
    let again = secret(&keys, &SeededRandom::of(2)).unwrap();
    assert_eq!(first.code("c"), again.code("c"));
    assert_eq!(mode(&keys.join("secret")), 0o600);
    let elsewhere = secret(&folder.join("other"), &SeededRandom::of(2)).unwrap();
    assert_ne!(first.code("c"), elsewhere.code("c"));
}

#[test]
fn a_secret_cut_short_is_refused() {
    let folder = Folder::new();
    fs::write(folder.join("secret"), "short").unwrap();
    assert!(secret(&folder, &SeededRandom::of(1)).is_err());
    fs::remove_file(folder.join("secret")).unwrap();
    // A crash while it was being written: nobody has used it yet.
    fs::write(folder.join("secret.unfinished"), "short").unwrap();
    assert!(secret(&folder, &SeededRandom::of(1)).is_ok());
}
