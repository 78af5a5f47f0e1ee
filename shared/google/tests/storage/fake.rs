//! A stand-in for Cloud Storage, the metadata server and the IAM API, which is
//! strict where others look away: a link's signature is computed anew and
//! checked, and so are its time, its headers and its sizes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use contracts::Timestamp;
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use runtime::{Clock as _, RsaKey, SystemClock};
use serde_json::{Value, json};

use crate::signature;

/// The service account that everyone is.
pub const ACCOUNT: &str = "files@aula-test.iam.gserviceaccount.com";

/// The one bucket.
pub const BUCKET: &str = "aula-files";

const TOKEN: &str = "ya29.files";

/// The account's key: to make one takes long, and what is tested isn't that.
pub fn key() -> &'static RsaKey {
    static KEY: OnceLock<RsaKey> = OnceLock::new();
    KEY.get_or_init(|| RsaKey::generate().unwrap())
}

/// What goes wrong with the next request of the JSON API.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing does, this time.
    Pass,
    /// It's refused with this status, and nothing is done.
    Status(u16),
    /// It's done, and the answer is lost on the way.
    LoseAnswer,
    /// The content breaks off after so many bytes.
    BreakOff(usize),
}

/// Cloud Storage, as far as the adapter and its links' holders see it.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

pub struct Inner {
    pub address: String,
    state: Mutex<Bucket>,
    /// By how much its clock is ahead.
    ahead: AtomicI64,
    faults: Mutex<VecDeque<Fault>>,
    /// How often it was asked for a token, and to sign.
    pub tokens: AtomicUsize,
    pub signatures: AtomicUsize,
    /// How many requests have come, whatever for.
    pub requests: AtomicUsize,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    sessions: Vec<Session>,
    generations: i64,
}

#[derive(Clone)]
struct Object {
    generation: i64,
    content: Bytes,
    content_type: String,
    created: Timestamp,
}

struct Session {
    name: String,
    content_type: String,
    expected: Option<i64>,
    received: Vec<u8>,
    finished: Option<Value>,
}

