//! What runs functions without a caller: events, pushed by their subscriptions,
//! and the scheduler's calls.
//!
//! `204` says that it's done. Anything else has it sent again, later; and slows
//! all that the subscription pushes. So what can never succeed is parked.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use futures_util::FutureExt;
use runtime::{
    Document, Envelope, Error, Gate, Host, Key, Parked, Served, Trace, Trigger, Unreadable, Write,
    service_name,
};
use tokio::time::timeout;

use super::message::{Pushed, wrapped};
use crate::spans::{self, Attribute, Kind, Spans};

/// How long a subscriber may take: the subscription waits for a minute.
const TAKEN_WITHIN: Duration = Duration::from_secs(55);

/// How long a job may take: the scheduler waits for three minutes.
const DONE_WITHIN: Duration = Duration::from_secs(170);

/// The most bytes of a push: ten megabytes in Base64.
const MOST: usize = 14 << 20;

/// What receives events and the scheduler's calls for a host's functions.
pub(crate) struct Receiver {
    pub host: Host,
    /// Which subscriptions' events are taken.
    pub subscriptions: Arc<dyn Gate>,
    /// Which scheduler's calls are taken.
    pub scheduler: Arc<dyn Gate>,
    /// What takes spans, if anything does.
    pub spans: Option<Arc<Spans>>,
}

/// `POST /events/{function}` and `POST /jobs/{function}`.
pub(crate) fn router(receiver: Receiver) -> Router {
    Router::new()
        .route("/events/{function}", post(event))
        .route("/jobs/{function}", post(job))
        .with_state(Arc::new(receiver))
}

/// What came of an event.
enum Outcome {
    Taken,
    /// It may be taken another time.
    Failed(String),
    /// It never will.
    Hopeless(String),
}

async fn event(
    State(receiver): State<Arc<Receiver>>,
    Path(function): Path<String>,
    request: Request<Body>,
) -> StatusCode {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let Some((served, kind)) = receiver.subscriber(&function) else {
        return StatusCode::NOT_FOUND;
    };
    if let Err(refused) = let_in(&*receiver.subscriptions, &parts.headers).await {
        return refused;
    }
    let Ok(body) = axum::body::to_bytes(body, MOST).await else {
        return StatusCode::BAD_REQUEST;
    };
    let pushed = Pushed::read(&parts.headers, &body);
    let trace = Trace::continued(pushed.traceparent.as_deref(), &*served.ports.random);
    let mut known = vec![
        Attribute::new("messaging.system", "gcp_pubsub"),
        Attribute::new("messaging.operation.type", "process"),
        Attribute::new("messaging.destination.name", kind),
    ];
    if let Ok(event) = &pushed.event {
        known.push(Attribute::new("messaging.message.id", &*event.id));
    }
    let take = async {
        let arrived = || wrapped(&parts.headers, &body);
        let status = receiver.take(served, kind, pushed, arrived).await;
        tell("events", &function, status, began);
        status
    };
    receiver.step(trace, (&function, Kind::Consumer), known, take).await
}

