//! A container's files: as its environment says.

use google::{Environment, Platform};
use runtime::{
    Domain, FileError, FileName, Files, Need,
    conformance::{bus::letters, files::Cabinet as _},
    files::{Download, MediaType, Upload},
};
use std::sync::Arc;

use crate::{
    Cloud,
    fake::{BUCKET, Fake},
};

/// A container's setting, of which these are its own.
fn setting(name: &str, set: &[(&str, &str)]) -> Option<String> {
    let always = [
        ("GOOGLE_CLOUD_PROJECT", "aula-test"),
        ("AULA_PUBLIC_URL", "https://aula.example"),
        ("AULA_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("AULA_UNSIGNED_PUSH", "true"),
    ];
    set.iter().chain(&always).find(|it| it.0 == name).map(|it| it.1.to_owned())
}

/// The files of a domain whose container has these settings.
fn files(domain: Domain, set: &[(&str, &str)]) -> Arc<dyn Files> {
    let environment = Environment::read(&domain, |name| setting(name, set)).unwrap();
    let platform = Platform::new(environment, domain).unwrap();
    platform.host().function("letters.relay").unwrap().ports.files.clone()
}

#[tokio::test]
async fn a_containers_files_are_in_the_bucket_in_a_folder_of_its_domain() {
    let fake = Fake::start().await;
    let set = [
        ("AULA_FILES_BUCKET", BUCKET),
        ("STORAGE_EMULATOR_HOST", &*fake.url()),
        ("AULA_IAM_URL", &*fake.url()),
        ("GCE_METADATA_HOST", &*fake.address),
    ];
    let files = files(letters().needs(Need::Files), &set);
    let name = || FileName::parse("a/b").unwrap();
    let upload = Upload::new(name(), MediaType::parse("text/plain").unwrap(), 3..=3, 60).unwrap();
    let link = files.upload_link(&upload).await.unwrap();
    let mut request = http::Request::put(&link.url);
    for (name, value) in &link.headers {
        request = request.header(name, value);
    }
    let outside = Cloud::with(&fake, google::storage::LinkSigner::Account);
    let answer = outside.send(request.body("one".into()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let info = files.info(&name()).await.unwrap();
    assert_eq!((info.name, info.size), (name(), 3));
    let whole = FileName::parse("letters/a/b").unwrap();
    assert_eq!(outside.files().info(&whole).await.unwrap().size, 3);
    let listed = files.list("", 10, None).await.unwrap().items;
    assert_eq!(listed.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a/b"]);
}

#[tokio::test]
async fn without_the_need_there_are_none_and_without_a_bucket_it_does_not_start() {
    let download = Download::new(FileName::parse("a").unwrap(), 60).unwrap();
    let refused = files(letters(), &[("AULA_FILES_BUCKET", BUCKET)]).download_link(&download).await;
    assert!(matches!(refused, Err(FileError::Unavailable(_))), "{refused:?}");
    let domain = letters().needs(Need::Files);
    let faults = Environment::read(&domain, |name| setting(name, &[])).unwrap_err().to_string();
    assert!(
        faults.contains("AULA_FILES_BUCKET isn't set: letters couldn't keep files"),
        "{faults}"
    );
}
