//! Spans: the steps of a trace that somebody wants kept, sent to a collector by
//! OpenTelemetry's protocol.
//!
//! A step is what a request, an event or a job has a function do; below it are
//! the calls of other domains, the commits, and what is published. Nothing runs
//! after an answer here, so they are sent before it; a collector that doesn't
//! answer is left alone for a while, and nobody waits for it twice.

mod ports;
mod wire;

use std::{
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::ensure;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use prost::Message as _;
use runtime::{AnsweredBy, Clock, Random, Trace};
use tokio::time::timeout;

use self::wire::{Export, Resource, ResourceSpans, Scope, ScopeSpans, Span, Status};
pub(crate) use self::{
    ports::{Calls, Commits},
    wire::{Attribute, Kind},
};
use crate::{Environment, Http, Metadata};

/// How long a collector may take.
const WITHIN: Duration = Duration::from_secs(1);

/// For how long it's left alone when it doesn't answer.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// How many spans wait at most; what doesn't fit is dropped.
const MOST: usize = 2_000;

/// What takes spans, and sends them.
pub(crate) struct Spans {
    url: String,
    http: Arc<Http>,
    /// Who Google's own collector is told that we are.
    metadata: Option<Arc<Metadata>>,
    resource: Resource,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// A moment by both clocks: the one that tells the time tells milliseconds.
    anchor: Mutex<(Instant, u64)>,
    ended: Mutex<Vec<Span>>,
    /// Since when the collector is left alone. Held while something is sent, so
    /// that whoever comes meanwhile waits until theirs has been sent too.
    sending: tokio::sync::Mutex<Option<Instant>>,
}

/// A step that has begun.
pub(crate) struct Began {
    unix_nanos: u64,
    at: Instant,
}

impl Spans {
    /// What the environment names, if it names a collector.
    pub fn of(
        environment: &Environment,
        http: &Arc<Http>,
        metadata: &Arc<Metadata>,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> Option<Arc<Self>> {
        let endpoint = environment.collector.as_deref()?;
        let is_googles = endpoint == "https://telemetry.googleapis.com";
        let mut attributes = vec![
            Attribute::new("gcp.project_id", &*environment.project),
            Attribute::new("cloud.provider", "gcp"),
        ];
        if let Some(service) = &environment.service {
            attributes.push(Attribute::new("service.name", &**service));
        }
        if let Some(revision) = &environment.revision {
            attributes.push(Attribute::new("service.version", &**revision));
        }
        Some(Arc::new(Self {
            url: format!("{endpoint}/v1/traces"),
            http: http.clone(),
            metadata: is_googles.then(|| metadata.clone()),
            resource: Resource { attributes },
            clock: clock.clone(),
            random: random.clone(),
            anchor: Mutex::new((Instant::now(), 0)),
            ended: Mutex::default(),
            sending: <_>::default(),
        }))
    }

    /// A step begins.
    pub fn begin(&self) -> Began {
        const APART_AT_MOST: u64 = 5_000_000;
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let (told, at) = (millis.saturating_mul(1_000_000), Instant::now());
        let mut anchor = self.anchor.lock().expect("no holder panics");
        let since = at.saturating_duration_since(anchor.0).as_nanos();
        let counted = anchor.1.saturating_add(u64::try_from(since).unwrap_or(u64::MAX));
        if counted.abs_diff(told) <= APART_AT_MOST {
            return Began { unix_nanos: counted, at };
        }
        // The clock was set, or the instance slept.
        *anchor = (at, told);
        Began { unix_nanos: told, at }
    }

    /// The step below the one that runs now, if that one is kept.
    pub fn below(&self) -> Option<Trace> {
        Trace::with_current(|trace| trace.sampled.then(|| trace.next(&*self.random))).flatten()
    }

    /// A step has ended.
    pub fn end(
        &self,
        began: &Began,
        trace: &Trace,
        (name, kind): (&str, Kind),
        attributes: Vec<Attribute>,
        is_well: bool,
    ) {
        let took = u64::try_from(began.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let span = Span {
            trace_id: bytes(&trace.trace_id),
            id: bytes(&trace.span_id),
            parent_id: trace.parent_id.as_deref().map(bytes).unwrap_or_default(),
            name: name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: began.unix_nanos,
            end_time_unix_nano: began.unix_nanos.saturating_add(took),
            attributes,
            status: (!is_well).then_some(Status::ERROR),
            flags: 1,
        };
        let mut ended = self.ended.lock().expect("no holder panics");
        if ended.len() < MOST {
            ended.push(span);
        }
    }

    /// Sends what has ended. When it's done, all that had ended before is sent,
    /// or given up.
    pub async fn flush(&self) {
        let mut left_alone = self.sending.lock().await;
        let spans = mem::take(&mut *self.ended.lock().expect("no holder panics"));
        if spans.is_empty() || left_alone.is_some_and(|since| since.elapsed() < LEFT_ALONE) {
            return;
        }
        let count = spans.len();
        let error = match timeout(WITHIN, self.send(spans)).await {
            Ok(Ok(())) => {
                *left_alone = None;
                return;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_elapsed) => format!("it took more than {} s", WITHIN.as_secs()),
        };
        *left_alone = Some(Instant::now());
        tracing::warn!(count, error, "spans are lost: the collector doesn't take them");
    }

    async fn send(&self, spans: Vec<Span>) -> anyhow::Result<()> {
        let scope = Some(Scope { name: "aula".to_owned() });
        let scope_spans = vec![ScopeSpans { scope, spans }];
        let resource = Some(self.resource.clone());
        let export = Export { resource_spans: vec![ResourceSpans { resource, scope_spans }] };
        let mut request = self
            .http
            .client(&self.url)?
            .post(&self.url)
            .header(http::header::CONTENT_TYPE, "application/x-protobuf")
            .body(export.encode_to_vec());
        if let Some(metadata) = &self.metadata {
            request = request.bearer_auth(metadata.access_token().await?);
        }
        let status = request.send().await?.status();
        ensure!(status.is_success(), "it answered {status}");
        Ok(())
    }
}

/// A trace that a request or an event is a step of. If nobody has said whether
/// it's to be kept, it is.
pub(crate) fn kept(mut trace: Trace) -> Trace {
    trace.sampled |= trace.parent_id.is_none();
    trace
}

/// What is around every request: the step that it is, and the sending.
pub(crate) async fn around(
    State(spans): State<Arc<Spans>>,
    mut request: Request,
    next: Next,
) -> Response {
    let traceparent = request.headers().get("traceparent").and_then(|it| it.to_str().ok());
    let trace = kept(Trace::continued(traceparent, &*spans.random));
    request.extensions_mut().insert(trace.clone());
    if !trace.sampled {
        return next.run(request).await;
    }
    let (began, method) = (spans.begin(), request.method().clone());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let function = response.extensions().get::<AnsweredBy>().map(|AnsweredBy(id)| id.clone());
    // No path: there may be ids in it.
    let attributes = vec![
        Attribute::new("http.request.method", method.as_str()),
        Attribute::new("http.response.status_code", status),
    ];
    let name = function.as_deref().unwrap_or(method.as_str());
    spans.end(&began, &trace, (name, Kind::Server), attributes, status < 500);
    spans.flush().await;
    response
}

/// Hexadecimal digits as bytes.
fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.filter_map(byte).collect()
}
