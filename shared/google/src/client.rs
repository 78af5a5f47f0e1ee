//! Asking another domain: its function is another service, and knows us by an
//! ID token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use contracts::{Language, Method, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::{
    Bytes, Client, Clock, Outgoing, Random, Refusal, Reply, Trace, problems::UNAVAILABLE,
};

use crate::{Http, Peers, identity::Metadata};

/// How long an answer may take, all tries together: the caller's own deadline
/// is three times that.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long one try may take.
const TRY_WITHIN: Duration = Duration::from_secs(4);

/// How often it's tried.
const TRIES: u32 = 3;

/// The first pause and the longest, in milliseconds.
const PAUSES: (u64, u64) = (50, 1_000);

/// After so many failures in a row a service is left alone for so many milliseconds.
const BREAKS: (u32, i64) = (5, 5_000);

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The way to the other domains' services.
pub struct ServiceClient {
    peers: Peers,
    http: Arc<Http>,
    metadata: Arc<Metadata>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    breakers: Mutex<HashMap<String, Breaker>>,
}

/// What is known of a service that fails.
#[derive(Clone, Copy, Default)]
struct Breaker {
    failures: u32,
    /// When it was last tried though it fails.
    tried_at: Option<Timestamp>,
}

/// What came of one try.
enum Tried {
    Answered(u16, Bytes),
    /// It certainly wasn't begun.
    NotBegun(String),
    /// It may have been.
    Unknown(String),
}

impl ServiceClient {
    /// The way to these services.
    pub fn new(
        peers: Peers,
        http: Arc<Http>,
        metadata: Arc<Metadata>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { peers, http, metadata, clock, random, breakers: Mutex::default() }
    }

    async fn send_to(
        &self,
        base: &str,
        request: &Outgoing,
        trace: &Trace,
    ) -> anyhow::Result<(u16, Bytes)> {
        let url = url(base, request);
        let is_safe = request.route.method == Method::Get;
        let mut failure = "it isn't asked for a while".to_owned();
        for attempt in 1..=TRIES {
            if attempt > 1 {
                self.clock.sleep(self.pause(attempt)).await;
            }
            if !self.may_try(base) {
                break;
            }
            match self.try_once(base, &url, request, trace).await {
                Tried::Answered(status @ (502..=504), body) => {
                    self.note(base, false);
                    // Without a problem of ours it wasn't the function that said so.
                    if !is_safe || attempt == TRIES {
                        return Ok((status, body));
                    }
                    failure = format!("it answered {status}");
                }
                Tried::Answered(status, body) => {
                    self.note(base, true);
                    return Ok((status, body));
                }
                Tried::NotBegun(error) => {
                    self.note(base, false);
                    failure = error;
                }
                Tried::Unknown(error) => {
                    self.note(base, false);
                    failure = error;
                    if !is_safe {
                        break;
                    }
                }
            }
        }
        anyhow::bail!("{failure}")
    }

    async fn try_once(&self, base: &str, url: &str, request: &Outgoing, trace: &Trace) -> Tried {
        let token = match self.metadata.id_token(origin(base)).await {
            Ok(token) => token,
            Err(error) => return Tried::NotBegun(format!("{error:#}")),
        };
        let client = match self.http.client(url) {
            Ok(client) => client,
            Err(error) => return Tried::NotBegun(format!("{error:#}")),
        };
        let method = match request.route.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        // Cloud Run looks at the second header and takes its signature away; the
        // first one reaches the function as it is, which checks it too.
        let mut sent = client
            .request(method, url)
            .timeout(TRY_WITHIN)
            .bearer_auth(&token)
            .header("x-serverless-authorization", format!("Bearer {token}"))
            .header("traceparent", trace.traceparent());
        if request.route.method.has_body() {
            sent = sent
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(request.body.clone());
        }
        // An error's own text has the address in it, and that has ids.
        let told = |error: reqwest::Error| anyhow::Error::from(error.without_url());
        match sent.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                match response.bytes().await {
                    Ok(body) => Tried::Answered(status, body),
                    Err(error) => Tried::Unknown(format!("{:#}", told(error))),
                }
            }
            Err(error) if error.is_connect() || error.is_builder() => {
                Tried::NotBegun(format!("{:#}", told(error)))
            }
            Err(error) => Tried::Unknown(format!("{:#}", told(error))),
        }
    }

    /// Whether a service is to be asked: one that fails is, now and then.
    fn may_try(&self, base: &str) -> bool {
        let (most, millis) = BREAKS;
        let now = self.clock.now();
        let mut breakers = self.breakers.lock().expect("no holder panics");
        let Some(breaker) = breakers.get_mut(base).filter(|it| it.failures >= most) else {
            return true;
        };
        let is_over = |then: Timestamp| now.as_millis() >= then.as_millis().saturating_add(millis);
        let may = breaker.tried_at.is_none_or(is_over);
        if may {
            breaker.tried_at = Some(now);
        }
        may
    }

    fn note(&self, base: &str, well: bool) {
        let mut breakers = self.breakers.lock().expect("no holder panics");
        if well {
            breakers.remove(base);
        } else {
            let breaker = breakers.entry(base.to_owned()).or_default();
            breaker.failures = breaker.failures.saturating_add(1);
            breaker.tried_at = Some(self.clock.now());
        }
    }

    /// A random while that grows with each try.
    fn pause(&self, attempt: u32) -> Duration {
        let (first, longest) = PAUSES;
        let most = first.saturating_mul(1 << attempt.min(10)).min(longest);
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        Duration::from_millis(u64::from(u32::from_le_bytes(bytes)) % most)
    }
}

#[async_trait]
impl Client for ServiceClient {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let operation = request.operation;
        let base = self.peers.of(operation);
        let base = base.with_context(|| format!("AULA_PEERS doesn't say where {operation} is"))?;
        let sent = tokio::time::timeout(DEADLINE, self.send_to(&base, &request, trace)).await;
        let error = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_elapsed) => format!("it took more than {} s", DEADLINE.as_secs()),
        };
        tracing::warn!(operation, error, "another domain doesn't answer");
        let reply = Reply::refused(Refusal::of(UNAVAILABLE), Language::En, trace);
        Ok((reply.status, reply.body))
    }
}

/// Where a request goes.
fn url(base: &str, request: &Outgoing) -> String {
    let segment = |segment: &str| {
        let field = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let value = field.and_then(|field| request.path.iter().find(|(name, _)| *name == field));
        match value {
            Some((_, value)) => utf8_percent_encode(value, SEGMENT).to_string(),
            None => segment.to_owned(),
        }
    };
    let path: Vec<_> = request.route.path.split('/').map(segment).collect();
    let mut url = format!("{base}{}", path.join("/"));
    if !request.query.is_empty() {
        url.push('?');
        url.push_str(&request.query);
    }
    url
}

/// The scheme and the host of an address: a service's audience.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |it| it + 3);
    let end = url[begin..].find('/').map_or(url.len(), |it| begin + it);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_a_scheme_and_a_host() {
        assert_eq!(origin("https://a.example/x/y"), "https://a.example");
        assert_eq!(origin("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_fields_value_is_one_segment_of_the_path() {
        let request = Outgoing {
            operation: "identity.get_contact",
            route: contracts::Route::get("/internal/contacts/{user_id}/x"),
            path: vec![("user_id".into(), "a/b c".to_owned())],
            query: "q=1".to_owned(),
            body: Bytes::new(),
        };
        let expected = "https://a.example/internal/contacts/a%2Fb%20c/x?q=1";
        assert_eq!(url("https://a.example", &request), expected);
    }
}
