//! Spans, as a collector gets them: read with OpenTelemetry's own types.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode as Status},
};
use prost::Message as _;
use runtime::{Domain, conformance::bus::letters, prelude::*};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    google::{ACCOUNT, Google},
    push::{Ask, people},
    serving::{Container, environment, store},
};

/// A collector, and what it got.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    about: Arc<Mutex<BTreeMap<String, String>>>,
    /// Whether it never answers.
    hangs: bool,
}

impl Collector {
    async fn start(hangs: bool) -> (Self, String) {
        let collector = Self { hangs, ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        runtime::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (collector, url)
    }

    /// What it has got so far.
    fn got(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    fn named(&self, name: &str) -> Span {
        let all = self.got();
        let found: Vec<_> = all.iter().filter(|it| it.name == name).collect();
        let [span] = found[..] else { panic!("{name}: {all:#?}") };
        span.clone()
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let export = ExportTraceServiceRequest::decode(body).unwrap();
    for of_process in export.resource_spans {
        for attribute in of_process.resource.unwrap().attributes {
            let value = text(attribute.value.and_then(|it| it.value));
            collector.about.lock().unwrap().insert(attribute.key, value);
        }
        let spans = of_process.scope_spans.into_iter().flat_map(|it| it.spans);
        collector.spans.lock().unwrap().extend(spans);
    }
    if collector.hangs {
        std::future::pending::<()>().await;
    }
    StatusCode::OK
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn known(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key == key);
    let found = found.unwrap_or_else(|| panic!("{key}: {span:?}"));
    text(found.value.clone().and_then(|it| it.value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn has_failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|it| it.code() == Status::Error)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[tokio::test]
async fn an_event_its_commit_and_what_it_tells_are_one_trace() {
    let (collector, url) = Collector::start(false).await;
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("AULA_UNSIGNED_PUSH", "true"),
        ("PUBSUB_EMULATOR_HOST", "127.0.0.1:9"),
    ];
    let container = Container::start(letters(), &set).await;
    let traceparent = traceparent("01");
    let headers = [
        ("traceparent", &*traceparent),
        ("ce-id", "e1"),
        ("ce-type", "letters.sent.v1"),
        ("ce-source", "letters"),
        ("ce-time", "2026-03-02T12:00:00.000Z"),
    ];
    let letter = json!({ "id": "a", "act": "Answer", "text": "Ada Lovelace" }).to_string();
    let path = "/events/letters.on_letters_sent";
    assert_eq!(container.send("POST", path, &headers, &letter).await.status, 204);

    // It was sent before the answer, so nobody has to wait for it now.
    let event = collector.named("letters.on_letters_sent");
    assert_eq!(event.kind(), SpanKind::Consumer);
    assert_eq!((hex(&event.trace_id), hex(&event.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!(known(&event, "messaging.destination.name"), "letters.sent.v1");
    assert!(!has_failed(&event));
    let (commit, publish) = (collector.named("commit"), collector.named("publish"));
    for below in [&commit, &publish] {
        assert_eq!((&below.trace_id, &below.parent_span_id), (&event.trace_id, &event.span_id));
        assert!(below.start_time_unix_nano >= event.start_time_unix_nano);
        assert!(below.end_time_unix_nano <= event.end_time_unix_nano);
        assert!(below.start_time_unix_nano <= below.end_time_unix_nano);
    }
    assert_eq!(known(&commit, "aula.outcome"), "committed");
    assert!(!has_failed(&commit));
    assert!(has_failed(&publish), "there's no Pub/Sub here");
    // What it tells goes on with the trace, below the step that told it.
    let outbox = runtime::Query::ascending::<runtime::Envelope>("emitted_at");
    let told = container.store.query(&outbox).await.unwrap().records.remove(0);
    let told: runtime::Envelope = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told.traceparent, format!("00-{TRACE}-{}-01", hex(&event.span_id)));
    let about = collector.about.lock().unwrap();
    assert_eq!(about["gcp.project_id"], "aula-test");
    assert!(!format!("{:?}", collector.got()).contains("Lovelace"));
}

/// Asks another domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inquire {
    id: String,
}

impl Endpoint for Inquire {
    const OPERATION: &'static str = "askers.inquire";
    const ROUTE: Route = Route::get("/v1/inquiries/{id}");
    type Response = String;
}

async fn inquire(cx: Context<runtime::Anyone>, request: Inquire) -> Result<String> {
    cx.call(Ask { id: request.id }).await
}

fn askers() -> Domain {
    Domain::new("askers").operation(inquire).calls::<Ask>()
}

#[tokio::test]
async fn a_call_joins_the_traces_of_two_containers() {
    let google = Google::start().await;
    let (collector, url) = Collector::start(false).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = format!("http://{}", listener.local_addr().unwrap());
    let certs = google.certs_url();
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("AULA_GOOGLE_JWKS_URL", &*certs),
        ("AULA_CALLERS", ACCOUNT),
        ("AULA_AUDIENCES", &*asked),
    ];
    let (domain, others) = (people(), store(&people()));
    let platform = google::Platform::on(environment(&domain, &set), domain, others);
    runtime::spawn(runtime::listen(listener, platform.router(), std::future::pending()));
    let peers = format!("people={asked}");
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("GCE_METADATA_HOST", &*google.address),
        ("AULA_PEERS", &*peers),
        ("K_SERVICE", "askers-inquire"),
        ("K_REVISION", "1"),
    ];
    let container = Container::start(askers(), &set).await;

    // Nobody has said whether it's to be kept: so it is.
    let answer = container.send("GET", "/v1/inquiries/ada", &[], "").await;
    assert_eq!((answer.status, answer.body), (200, json!("I am ada")));
    let (request, asked) = (collector.named("askers.inquire"), {
        let all = collector.got();
        let kind = |kind| all.iter().find(|it| it.name == "people.ask" && it.kind() == kind);
        let (call, answered) = (kind(SpanKind::Client).unwrap(), kind(SpanKind::Server).unwrap());
        assert_eq!(answered.parent_span_id, call.span_id);
        assert_eq!(known(answered, "http.response.status_code"), "200");
        call.clone()
    });
    assert_eq!((request.kind(), request.parent_span_id.len()), (SpanKind::Server, 0));
    assert_eq!(asked.parent_span_id, request.span_id);
    assert!(collector.got().iter().all(|it| it.trace_id == request.trace_id));
    // The client is told the same, and so is the log.
    let told = answer.headers["traceparent"].to_str().unwrap();
    assert_eq!(told, format!("00-{}-{}-01", hex(&request.trace_id), hex(&request.span_id)));
    assert_eq!(collector.about.lock().unwrap()["service.name"], "askers-inquire");
    assert!(!format!("{:?}", collector.got()).contains("/v1/inquiries"), "no path, no id");
}

#[tokio::test]
async fn what_nobody_wants_kept_is_not_sent() {
    let (collector, url) = Collector::start(false).await;
    let container = Container::start(people(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]).await;
    let traceparent = traceparent("00");
    let headers = [("traceparent", &*traceparent)];
    assert_eq!(container.send("GET", "/v1/greeting", &headers, "").await.status, 200);
    assert_eq!(container.send("GET", "/health/live", &[], "").await.status, 200);
    assert_eq!(collector.got(), []);
    assert_eq!(container.send("GET", "/v1/nothing", &[], "").await.status, 404);
    assert_eq!(collector.named("GET").kind(), SpanKind::Server);
}

#[tokio::test]
async fn a_collector_that_never_answers_is_waited_for_once() {
    let (_collector, url) = Collector::start(true).await;
    let container = Container::start(people(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]).await;
    let began = Instant::now();
    assert_eq!(container.send("GET", "/v1/greeting", &[], "").await.status, 200);
    let first = began.elapsed();
    assert!(first < Duration::from_secs(5), "{first:?}");
    for _ in 0..10 {
        assert_eq!(container.send("GET", "/v1/greeting", &[], "").await.status, 200);
    }
    let others = began.elapsed().checked_sub(first).unwrap();
    assert!(others < Duration::from_secs(5), "{others:?}");
}
