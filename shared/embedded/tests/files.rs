//! Files in a folder keep the rules of all files, and what is a folder's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use axum::body::Body;
use contracts::Timestamp;
use embedded::LocalFiles;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use runtime::{
    Bytes, FileInfo, FileName, Files, Secret,
    conformance::files::{self as must, Cabinet},
    files::{Content, Download, Expected, MediaType, NewFile, Upload},
};
use serde_json::Value;
use testing::{SeededRandom, StandingClock};
use tower::ServiceExt as _;

const PUBLIC_URL: &str = "https://aula.example";

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("aula-files-test-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

struct Local {
    files: Arc<dyn Files>,
    served: Arc<LocalFiles>,
    clock: Arc<StandingClock>,
    folder: Folder,
}

impl Local {
    fn new() -> Self {
        Self::after(Folder::new(), 7)
    }

    /// The process that comes after another one.
    fn after(folder: Folder, seed: u64) -> Self {
        let clock = Arc::new(StandingClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let secret = Arc::new(Secret::new(&[7; 32]));
        let random = Arc::new(SeededRandom::of(seed));
        let files = LocalFiles::open(&folder.0, PUBLIC_URL, secret, clock.clone(), random);
        let served = Arc::new(files);
        Self { files: served.clone(), served, clock, folder }
    }

    fn restart(self) -> Self {
        let Self { folder, .. } = self;
        Self::after(folder, 8)
    }

    async fn write(&self, name: &str, content: &'static str) -> FileInfo {
        let content = stream::once(async move { Ok(Bytes::from_static(content.as_bytes())) });
        self.files.write(&text(name), content.boxed()).await.unwrap()
    }

    async fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        let content = self.files.read(&named(name), None).await.unwrap();
        Ok(content.try_collect::<Vec<_>>().await?.concat())
    }

    /// Everything in the folder, sorted.
    fn everything(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        walk(&self.folder.0, &mut all);
        all.sort();
        all
    }

    async fn ask(&self, request: http::Request<Body>) -> http::Response<Bytes> {
        self.send(request).await.unwrap()
    }
}

fn walk(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, all) } else { all.push(path) }
    }
}

fn named(name: &str) -> FileName {
    FileName::parse(name).unwrap()
}

fn plain() -> MediaType {
    MediaType::parse("text/plain").unwrap()
}

fn text(name: &str) -> NewFile {
    NewFile { name: named(name), media_type: plain(), expected: Expected::Anything }
}

#[async_trait]
impl Cabinet for Local {
    fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    async fn send(&self, request: http::Request<Body>) -> Option<http::Response<Bytes>> {
        let answer = self.served.router().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Some(http::Response::from_parts(parts, body.collect().await.ok()?.to_bytes()))
    }

    async fn pass(&self, seconds: u32) {
        self.clock.advance(seconds.into());
    }
}

macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            must::$rule(&Local::new()).await;
        }
    )+};
}

runtime::files_rules!(tests);

#[tokio::test]
async fn files_outlive_the_process_and_so_do_links() {
    let local = Local::new();
    let written = local.write("a/b", "one").await;
    let link = local.files.download_link(&Download::new(named("a/b"), 60).unwrap()).await.unwrap();
    let local = local.restart();
    assert_eq!(local.files.info(&named("a/b")).await.unwrap(), written);
    let answer = local.ask(http::Request::get(&link.url).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"one"[..]));
}

