//! Keys and tokens: kept, renewed early, and good for a while when they can't
//! be had again.

use std::sync::{Arc, atomic::Ordering};

use contracts::UserId;
use google::{Callers, CloudKeyring, GoogleTokens, Http, Metadata, RemoteKeys, SigningKey};
use http::{HeaderMap, HeaderValue};
use runtime::{
    Clock, Gate, Keyring, Random, RsaKey, SystemClock, SystemRandom, Unreachable,
    token::{Claims, Verifier, sign},
};
use serde_json::json;
use testing::StandingClock;

use crate::{
    google::{ACCOUNT, Google},
    serving::PUBLIC_URL,
};

const HERE: &str = "https://here.example";

/// A clock that begins now and is moved by the test.
fn clock() -> Arc<StandingClock> {
    Arc::new(StandingClock::at(SystemClock.now()))
}

fn metadata(google: &Google, clock: Arc<dyn Clock>) -> Arc<Metadata> {
    Arc::new(Metadata::at(&google.address, Arc::<Http>::default(), clock))
}

fn tokens(google: &Google, clock: Arc<dyn Clock>, behind_iam: bool) -> GoogleTokens {
    let keys = RemoteKeys::at(google.certs_url(), Arc::default(), clock.clone());
    GoogleTokens::new(keys, clock, vec![HERE.to_owned()], behind_iam)
}

