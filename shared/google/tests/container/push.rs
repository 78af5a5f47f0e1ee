//! What a subscription pushes: who may, in which form, and what becomes of it.

use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::{
    Domain, Parked, Query,
    conformance::bus::letters,
    prelude::{Context, Endpoint, JsonSchema, Result, Route, System},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    google::{ACCOUNT, Google},
    serving::Container,
};

const HERE: &str = "https://here.example";
const EVENTS: &str = "/events/letters.on_letters_sent";

async fn container(google: &Google) -> Container {
    let set = [
        ("AULA_GOOGLE_JWKS_URL", &*google.certs_url()),
        ("AULA_PUSH_ACCOUNT", ACCOUNT),
        ("AULA_SCHEDULER_ACCOUNT", "scheduler@aula-test.iam.gserviceaccount.com"),
        ("GCE_METADATA_HOST", &google.address),
        // What it tells can't be published here; it waits in the outbox.
        ("PUBSUB_EMULATOR_HOST", "127.0.0.1:9"),
    ];
    Container::start(letters(), &set).await
}

fn attributes(id: &str) -> Value {
    json!({
        "ce-specversion": "1.0", "ce-id": id, "ce-type": "letters.sent.v1", "ce-source": "letters",
        "ce-subject": "a", "ce-time": "2026-03-02T12:00:00.000Z",
    })
}

fn wrapped(attributes: &Value, data: &str) -> String {
    let data = BASE64_STANDARD.encode(data);
    let message = json!({
        "data": data, "attributes": attributes, "messageId": "1", "message_id": "1",
        "publishTime": "2026-03-02T12:00:00.5Z", "publish_time": "2026-03-02T12:00:00.5Z",
    });
    let subscription = "projects/p/subscriptions/s";
    json!({ "message": message, "subscription": subscription, "deliveryAttempt": 1 }).to_string()
}

const SENT: &str = r#"{"id":"a","act":"Take","text":"t"}"#;

async fn push(container: &Container, token: &str, body: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    container.send("POST", EVENTS, &headers, body).await.status
}

/// How often a letter has taken effect.
async fn times(container: &Container, id: &str) -> u64 {
    let key = runtime::Key { collection: "seen", id: id.to_owned() };
    let seen = container.store.get(&key).await.unwrap();
    seen.map_or(0, |it| serde_json::from_str::<Value>(&it.body).unwrap()["times"].as_u64().unwrap())
}

async fn parked(container: &Container) -> Vec<Parked> {
    let query = Query::descending::<Parked>("parked_at");
    let rows = container.store.query(&query).await.unwrap();
    rows.records.iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect()
}

#[tokio::test]
async fn only_the_subscriptions_own_account_may_push() {
    let google = Google::start().await;
    let container = container(&google).await;
    let body = wrapped(&attributes("e1"), SENT);
    let good = google.token(HERE, json!({}));
    for bad in [
        google.token("https://there.example", json!({})),
        google.token(HERE, json!({ "email": "scheduler@aula-test.iam.gserviceaccount.com" })),
        format!("{good}x"),
        String::new(),
    ] {
        assert_eq!(push(&container, &bad, &body).await, 401, "{bad}");
    }
    assert_eq!(container.send("POST", EVENTS, &[], &body).await.status, 401);
    assert_eq!(times(&container, "a").await, 0);
    assert_eq!(push(&container, &good, &body).await, 204);
    assert_eq!(times(&container, "a").await, 1);
}

#[tokio::test]
async fn only_the_schedulers_account_may_run_a_job() {
    let google = Google::start().await;
    let container = container(&google).await;
    let run = async |email: &str| {
        let bearer = format!("Bearer {}", google.token(HERE, json!({ "email": email })));
        let headers = [("authorization", &*bearer)];
        container.send("POST", "/jobs/letters.relay", &headers, "").await.status
    };
    assert_eq!(run(ACCOUNT).await, 401);
    assert_eq!(run("scheduler@aula-test.iam.gserviceaccount.com").await, 204);
}