#[tokio::test]
async fn a_file_is_its_label_and_its_content_and_nothing_else_is_left() {
    let local = Local::new();
    local.write("a", "one").await;
    let written = local.write("a", "two").await;
    assert_eq!(local.everything().len(), 2);
    local.files.delete(&named("a"), written.generation).await.unwrap();
    assert_eq!(local.everything(), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_what_is_whole_stays() {
    let local = Local::new();
    local.write("a", "one").await;
    let whole = local.everything();
    let label = whole.iter().find(|it| it.extension().unwrap() == "label").unwrap();
    // A content that got its place before its label was written, a label that
    // wasn't complete, and a content that was arriving.
    for path in [
        label.with_extension("77"),
        label.with_extension("unfinished"),
        local.folder.0.join("incoming/x"),
    ] {
        fs::write(path, "half").unwrap();
    }
    let local = local.restart();
    assert_eq!(local.read("a").await.unwrap(), b"one");
    assert_eq!(local.everything(), whole);
}

#[tokio::test]
async fn who_hangs_up_leaves_nothing() {
    let local = Local::new();
    let (sent, arrived) = tokio::sync::oneshot::channel();
    let content: Content = stream::once(async move {
        let _heard = sent.send(());
        Ok(Bytes::from_static(b"half"))
    })
    .chain(stream::pending())
    .boxed();
    let (files, file) = (local.files.clone(), text("a"));
    let writing = runtime::spawn(async move { files.write(&file, content).await.map(drop) });
    arrived.await.unwrap();
    assert_eq!(local.everything().len(), 1, "it's arriving");
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    assert_eq!(local.everything(), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn what_the_disk_has_changed_is_not_read_as_whole() {
    let local = Local::new();
    local.write("a", "one").await;
    let all = local.everything();
    let content = all.iter().find(|it| it.extension().unwrap() != "label").unwrap();
    fs::write(content, "0ne").unwrap();
    local.read("a").await.unwrap_err();
    fs::write(content, "on").unwrap();
    local.read("a").await.unwrap_err();
}

#[tokio::test]
async fn nobody_else_on_the_machine_reads_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let local = Local::new();
    local.write("a", "one").await;
    for path in local.everything().iter().filter(|it| it.extension().unwrap() != "label") {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    assert_eq!(fs::metadata(&local.folder.0).unwrap().permissions().mode() & 0o077, 0);
}

#[tokio::test]
async fn temporary_files_are_gone_with_the_process() {
    let local = Local::new();
    let (clock, random) = (local.clock.clone(), Arc::new(SeededRandom::of(99)));
    let secret = Arc::new(Secret::new(&[7; 32]));
    let files = LocalFiles::temporary(PUBLIC_URL, secret.clone(), clock.clone(), random.clone());
    let twin = LocalFiles::temporary(PUBLIC_URL, secret, clock, random);
    assert_ne!(files.path(), twin.path());
    let path = files.path().to_owned();
    assert!(!path.exists(), "nothing is made before it's needed");
    files.write(&text("a"), stream::empty().boxed()).await.unwrap();
    assert!(path.exists());
    drop(files);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_refusal_says_why_in_the_readers_language() {
    let local = Local::new();
    let upload = Upload::new(named("a"), plain(), 0..=3, 60).unwrap();
    let link = local.files.upload_link(&upload).await.unwrap();
    let send = |language: &str, content: &'static str| {
        let mut request = http::Request::put(&link.url).header("accept-language", language);
        for (name, value) in &link.headers {
            request = request.header(name, value);
        }
        request.header("content-length", content.len()).body(Body::from(content)).unwrap()
    };
    let told = |answer: &http::Response<Bytes>| {
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["status"], answer.status().as_u16());
        (answer.status().as_u16(), body["reason"].as_str().unwrap().to_owned(), body)
    };
    let (status, reason, body) = told(&local.ask(send("es", "cuatro")).await);
    assert_eq!((status, &*reason), (413, "file-too-large"));
    assert_eq!(body["title"], "El archivo es mayor de lo que permite el enlace.");
    local.clock.advance(61);
    let (status, reason, _) = told(&local.ask(send("en", "one")).await);
    assert_eq!((status, &*reason), (403, "expired-file-link"));
    let unsigned = http::Request::get(format!("{PUBLIC_URL}/local/files/a")).body(Body::empty());
    let (status, reason, _) = told(&local.ask(unsigned.unwrap()).await);
    assert_eq!((status, &*reason), (403, "invalid-file-link"));
}

#[tokio::test]
async fn what_people_send_does_not_run_as_a_page_of_ours() {
    let local = Local::new();
    let file = NewFile { media_type: MediaType::parse("text/html").unwrap(), ..text("a") };
    local.files.write(&file, stream::empty().boxed()).await.unwrap();
    let link = local.files.download_link(&Download::new(named("a"), 60).unwrap()).await.unwrap();
    let answer = local.ask(http::Request::get(&link.url).body(Body::empty()).unwrap()).await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox;"), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}