/// Lets in whom the gate admits. Where that can't be said, they may come again.
async fn let_in(gate: &dyn Gate, headers: &HeaderMap) -> Result<(), StatusCode> {
    match gate.admits(headers).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(StatusCode::UNAUTHORIZED),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "a caller's ID token can't be checked");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn job(
    State(receiver): State<Arc<Receiver>>,
    Path(function): Path<String>,
    request: Request<Body>,
) -> StatusCode {
    let began = Instant::now();
    let served = receiver.host.function(&function);
    let Some(served) = served.filter(|it| matches!(it.function.trigger, Trigger::Schedule(_)))
    else {
        return StatusCode::NOT_FOUND;
    };
    if let Err(refused) = let_in(&*receiver.scheduler, request.headers()).await {
        return refused;
    }
    let traceparent = request.headers().get("traceparent").and_then(|it| it.to_str().ok());
    let trace = Trace::continued(traceparent, &*served.ports.random);
    let run = async {
        let done = AssertUnwindSafe(receiver.host.run_job(&function)).catch_unwind();
        let error = match timeout(DONE_WITHIN, done).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(told(error)),
            Ok(Err(_panic)) => Some("it panicked".to_owned()),
            Err(_elapsed) => Some(format!("it took more than {} s", DONE_WITHIN.as_secs())),
        };
        let status = match error {
            None => StatusCode::NO_CONTENT,
            Some(error) => {
                tracing::error!(function, error, "a job failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        tell("jobs", &function, status, began);
        status
    };
    receiver.step(trace, (&function, Kind::Server), Vec::new(), run).await
}

impl Receiver {
    /// Runs a step of a trace; its span is sent before it's answered.
    async fn step(
        &self,
        trace: Trace,
        what: (&str, Kind),
        known: Vec<Attribute>,
        run: impl Future<Output = StatusCode>,
    ) -> StatusCode {
        let Some(spans) = &self.spans else { return trace.within(run).await };
        let trace = spans::kept(trace);
        if !trace.sampled {
            return trace.within(run).await;
        }
        let began = spans.begin();
        let status = trace.clone().within(run).await;
        spans.end(&began, &trace, what, known, status.is_success());
        spans.flush().await;
        status
    }

    fn subscriber(&self, function: &str) -> Option<(&Served, &'static str)> {
        let served = self.host.function(function)?;
        match &served.function.trigger {
            Trigger::Event(subscription) => Some((served, subscription.kind)),
            _ => None,
        }
    }

    async fn take(
        &self,
        served: &Served,
        kind: &'static str,
        pushed: Pushed,
        arrived: impl Fn() -> String,
    ) -> StatusCode {
        let function = &served.function.id;
        if pushed.only.is_some_and(|only| only != service_name(function)) {
            return StatusCode::NO_CONTENT;
        }
        let (id, outcome) = match pushed.event {
            Ok(event) if event.kind == kind => {
                (event.id.clone(), self.deliver(function, event).await)
            }
            Ok(event) => (event.id, Outcome::Hopeless(format!("it is a {}", event.kind))),
            Err(because) => (String::new(), Outcome::Hopeless(because)),
        };
        match outcome {
            Outcome::Taken => StatusCode::NO_CONTENT,
            Outcome::Failed(error) => {
                tracing::warn!(function, kind, id, error, "an event wasn't taken");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Outcome::Hopeless(because) => match park(served, &because, &arrived()).await {
                Ok(()) => {
                    let error = because;
                    tracing::error!(function, kind, id, error, "an event is parked");
                    StatusCode::NO_CONTENT
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(function, kind, id, error, "an event can't be parked");
                    StatusCode::SERVICE_UNAVAILABLE
                }
            },
        }
    }

    async fn deliver(&self, function: &str, event: Envelope) -> Outcome {
        let taken = AssertUnwindSafe(self.host.deliver(function, Arc::new(event))).catch_unwind();
        match timeout(TAKEN_WITHIN, taken).await {
            Ok(Ok(Ok(()))) => Outcome::Taken,
            Ok(Ok(Err(Error::Internal(error)))) if error.is::<Unreadable>() => {
                Outcome::Hopeless(format!("{error:#}"))
            }
            Ok(Ok(Err(error))) => Outcome::Failed(told(error)),
            Ok(Err(_panic)) => Outcome::Failed("it panicked".to_owned()),
            Err(_elapsed) => {
                Outcome::Failed(format!("it took more than {} s", TAKEN_WITHIN.as_secs()))
            }
        }
    }
}

/// Keeps what can never be taken in the domain's store, once.
async fn park(served: &Served, because: &str, arrived: &str) -> anyhow::Result<()> {
    let now = served.ports.clock.now();
    let parked = Parked::new(&served.function.id, because, arrived, now);
    let create = Write::Create(Key::of::<Parked>(parked.key()), serde_json::to_string(&parked)?);
    // It's there already if it was parked before, and its acknowledgement got lost.
    let _parked_before = served.ports.store.commit(vec![create]).await?;
    Ok(())
}

fn told(error: Error) -> String {
    match error {
        Error::Internal(error) => format!("{error:#}"),
        error => error.to_string(),
    }
}

/// The line in the log, as an operation has one.
fn tell(what: &str, function: &str, status: StatusCode, began: Instant) {
    tracing::info!(
        target: "request",
        function,
        http_request.request_method = "POST",
        http_request.request_url = format_args!("/{what}/{function}"),
        http_request.status = status.as_u16(),
        http_request.latency = format_args!("{:.6}s", began.elapsed().as_secs_f64()),
        "request"
    );
}