#[tokio::test]
async fn the_same_event_takes_effect_once_wrapped_or_not() {
    let google = Google::start().await;
    let container = container(&google).await;
    let bearer = format!("Bearer {}", google.token(HERE, json!({})));
    let attributes = attributes("e1");
    let mut headers = vec![("authorization", &*bearer)];
    for (name, value) in attributes.as_object().unwrap() {
        headers.push((name, value.as_str().unwrap()));
    }
    assert_eq!(container.send("POST", EVENTS, &headers, SENT).await.status, 204);
    let token = bearer.strip_prefix("Bearer ").unwrap();
    for _ in 0..3 {
        assert_eq!(push(&container, token, &wrapped(&attributes, SENT)).await, 204);
    }
    assert_eq!(times(&container, "a").await, 1);
}

#[tokio::test]
async fn what_can_never_succeed_is_parked_once_and_acknowledged() {
    let google = Google::start().await;
    let container = container(&google).await;
    let token = google.token(HERE, json!({}));
    let mut other = attributes("e2");
    other["ce-type"] = json!("letters.read.v1");
    let hopeless = [
        ("nonsense".to_owned(), "it isn't a push of Pub/Sub"),
        (wrapped(&json!({}), SENT), "it has no ce-time"),
        (wrapped(&attributes("e1"), r#"{"id":7}"#), "the event can't be read as letters.sent.v1"),
        (wrapped(&other, SENT), "it is a letters.read.v1"),
        (wrapped(&attributes("e3"), "\u{fffd}{"), "it isn't JSON"),
    ];
    for (body, _) in &hopeless {
        for _ in 0..2 {
            assert_eq!(push(&container, &token, body).await, 204);
        }
    }
    let parked = parked(&container).await;
    assert_eq!(parked.len(), hopeless.len());
    for (body, because) in &hopeless {
        let found = parked.iter().find(|it| it.because.starts_with(because));
        let found = found.unwrap_or_else(|| panic!("{because}: {parked:?}"));
        assert_eq!(found.arrived, *body);
        assert_eq!(found.subscriber, "letters.on_letters_sent");
    }
}

#[tokio::test]
async fn what_may_succeed_later_is_not_acknowledged() {
    let google = Google::start().await;
    let container = container(&google).await;
    let token = google.token(HERE, json!({}));
    for (act, id) in [("Fail", "e1"), ("PanicOnce", "e2")] {
        let sent = json!({ "id": id, "act": act, "text": "" }).to_string();
        assert_eq!(push(&container, &token, &wrapped(&attributes(id), &sent)).await, 503);
    }
    let unknown = container.send("POST", "/events/letters.on_nothing", &[], "").await;
    assert_eq!(unknown.status, 404);
    assert!(parked(&container).await.is_empty());
}

#[tokio::test]
async fn a_replay_for_another_subscriber_is_none_of_ours() {
    let google = Google::start().await;
    let container = container(&google).await;
    let token = google.token(HERE, json!({}));
    let mut only = attributes("e1");
    only["aula-only"] = json!("letters-on-letters-read");
    assert_eq!(push(&container, &token, &wrapped(&only, SENT)).await, 204);
    assert_eq!(times(&container, "a").await, 0);
    only["aula-only"] = json!("letters-on-letters-sent");
    assert_eq!(push(&container, &token, &wrapped(&only, SENT)).await, 204);
    assert_eq!(times(&container, "a").await, 1);
}

#[tokio::test]
async fn what_cannot_be_published_waits_in_the_outbox() {
    let google = Google::start().await;
    let container = container(&google).await;
    let token = google.token(HERE, json!({}));
    let sent = json!({ "id": "a", "act": "Answer", "text": "" }).to_string();
    let began = tokio::time::Instant::now();
    assert_eq!(push(&container, &token, &wrapped(&attributes("e1"), &sent)).await, 204);
    assert!(began.elapsed().as_secs() < 10, "it's answered all the same");
    let waiting = Query::ascending::<runtime::Envelope>("emitted_at");
    assert_eq!(container.store.count(&waiting).await.unwrap(), 1);
}

/// Something that only the platform may ask.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub id: String,
}

impl Endpoint for Ask {
    const OPERATION: &'static str = "people.ask";
    const ROUTE: Route = Route::get("/internal/people/{id}");
    type Response = String;
}

/// Something that anyone may ask.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Greet {}

impl Endpoint for Greet {
    const OPERATION: &'static str = "people.greet";
    const ROUTE: Route = Route::get("/v1/greeting");
    type Response = String;
}

async fn ask(_: Context<System>, request: Ask) -> Result<String> {
    Ok(format!("I am {}", request.id))
}

async fn greet(cx: Context<runtime::Anyone>, _: Greet) -> Result<String> {
    Ok(cx.caller.user.map_or("nobody".to_owned(), |it| it.id.to_string()))
}

/// A domain that others ask.
pub fn people() -> Domain {
    Domain::new("people").operation(ask).operation(greet)
}

#[tokio::test]
async fn an_operation_between_domains_is_for_their_accounts_alone() {
    let google = Google::start().await;
    let set = [("AULA_GOOGLE_JWKS_URL", &*google.certs_url()), ("AULA_CALLERS", ACCOUNT)];
    let container = Container::start(people(), &set).await;
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        container.send("GET", "/internal/people/ada", &headers, "").await
    };
    let answer = ask(&google.token(HERE, json!({}))).await;
    assert_eq!((answer.status, answer.body), (200, json!("I am ada")));
    let other = ask(&google.token(HERE, json!({ "email": "a@example.com" }))).await;
    assert_eq!((other.status, &other.body["reason"]), (401, &json!("unauthenticated")));
    assert_eq!(container.send("GET", "/internal/people/ada", &[], "").await.status, 401);
}

