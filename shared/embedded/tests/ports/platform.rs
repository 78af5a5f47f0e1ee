//! The platform in one process, started and stopped.

use std::sync::Arc;

use axum::body::Body;
use embedded::{Options, Platform};
use runtime::{
    FileName, Need,
    files::{Download, MediaType, Upload},
    mail::{Message, Taken},
};
use tower::ServiceExt as _;

use crate::things::{Act, Beside, Folder, TokioClock, domains, keyring, settings};

fn start(folder: &Folder) -> anyhow::Result<(Platform, Beside)> {
    let options = Options {
        folder: Some(folder.to_path_buf()),
        keyring: Some(keyring()),
        ..Options::new(settings())
    };
    let platform = Platform::start(options, domains())?;
    let beside = Beside::new(platform.ports("things").unwrap());
    Ok((platform, beside))
}

fn message() -> Message {
    Message {
        message_id: "one@aula.example".to_owned(),
        to: "ada@example.com".to_owned(),
        to_name: "Ada".to_owned(),
        subject: "Hello".to_owned(),
        text: "text".to_owned(),
        html: "<p>html</p>".to_owned(),
        headers: Vec::new(),
        attachments: Vec::new(),
    }
}

#[tokio::test]
async fn what_was_there_is_there_after_a_restart() {
    let folder = Folder::new();
    let (platform, beside) = start(&folder).unwrap();
    beside.tell("a", Act::GoOn).await;
    beside.0.mail().send(&message()).await.unwrap();
    let code = beside.0.secret().code("c");
    platform.shutdown().await.unwrap();

    let (platform, beside) = start(&folder).unwrap();
    assert_eq!(platform.bus().waiting().await.unwrap().unsettled(), 0);
    assert_eq!((beside.done("a").await, beside.done("a+").await), (1, 1));
    assert_eq!(beside.0.secret().code("c"), code);
    assert_eq!(beside.0.mail().taken("one@aula.example").await.unwrap(), Taken::Yes);
    let letters = platform.inbox().newest(None, 10, None).await.unwrap().items;
    assert_eq!(letters[0].message, message());
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_second_platform_in_the_same_folder_is_refused() {
    let folder = Folder::new();
    let (platform, _) = start(&folder).unwrap();
    let Err(error) = start(&folder) else { panic!("two platforms in one folder") };
    let said = format!("{error:#}");
    assert!(said.contains(&folder.display().to_string()), "{said}");
    platform.shutdown().await.unwrap();
    assert!(start(&folder).is_ok());
}

#[tokio::test(start_paused = true)]
async fn events_are_carried_and_jobs_run_by_themselves() {
    let options = Options {
        clock: Arc::new(TokioClock::new()),
        keyring: Some(keyring()),
        ..Options::new(settings())
    };
    let platform = Platform::start(options, domains()).unwrap();
    let beside = Beside::new(platform.ports("things").unwrap());
    beside.tell("a", Act::FailTwice).await;
    platform.bus().settled().await.unwrap();
    assert_eq!(beside.done("a").await, 1);
    while beside.done("things.tick").await < 5 {
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_millis(250)).await;
    }
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn after_it_has_stopped_nothing_is_taken() {
    let folder = Folder::new();
    let (platform, beside) = start(&folder).unwrap();
    platform.shutdown().await.unwrap();
    platform.shutdown().await.unwrap();
    assert!(beside.0.mail().send(&message()).await.is_err());
}

#[tokio::test]
async fn nonsense_for_a_mail_server_is_refused_at_the_start() {
    let options = Options {
        smtp_url: Some("https://mail.example".to_owned()),
        keyring: Some(keyring()),
        ..Options::new(settings())
    };
    assert!(Platform::start(options, domains()).is_err());
}

#[tokio::test]
async fn files_are_in_the_folder_for_domains_that_need_them() {
    let folder = Folder::new();
    let options = || Options {
        folder: Some(folder.to_path_buf()),
        keyring: Some(keyring()),
        ..Options::new(settings())
    };
    let needing = || {
        let mut domains = domains();
        domains[0].needs.push(Need::Files);
        domains
    };
    let platform = Platform::start(options(), needing()).unwrap();
    let name = || FileName::parse("a/b").unwrap();
    let plain = MediaType::parse("text/plain").unwrap();
    let upload = Upload::new(name(), plain, 1..=10, 60).unwrap();
    let link = platform.ports("things").unwrap().files.upload_link(&upload).await.unwrap();
    let mut request = http::Request::put(&link.url);
    for (name, value) in &link.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from("one")).unwrap();
    let answer = platform.files_router().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let others = &platform.ports("people").unwrap().files;
    assert!(others.info(&name()).await.is_err(), "the other domain needs none");
    platform.shutdown().await.unwrap();
    drop(platform);

    let platform = Platform::start(options(), needing()).unwrap();
    let files = &platform.ports("things").unwrap().files;
    assert_eq!(files.info(&name()).await.unwrap().size, 3);
    let link = files.download_link(&Download::new(name(), 60).unwrap()).await.unwrap();
    assert!(link.url.starts_with("https://aula.example/local/files/things/a/b?"), "{}", link.url);
    platform.shutdown().await.unwrap();
}
