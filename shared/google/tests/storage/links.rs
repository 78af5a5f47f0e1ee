//! Who signs links.

use std::sync::atomic::Ordering;

use google::storage::LinkSigner;
use runtime::{
    FileError, FileName,
    conformance::files::Cabinet as _,
    files::{Download, MediaType, Upload},
};
use serde_json::json;

use crate::{
    Cloud,
    fake::{ACCOUNT, Fake, key},
};

fn named(name: &str) -> FileName {
    FileName::parse(name).unwrap()
}

fn of_key() -> LinkSigner {
    let key = json!({
        "type": "service_account", "project_id": "aula-test", "private_key_id": "1",
        "client_email": ACCOUNT, "private_key": key().to_pem().unwrap(),
        "token_uri": "http://127.0.0.1:1/token",
    });
    LinkSigner::Key(key.to_string())
}

#[tokio::test]
async fn iam_signs_links_and_who_we_are_is_asked_once() {
    let cloud = Cloud::start().await;
    assert_eq!(
        cloud.fake.requests.load(Ordering::SeqCst),
        0,
        "nothing is asked before it's needed"
    );
    for name in ["a", "b", "c"] {
        cloud.files.download_link(&Download::new(named(name), 60).unwrap()).await.unwrap();
    }
    assert_eq!(cloud.fake.signatures.load(Ordering::SeqCst), 3);
    assert_eq!(cloud.fake.tokens.load(Ordering::SeqCst), 1);
    assert_eq!(cloud.fake.requests.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_key_of_ones_own_signs_without_asking_anyone() {
    let fake = Fake::start().await;
    let cloud = Cloud::with(&fake, of_key());
    let media_type = MediaType::parse("text/plain").unwrap();
    let upload = Upload::new(named("a"), media_type, 3..=3, 60).unwrap();
    let link = cloud.files.upload_link(&upload).await.unwrap();
    assert_eq!(fake.requests.load(Ordering::SeqCst), 0);
    let mut request = http::Request::put(&link.url);
    for (name, value) in &link.headers {
        request = request.header(name, value);
    }
    let answer = cloud.send(request.body("one".into()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_key_that_is_none_signs_nothing_and_stays_secret() {
    let fake = Fake::start().await;
    let cloud = Cloud::with(&fake, LinkSigner::Key("{\"private_key\": \"hunter2\"}".to_owned()));
    let error =
        cloud.files.download_link(&Download::new(named("a"), 60).unwrap()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn without_iam_no_link_is_given() {
    let fake = Fake::start().await;
    let nowhere = google::storage::Settings::of("aula-files").with_iam_at("http://127.0.0.1:1");
    let settings = nowhere.with_metadata_at(&fake.address);
    let http = std::sync::Arc::<google::Http>::default();
    let clock = std::sync::Arc::new(runtime::SystemClock);
    let metadata = google::Metadata::at(&fake.address, http.clone(), clock.clone());
    let random = std::sync::Arc::new(runtime::SystemRandom);
    let files = google::storage::CloudFiles::new(settings, http, metadata.into(), clock, random);
    let files: &dyn runtime::Files = &files;
    let link = files.download_link(&Download::new(named("a"), 60).unwrap()).await;
    assert!(matches!(link, Err(FileError::Unavailable(_))), "{link:?}");
}