#[tokio::test]
async fn an_id_token_is_kept_for_its_audience_and_renewed_early() {
    let (google, clock) = (Google::start().await, clock());
    let metadata = metadata(&google, clock.clone());
    let asked = || google.id_tokens.load(Ordering::SeqCst);
    let first = metadata.id_token(HERE).await.unwrap();
    assert_eq!(metadata.id_token(HERE).await.unwrap(), first);
    let other = metadata.id_token("https://there.example/?a=b&c").await.unwrap();
    assert_ne!(other, first);
    assert_eq!(asked(), 2);
    clock.advance(3600 - 301);
    metadata.id_token(HERE).await.unwrap();
    assert_eq!(asked(), 2);
    clock.advance(2);
    metadata.id_token(HERE).await.unwrap();
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn an_access_token_has_the_rights_that_it_is_asked_for() {
    let google = Google::start().await;
    let metadata = metadata(&google, clock());
    let scope = "https://www.googleapis.com/auth/datastore";
    assert_eq!(metadata.access_token_for(scope).await.unwrap(), format!("ya29.{scope}"));
    assert_eq!(metadata.access_token().await.unwrap(), "ya29.x");
}

#[tokio::test]
async fn many_who_need_the_same_token_ask_once() {
    let google = Google::start().await;
    let metadata = metadata(&google, clock());
    let all = (0..20).map(|_| metadata.id_token(HERE));
    futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!(google.id_tokens.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_old_token_serves_while_a_new_one_cannot_be_had() {
    let (google, clock) = (Google::start().await, clock());
    let metadata = metadata(&google, clock.clone());
    let first = metadata.id_token(HERE).await.unwrap();
    google.fail(true);
    clock.advance(3600 - 60);
    assert_eq!(metadata.id_token(HERE).await.unwrap(), first);
    clock.advance(61);
    metadata.id_token(HERE).await.unwrap_err();
}

#[tokio::test]
async fn a_callers_token_is_checked_whole() {
    let google = Google::start().await;
    let tokens = tokens(&google, Arc::new(SystemClock), false);
    let check = async |otherwise| tokens.check(&google.token(HERE, otherwise)).await.unwrap();
    assert_eq!(check(json!({})).await.unwrap(), ACCOUNT);
    assert_eq!(check(json!({ "iss": "accounts.google.com" })).await.unwrap(), ACCOUNT);
    // A push may be an hour late.
    let now = SystemClock.now().as_seconds();
    assert!(check(json!({ "iat": now - 3590, "exp": now + 10 })).await.is_ok());
    for (bad, why) in [
        (json!({ "iss": "https://accounts.example" }), "it isn't Google's"),
        (json!({ "aud": "https://there.example" }), "it's for another audience"),
        (json!({ "exp": now - 61 }), "it has expired"),
        (json!({ "iat": now + 120 }), "it's from the future"),
        (json!({ "email_verified": false }), "it names nobody"),
        (json!({ "email": "" }), "it names nobody"),
    ] {
        assert_eq!(check(bad).await, Err(why));
    }
    let good = google.token(HERE, json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for bad in [
        format!("{signed}."),
        format!("{signed}.AAAA"),
        format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE"),
        signed.to_owned(),
        "x".repeat(9000),
        String::new(),
    ] {
        assert!(tokens.check(&bad).await.unwrap().is_err(), "{bad}");
    }
    // Another key of the same name signs for nobody.
    google.rotate();
    let forged = google.token(HERE, json!({}));
    assert_eq!(tokens.check(&forged).await.unwrap(), Err("its key isn't known"));
}

#[tokio::test]
async fn a_signature_that_cloud_run_has_checked_counts_only_behind_iam() {
    let google = Google::start().await;
    let token = google.token(HERE, json!({}));
    let (signed, _) = token.rsplit_once('.').unwrap();
    let removed = format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let open = tokens(&google, clock.clone(), false).check(&removed).await.unwrap();
    assert_eq!(open, Err("it isn't signed"));
    let behind = tokens(&google, clock, true);
    assert_eq!(behind.check(&removed).await.unwrap(), Ok(ACCOUNT.to_owned()));
    let other = google.token("https://there.example", json!({}));
    let (signed, _) = other.rsplit_once('.').unwrap();
    let removed = format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE");
    assert_eq!(behind.check(&removed).await.unwrap(), Err("it's for another audience"));
}

#[tokio::test]
async fn only_the_accounts_that_may_pass_do() {
    let google = Google::start().await;
    let tokens = Arc::new(tokens(&google, Arc::new(SystemClock), false));
    let bearing = |token: &str| {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        headers.insert("authorization", value);
        headers
    };
    let mine = bearing(&google.token(HERE, json!({})));
    let another = bearing(&google.token(HERE, json!({ "email": "other@example.com" })));
    let gate = Callers::new(tokens.clone(), vec![ACCOUNT.to_owned()]);
    assert!(gate.admits(&mine).await.unwrap());
    assert!(!gate.admits(&another).await.unwrap());
    assert!(!gate.admits(&HeaderMap::new()).await.unwrap());
    let nobody = Callers::new(tokens.clone(), Vec::new());
    assert!(!nobody.admits(&mine).await.unwrap());
    // Even where emulators may come without a token, a bad one isn't good.
    let open = Callers::new(tokens, vec![ACCOUNT.to_owned()]).or_anyone(true);
    assert!(open.admits(&HeaderMap::new()).await.unwrap());
    assert!(!open.admits(&another).await.unwrap());
}

#[tokio::test]
async fn public_keys_are_read_again_before_they_are_old_and_serve_while_they_cannot_be() {
    let (google, clock) = (Google::start().await, clock());
    let keys = RemoteKeys::at(google.certs_url(), Arc::default(), clock.clone());
    let read = || google.certs.load(Ordering::SeqCst);
    let first = keys.keys().await.unwrap();
    assert_eq!((first.len(), read()), (1, 1));
    clock.advance(299);
    keys.keys().await.unwrap();
    assert_eq!(read(), 1);
    clock.advance(1);
    keys.keys().await.unwrap();
    assert_eq!(read(), 2);
    google.fail(true);
    clock.advance(23 * 60 * 60);
    assert_eq!(keys.keys().await.unwrap(), first);
    clock.advance(60 * 60);
    keys.keys().await.unwrap_err();
    google.fail(false);
    clock.advance(10);
    assert_eq!(keys.keys().await.unwrap(), first);
}

#[tokio::test]
async fn while_no_key_can_be_had_nobody_is_called_a_liar() {
    let (google, clock) = (Google::start().await, clock());
    google.fail(true);
    let token = google.token(HERE, json!({}));
    let tokens = tokens(&google, clock.clone(), false);
    assert!(tokens.check(&token).await.is_err());
    let keys = RemoteKeys::at(google.certs_url(), Arc::default(), clock.clone());
    let verifier = Verifier::new(Arc::new(CloudKeyring::checking(keys)), PUBLIC_URL);
    assert!(verifier.check(&token, clock.now()).await.is_err());
    // What is no token at all can be told without keys.
    assert!(verifier.check("nonsense", clock.now()).await.unwrap().is_none());

    google.fail(false);
    clock.advance(1);
    assert_eq!(tokens.check(&token).await.unwrap(), Ok(ACCOUNT.to_owned()));
    assert!(verifier.check(&token, clock.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_made_up_ones_cost_little() {
    let (google, clock) = (Google::start().await, clock());
    let keys = RemoteKeys::at(google.certs_url(), Arc::default(), clock.clone());
    keys.keys().await.unwrap();
    google.rotate();
    clock.advance(11);
    let kid = jsonwebtoken::decode_header(google.token(HERE, json!({}))).unwrap().kid.unwrap();
    assert!(keys.key(&kid).await.unwrap().is_some());
    assert_eq!(google.certs.load(Ordering::SeqCst), 2);
    for made_up in 0..100 {
        assert!(keys.key(&made_up.to_string()).await.unwrap().is_none());
    }
    assert_eq!(google.certs.load(Ordering::SeqCst), 2);
}

fn claims() -> Claims {
    Claims {
        iss: PUBLIC_URL.to_owned(),
        aud: PUBLIC_URL.to_owned(),
        sub: UserId::from("ada"),
        roles: Vec::new(),
        sid: "s".to_owned(),
        iat: SystemClock.now().as_seconds(),
        exp: SystemClock.now().as_seconds() + 900,
    }
}

fn signing(key: SigningKey, kms_url: &str, metadata: Arc<Metadata>) -> CloudKeyring {
    let own: (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    CloudKeyring::signing(key, kms_url, (Arc::default(), metadata), own)
}

#[tokio::test]
async fn cloud_kms_is_asked_again_and_who_signs_in_is_told_to_come_back_while_it_does_not_answer() {
    let google = Google::start().await;
    let version = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
    let metadata = metadata(&google, Arc::new(SystemClock));
    metadata.access_token().await.unwrap();
    let keyring = signing(SigningKey::parse(version).unwrap(), &google.url(), metadata);
    keyring.public_keys().await.unwrap();
    google.failures.store(2, Ordering::SeqCst);
    keyring.sign(b"anything").await.unwrap();
    assert_eq!(google.signatures.load(Ordering::SeqCst), 1);

    google.fail(true);
    assert!(keyring.sign(b"anything").await.unwrap_err().is::<Unreachable>());
}

#[tokio::test]
async fn cloud_kms_signs_what_its_public_key_checks() {
    let google = Google::start().await;
    let version = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
    let key = SigningKey::parse(version).unwrap();
    let metadata = metadata(&google, Arc::new(SystemClock));
    let keyring = signing(key, &google.url(), metadata);
    let keyring: Arc<dyn Keyring> = Arc::new(keyring);
    let token = sign(&*keyring, &claims()).await.unwrap();
    let checked = Verifier::new(keyring, PUBLIC_URL).check(&token, SystemClock.now()).await;
    assert_eq!(checked.unwrap().unwrap().sub, UserId::from("ada"));
    assert_eq!(google.signatures.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_key_in_a_file_signs_and_others_check_with_what_is_told_of_it() {
    let key = RsaKey::generate().unwrap();
    let path = std::env::temp_dir().join(format!("aula-key-{}.pem", std::process::id()));
    std::fs::write(&path, key.to_pem().unwrap()).unwrap();
    let signing = SigningKey::parse(path.to_str().unwrap()).unwrap();
    let google = Google::start().await;
    let metadata = metadata(&google, Arc::new(SystemClock));
    let keyring = self::signing(signing, "", metadata);
    let token = sign(&keyring, &claims()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(keyring.public_keys().await.unwrap(), [key.public().clone()]);
    // Google's own keys don't check it: what isn't known isn't good.
    let foreign = RemoteKeys::at(google.certs_url(), Arc::default(), Arc::new(SystemClock));
    let foreign = Verifier::new(Arc::new(CloudKeyring::checking(foreign)), PUBLIC_URL);
    assert!(foreign.check(&token, SystemClock.now()).await.unwrap().is_none());
}

#[test]
fn a_signing_key_is_never_shown() {
    let pem = RsaKey::generate().unwrap().to_pem().unwrap();
    let shown = format!("{:?}", SigningKey::parse(&pem).unwrap());
    assert_eq!(shown, "Pem(…)");
    assert!(SigningKey::parse("projects/p/cryptoKeyVersions/1").is_none());
}
