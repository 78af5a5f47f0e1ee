//! The whole platform in this process, on a folder, with a clock that the test
//! moves: a month is over at once, and its jobs have run.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body, http::Request};
use contracts::Endpoint;
use embedded::{Options, Platform};
use runtime::{Clock as _, Context, IdentityProvider, Settings, System, Trigger};
use serde_json::{Value, json};
use testing::StandingClock;
use tower::ServiceExt as _;

use crate::support::{ADMIN_EMAIL, PASSWORD, server::new_folder};

/// The platform, and its clock.
pub struct House {
    platform: Platform,
    clock: Arc<StandingClock>,
    router: Router,
    folder: PathBuf,
    keys: AtomicU64,
}

/// Whoever asks: with a token, or nobody.
#[derive(Clone, Default)]
pub struct Someone {
    pub id: String,
    pub token: String,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub cookie: String,
    pub body: Value,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..400).contains(&self.status), "{} {}", self.status, self.text);
        self.body
    }
}

/// What people browse with.
pub const AGENT: &str = "Pajarraco99/1.0";

impl House {
    /// Starts it on a new folder.
    pub fn start(provider: IdentityProvider) -> Self {
        let folder = new_folder();
        let settings = Settings {
            public_url: "http://aula.example".to_owned(),
            admin_email: Some(ADMIN_EMAIL.to_owned()),
            identity_providers: vec![provider],
            mail_providers: "post:secret of the post".parse().expect("a provider of mail"),
            ..Settings::default()
        };
        let time = "2026-03-02T15:00:00Z".parse().expect("a time");
        let clock = Arc::new(StandingClock::at(time));
        let options = Options {
            folder: Some(folder.clone()),
            clock: clock.clone(),
            ..Options::new(settings)
        };
        let platform = Platform::start(options, gateway::domains()).expect("a platform");
        let router = runtime::router(platform.host(), &platform.front(None));
        Self { platform, clock, router, folder, keys: AtomicU64::new(1) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The time, in seconds.
    pub fn seconds(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    /// A time that comes in so many hours.
    pub fn in_hours(&self, hours: i64) -> String {
        self.clock.now().plus_minutes(hours * 60).to_string()
    }

    pub fn wait_seconds(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Lets days pass: every job runs several times a day, and what it leads to
    /// is done before the next one runs.
    pub async fn pass_days(&self, days: i64) {
        const TIMES: i64 = 4;
        for _ in 0..days * TIMES {
            self.clock.advance(24 * 60 * 60 / TIMES);
            for served in self.platform.host().functions() {
                if matches!(&served.function.trigger, Trigger::Schedule(it) if !it.is_relay) {
                    self.platform.host().run_job(&served.function.id).await.expect("a job");
                }
            }
            self.settle().await;
            self.platform.tidy().await.expect("it's tidied");
        }
    }

    /// Waits until all that has happened is told.
    pub async fn settle(&self) {
        self.platform.bus().settled().await.expect("a bus");
    }

    /// How many events nobody could take.
    pub async fn dead_letters(&self) -> u64 {
        self.platform.bus().waiting().await.expect("a bus").dead_letters
    }

    /// Closes it; the folder stays.
    pub async fn stop(self) -> PathBuf {
        self.platform.shutdown().await.expect("it's closed");
        self.folder
    }

    pub async fn get(&self, who: &Someone, path: &str) -> Answer {
        self.ask(who, "GET", path, &[], String::new()).await
    }

    pub async fn post(&self, who: &Someone, path: &str, body: Value) -> Value {
        let key = format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        self.ask(who, "POST", path, &[("idempotency-key", key)], body.to_string()).await.ok()
    }

    /// At the version that it is at now.
    pub async fn patch(&self, who: &Someone, path: &str, body: Value) -> Value {
        let etag = text(&self.get(who, path).await.ok()["etag"]);
        self.ask(who, "PATCH", path, &[("if-match", etag)], body.to_string()).await.ok()
    }

    pub async fn delete(&self, who: &Someone, path: &str) {
        self.ask(who, "DELETE", path, &[], String::new()).await.ok();
    }

    pub async fn ask(
        &self,
        who: &Someone,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("user-agent", AGENT);
        if !who.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", who.token));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|it| it.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, location, cookie) =
            (answer.status().as_u16(), header("location"), header("set-cookie"));
        let body = axum::body::to_bytes(answer.into_body(), 1 << 24).await.expect("a body");
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status, location, cookie, body, text }
    }

    /// Asks as the platform itself.
    pub async fn call<E: Endpoint>(&self, request: E) -> E::Response {
        let cx = Context::<System>::of_platform("gateway", &self.platform.front(None).ports);
        cx.call(request).await.map_err(|error| format!("{error}")).expect("an answer")
    }

    /// The newest mail to an address that has these words.
    pub async fn mail(&self, address: &str, words: &str) -> runtime::mail::Message {
        self.settle().await;
        let letters = self.platform.inbox().newest(Some(address), 100, None).await;
        let letters = letters.map_err(|error| format!("{error}")).expect("an inbox");
        let has =
            |it: &runtime::mail::Message| it.subject.contains(words) || it.text.contains(words);
        let found = letters.items.into_iter().map(|it| it.message).find(has);
        found.unwrap_or_else(|| panic!("no mail to {address} with {words:?}"))
    }

    /// The newest code that was mailed to an address.
    pub async fn code(&self, address: &str) -> String {
        let mail = self.mail(address, "").await.text;
        let mut runs = mail.split(|it: char| !it.is_ascii_digit());
        runs.find(|it| it.len() == 8).expect("a code").to_owned()
    }

    /// Registers somebody, with the code out of their mail, and signs them in.
    pub async fn sign_up(&self, email: &str, name: &str) -> Someone {
        let account = json!({
            "email": email, "password": PASSWORD, "name": name, "time_zone": "America/Bogota",
        });
        self.post(&Someone::default(), "/v1/users", account).await;
        let code = self.code(email).await;
        let redeemed = json!({ "email": email, "purpose": "verify_email", "code": code });
        self.post(&Someone::default(), "/v1/codes/redeem", redeemed).await;
        self.sign_in(email).await
    }

    pub async fn sign_in(&self, email: &str) -> Someone {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let session = self.post(&Someone::default(), "/v1/sessions", credentials).await;
        Someone { id: text(&session["user"]["id"]), token: text(&session["access_token"]) }
    }
}

/// A text in an answer.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