#[tokio::test]
async fn the_gateways_own_token_makes_nobody_a_user() {
    let google = Google::start().await;
    let set = [("AULA_GOOGLE_JWKS_URL", &*google.certs_url())];
    let container = Container::start(people(), &set).await;
    let gateways = format!("Bearer {}", google.token(HERE, json!({})));
    let headers = [("authorization", &*gateways)];
    let answer = container.send("GET", "/v1/greeting", &headers, "").await;
    assert_eq!((answer.status, answer.body), (200, json!("nobody")));
    // A user's bad token is bad, wherever the gateway has put it.
    let headers = [("authorization", &*gateways), ("x-forwarded-authorization", "Bearer x")];
    assert_eq!(container.send("GET", "/v1/greeting", &headers, "").await.status, 401);
    let headers = [("authorization", "Bearer x.y.z")];
    assert_eq!(container.send("GET", "/v1/greeting", &headers, "").await.status, 401);
}

#[tokio::test]
async fn while_tokens_cannot_be_checked_nobody_is_let_in_and_nobody_turned_away() {
    let google = Google::start().await;
    let certs = google.certs_url();
    let set =
        [("AULA_GOOGLE_JWKS_URL", &*certs), ("AULA_JWKS_URL", &*certs), ("AULA_CALLERS", ACCOUNT)];
    let container = Container::start(people(), &set).await;
    let token = google.token(HERE, json!({}));
    google.fail(true);
    let bearer = format!("Bearer {token}");
    for (path, header) in
        [("/internal/people/ada", "authorization"), ("/v1/greeting", "x-forwarded-authorization")]
    {
        let answer = container.send("GET", path, &[(header, &*bearer)], "").await;
        assert_eq!((answer.status, &answer.body["reason"]), (503, &json!("unavailable")), "{path}");
        assert_eq!(answer.headers["retry-after"], "1", "{path}");
    }
    let letters = self::container(&google).await;
    assert_eq!(push(&letters, &token, &wrapped(&attributes("e"), SENT)).await, 503);
}