impl std::ops::Deref for Fake {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// An answer that ends it.
pub struct Refused(Box<Response>);

type Answer = Result<Response, Refused>;

/// A refusal as the XML API tells it.
pub fn refused(status: u16, code: &str) -> Refused {
    let body = format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>");
    let status = StatusCode::from_u16(status).unwrap();
    Refused(Box::new((status, [("content-type", "application/xml")], body).into_response()))
}

fn failed(status: u16) -> Refused {
    let status = StatusCode::from_u16(status).unwrap();
    let error = json!({ "error": { "code": status.as_u16(), "message": "no" } });
    Refused(Box::new((status, axum::Json(error)).into_response()))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// A query's parameters, decoded.
fn parameters(parts: &Parts) -> BTreeMap<String, String> {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let pair = |it: &str| {
        let (name, value) = it.split_once('=')?;
        Some((decoded(name), decoded(&value.replace('+', " "))))
    };
    pairs.filter_map(pair).collect()
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (state, ahead, faults, tokens, signatures, requests) = Default::default();
        let inner = Inner { address, state, ahead, faults, tokens, signatures, requests };
        let fake = Self(Arc::new(inner));
        let router = Router::new().fallback(answer).with_state(fake.clone());
        runtime::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn pass(&self, seconds: u32) {
        self.ahead.fetch_add(i64::from(seconds), Ordering::SeqCst);
    }

    /// Something goes wrong with the next requests of the JSON API.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// What goes wrong has all happened.
    pub fn has_failed(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// Puts an object there, past everyone.
    pub fn put(&self, name: &str, content: &'static str) {
        let content = Bytes::from_static(content.as_bytes());
        self.keep(name, content, "text/plain", None).unwrap();
    }

    fn now(&self) -> Timestamp {
        SystemClock.now().plus_seconds(self.ahead.load(Ordering::SeqCst))
    }

    /// Keeps an object, if what is there has the generation that is expected (0: none).
    fn keep(
        &self,
        name: &str,
        content: Bytes,
        content_type: &str,
        expected: Option<i64>,
    ) -> Option<Value> {
        let mut bucket = self.state.lock().unwrap();
        let there = bucket.objects.get(name).map_or(0, |it| it.generation);
        if expected.is_some_and(|it| it != there) {
            return None;
        }
        bucket.generations += 1;
        let generation = 1_790_000_000_000_000 + bucket.generations;
        let (content_type, created) = (content_type.to_owned(), self.now());
        let object = Object { generation, content, content_type, created };
        let told = object.told(name);
        bucket.objects.insert(name.to_owned(), object);
        Some(told)
    }

    fn object(&self, name: &str, generation: Option<&String>) -> Option<Object> {
        let bucket = self.state.lock().unwrap();
        let object = bucket.objects.get(name)?;
        let is_it = generation.is_none_or(|it| *it == object.generation.to_string());
        is_it.then(|| object.clone())
    }
}

impl Object {
    fn told(&self, name: &str) -> Value {
        let crc32c = crc32c::crc32c(&self.content).to_be_bytes();
        json!({
            "kind": "storage#object", "bucket": BUCKET, "name": name,
            "generation": self.generation.to_string(), "metageneration": "1",
            "contentType": self.content_type, "storageClass": "STANDARD",
            "size": self.content.len().to_string(), "crc32c": BASE64_STANDARD.encode(crc32c),
            "timeCreated": self.created.to_string(), "updated": self.created.to_string(),
        })
    }

    /// All of it or a part, as a `Range` says.
    fn served(&self, headers: &HeaderMap, broken_off: Option<usize>) -> Response {
        let size = self.content.len();
        let range = headers.get("range").map(|it| it.to_str().unwrap().to_owned());
        let (status, from, to) = match range.as_deref().and_then(|it| it.strip_prefix("bytes=")) {
            None => (200, 0, size),
            Some(range) => {
                let (first, last) = range.split_once('-').unwrap();
                let (from, to) = match (first, last) {
                    ("", last) => (size.saturating_sub(last.parse().unwrap()), size),
                    (first, "") => (first.parse().unwrap(), size),
                    (first, last) => {
                        (first.parse().unwrap(), size.min(last.parse::<usize>().unwrap() + 1))
                    }
                };
                if from >= to {
                    return *refused(416, "InvalidRange").0;
                }
                (206, from, to)
            }
        };
        let content = self.content.slice(from..to);
        let crc32c = BASE64_STANDARD.encode(crc32c::crc32c(&self.content).to_be_bytes());
        let mut response = Response::builder()
            .status(status)
            .header("content-type", &self.content_type)
            .header("content-length", content.len())
            .header("x-goog-generation", self.generation)
            .header("x-goog-metageneration", 1)
            .header("x-goog-stored-content-length", size)
            .header("x-goog-stored-content-encoding", "identity")
            .header("x-goog-storage-class", "STANDARD")
            .header("x-goog-hash", format!("crc32c={crc32c}"))
            .header("accept-ranges", "bytes");
        if status == 206 {
            response = response.header("content-range", format!("bytes {from}-{}/{size}", to - 1));
        }
        let body = match broken_off {
            None => Body::from(content),
            Some(after) => Body::from_stream(futures_util::stream::iter([
                Ok(content.slice(..after)),
                Err(std::io::Error::other("it broke off")),
            ])),
        };
        response.body(body).unwrap()
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    fake.requests.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let metadata = "/computeMetadata/v1/instance/service-accounts/default/";
    let answered = if let Some(asked) = path.strip_prefix(metadata) {
        fake.metadata(&parts, asked)
    } else if path == format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:signBlob") {
        fake.sign(&parts, body).await
    } else if path.starts_with("/storage/v1/") || path.starts_with("/upload/") {
        fake.api(&parts, body).await
    } else {
        fake.link(&parts, body).await
    };
    answered.unwrap_or_else(|refused| *refused.0)
}

fn is_allowed(parts: &Parts) -> Result<(), Refused> {
    let bears = parts.headers.get("authorization");
    let bears = bears.is_some_and(|it| it == &format!("Bearer {TOKEN}"));
    if bears { Ok(()) } else { Err(failed(401)) }
}

impl Fake {
    fn metadata(&self, parts: &Parts, asked: &str) -> Answer {
        if parts.headers.get("metadata-flavor").is_none_or(|it| it != "Google") {
            return Err(failed(403));
        }
        match asked {
            "email" => Ok(ACCOUNT.into_response()),
            "token" => {
                self.tokens.fetch_add(1, Ordering::SeqCst);
                let token =
                    json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" });
                Ok(axum::Json(token).into_response())
            }
            _ => Err(failed(404)),
        }
    }

    /// The IAM API's `signBlob`.
    async fn sign(&self, parts: &Parts, body: Body) -> Answer {
        is_allowed(parts)?;
        self.signatures.fetch_add(1, Ordering::SeqCst);
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let payload = BASE64_STANDARD.decode(asked["payload"].as_str().unwrap()).unwrap();
        let signed = BASE64_STANDARD.encode(key().sign(&payload).unwrap());
        Ok(axum::Json(json!({ "keyId": "1", "signedBlob": signed })).into_response())
    }

    /// The JSON API, with what goes wrong with it.
    async fn api(&self, parts: &Parts, body: Body) -> Answer {
        is_allowed(parts)?;
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Status(status)) => Err(failed(status)),
            Some(Fault::LoseAnswer) => {
                let _lost = self.api_done(parts, body, None).await;
                Err(failed(503))
            }
            Some(Fault::BreakOff(after)) => self.api_done(parts, body, Some(after)).await,
            None | Some(Fault::Pass) => self.api_done(parts, body, None).await,
        }
    }

    async fn api_done(&self, parts: &Parts, body: Body, broken_off: Option<usize>) -> Answer {
        let path = parts.uri.path();
        if let Some(session) = path.strip_prefix("/upload/session/") {
            let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| failed(400))?;
            return self.receive(session.parse().unwrap(), parts, &body);
        }
        let objects = format!("/storage/v1/b/{BUCKET}/o");
        if path == format!("/upload{objects}") {
            return self.begin(parts, body).await;
        }
        let query = parameters(parts);
        if path == objects {
            return Ok(self.list(&query));
        }
        let name = path.strip_prefix(&objects).and_then(|it| it.strip_prefix('/'));
        let name = name.filter(|it| !it.contains('/')).ok_or_else(|| failed(404))?;
        let name = decoded(name);
        match (&parts.method, query.get("alt").map(String::as_str)) {
            (&Method::GET, Some("media")) => {
                let object = self.object(&name, query.get("generation"));
                let object = object.ok_or_else(|| failed(404))?;
                Ok(object.served(&parts.headers, broken_off))
            }
            (&Method::GET, None) => {
                let object = self.object(&name, query.get("generation"));
                Ok(axum::Json(object.ok_or_else(|| failed(404))?.told(&name)).into_response())
            }
            (&Method::DELETE, None) => {
                let mut bucket = self.state.lock().unwrap();
                let there = bucket.objects.get(&name).ok_or_else(|| failed(404))?.generation;
                if query.get("ifGenerationMatch").is_some_and(|it| *it != there.to_string()) {
                    return Err(failed(412));
                }
                bucket.objects.remove(&name);
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            _ => Err(failed(405)),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        let most: usize = query["maxResults"].parse().unwrap();
        let after = query.get("pageToken").map(|it| BASE64_STANDARD.decode(it).unwrap());
        let after = after.map(|it| String::from_utf8(it).unwrap());
        let bucket = self.state.lock().unwrap();
        let found = bucket.objects.iter().filter(|(name, _)| {
            name.starts_with(&prefix) && after.as_ref().is_none_or(|after| *name > after)
        });
        let mut found: Vec<_> = found.take(most + 1).collect();
        let is_last = found.len() <= most;
        found.truncate(most);
        let mut page = json!({ "kind": "storage#objects" });
        // As the real one: what is empty isn't told.
        if let Some((last, _)) = found.last() {
            page["items"] = found.iter().map(|(name, object)| object.told(name)).collect();
            if !is_last {
                page["nextPageToken"] = BASE64_STANDARD.encode(last).into();
            }
        }
        axum::Json(page).into_response()
    }

    /// Begins an upload that goes on under another address.
    async fn begin(&self, parts: &Parts, body: Body) -> Answer {
        let query = parameters(parts);
        assert_eq!(query["uploadType"], "resumable");
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap();
        let name = query["name"].clone();
        let content_type = told["contentType"].as_str().unwrap_or("application/octet-stream");
        let content_type = content_type.to_owned();
        let expected = query.get("ifGenerationMatch").map(|it| it.parse().unwrap());
        let there = self.object(&name, None).map_or(0, |it| it.generation);
        if expected.is_some_and(|it: i64| it != there) {
            return Err(failed(412));
        }
        let mut bucket = self.state.lock().unwrap();
        let (received, finished) = Default::default();
        bucket.sessions.push(Session { name, content_type, expected, received, finished });
        let location = format!("{}/upload/session/{}", self.url(), bucket.sessions.len() - 1);
        Ok([("location", location)].into_response())
    }

    /// Takes a part of an upload, or tells how far it is.
    fn receive(&self, session: usize, parts: &Parts, body: &[u8]) -> Answer {
        let range = parts.headers["content-range"].to_str().unwrap();
        let (span, total) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        let total: Option<usize> = total.parse().ok();
        let mut bucket = self.state.lock().unwrap();
        let upload = &mut bucket.sessions[session];
        if let Some(told) = &upload.finished {
            return Ok(axum::Json(told).into_response());
        }
        if let Some((from, to)) = span.split_once('-') {
            assert_eq!(from.parse(), Ok(upload.received.len()), "an upload has no gaps");
            if to != "*" {
                assert_eq!(to.parse::<usize>().unwrap() + 1, upload.received.len() + body.len());
            }
            assert!(total.is_some() || body.len().is_multiple_of(256 * 1024), "{}", body.len());
            upload.received.extend_from_slice(body);
        }
        if total != Some(upload.received.len()) {
            let mut response = *failed(308).0;
            if let Some(last) = upload.received.len().checked_sub(1) {
                let range = format!("bytes=0-{last}");
                response.headers_mut().insert("range", range.parse().unwrap());
            }
            return Ok(response);
        }
        let content = Bytes::copy_from_slice(&upload.received);
        if let Some(hash) = parts.headers.get("x-goog-hash") {
            let crc32c = BASE64_STANDARD.encode(crc32c::crc32c(&content).to_be_bytes());
            assert!(hash.to_str().unwrap().contains(&format!("crc32c={crc32c}")));
        }
        let (name, content_type) = (upload.name.clone(), upload.content_type.clone());
        let expected = upload.expected;
        drop(bucket);
        let told = self.keep(&name, content, &content_type, expected).ok_or_else(|| failed(412))?;
        self.state.lock().unwrap().sessions[session].finished = Some(told.clone());
        Ok(axum::Json(told).into_response())
    }

    /// What a link leads to: the XML API.
    async fn link(&self, parts: &Parts, body: Body) -> Answer {
        signature::check(parts, self.now(), ACCOUNT, key().public())?;
        let path = parts.uri.path();
        let name = path.strip_prefix(&format!("/{BUCKET}/"));
        let name = decoded(name.ok_or_else(|| refused(404, "NoSuchBucket"))?);
        let query = parameters(parts);
        match parts.method {
            Method::GET => {
                let object = self.object(&name, query.get("generation"));
                let object = object.ok_or_else(|| refused(404, "NoSuchKey"))?;
                let mut response = object.served(&parts.headers, None);
                for (asked, header) in [
                    ("response-content-type", "content-type"),
                    ("response-content-disposition", "content-disposition"),
                ] {
                    if let Some(value) = query.get(asked) {
                        response.headers_mut().insert(header, value.parse().unwrap());
                    }
                }
                Ok(response)
            }
            Method::PUT => {
                let header = |name: &str| Some(parts.headers.get(name)?.to_str().unwrap());
                let sizes = header("x-goog-content-length-range").and_then(|it| it.split_once(','));
                let (least, most) = sizes.map_or((0, usize::MAX), |(least, most)| {
                    (least.parse().unwrap(), most.parse().unwrap())
                });
                let mut content = Vec::new();
                let mut pieces = body.into_data_stream();
                while let Some(piece) = pieces.next().await {
                    content.extend_from_slice(&piece.map_err(|_| refused(400, "IncompleteBody"))?);
                    if content.len() > most {
                        return Err(refused(400, "EntityTooLarge"));
                    }
                }
                if content.len() < least {
                    return Err(refused(400, "EntityTooSmall"));
                }
                let content_type = header("content-type").unwrap_or("application/octet-stream");
                let expected = header("x-goog-if-generation-match").map(|it| it.parse().unwrap());
                let kept = self.keep(&name, content.into(), content_type, expected);
                let told = kept.ok_or_else(|| refused(412, "PreconditionFailed"))?;
                let generation = told["generation"].as_str().unwrap().to_owned();
                Ok([("x-goog-generation", generation)].into_response())
            }
            _ => Err(refused(405, "MethodNotAllowed")),
        }
    }
}
