//! One container asks another, over a real wire.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::any};
use google::{Http, Metadata, Peers, ServiceClient};
use runtime::{Bytes, Client as _, Clock, Outgoing, SystemClock, Trace};
use serde_json::{Value, json};
use testing::{SeededRandom, StandingClock};

use crate::{
    google::{ACCOUNT, Google},
    push::people,
    serving::Container,
};

fn client(google: &Google, base: &str, clock: Arc<dyn Clock>) -> ServiceClient {
    let http = Arc::<Http>::default();
    let metadata = Metadata::at(&google.address, http.clone(), clock.clone());
    let peers = Peers::parse(&format!("people={base}")).unwrap();
    ServiceClient::new(peers, http, Arc::new(metadata), clock, Arc::new(SeededRandom::of(1)))
}

fn ask(route: contracts::Route) -> Outgoing {
    Outgoing {
        operation: "people.ask",
        route,
        path: vec![("id".into(), "ada lovelace".to_owned())],
        query: String::new(),
        body: Bytes::new(),
    }
}

const GET: contracts::Route = contracts::Route::get("/internal/people/{id}");
const POST: contracts::Route = contracts::Route::act("/internal/people/{id}");

fn trace() -> Trace {
    Trace::continued(None, &SeededRandom::of(2))
}

/// A service that answers with these statuses, one after the other, and then with the last.
async fn answering(statuses: Vec<u16>) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move || {
        let count = counted.fetch_add(1, Ordering::SeqCst);
        let status = statuses[count.min(statuses.len() - 1)];
        async move {
            if status == 0 {
                std::future::pending::<()>().await;
            }
            (StatusCode::from_u16(status).unwrap(), "\"well\"")
        }
    };
    let router = Router::new().fallback(any(answer));
    runtime::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked)
}

#[tokio::test]
async fn a_container_asks_another_as_itself() {
    let google = Google::start().await;
    // Each knows the other by its address, which isn't known before it listens.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let set = [
        ("AULA_GOOGLE_JWKS_URL", &*google.certs_url()),
        ("AULA_CALLERS", ACCOUNT),
        ("AULA_AUDIENCES", &*url),
    ];
    let domain = people();
    let store = crate::serving::store(&domain);
    let environment = crate::serving::environment(&domain, &set);
    let platform = google::Platform::on(environment, domain, store);
    let address = url.strip_prefix("http://").unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    runtime::spawn(runtime::listen(listener, platform.router(), std::future::pending()));

    let client = client(&google, &url, Arc::new(SystemClock));
    for _ in 0..3 {
        let (status, body) = client.send(ask(GET), &trace()).await.unwrap();
        assert_eq!((status, &*body), (200, &b"\"I am ada lovelace\""[..]));
    }
    assert_eq!(google.id_tokens.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_is_not_expected_is_refused_by_the_other() {
    let google = Google::start().await;
    let set = [("AULA_GOOGLE_JWKS_URL", &*google.certs_url()), ("AULA_CALLERS", ACCOUNT)];
    let container = Container::start(people(), &set).await;
    // The other has another audience than its address.
    let client = client(&google, &container.url, Arc::new(SystemClock));
    assert_eq!(client.send(ask(GET), &trace()).await.unwrap().0, 401);
}

#[tokio::test]
async fn what_only_reads_is_tried_again_and_what_changes_is_not() {
    let google = Google::start().await;
    let (url, asked) = answering(vec![503, 502, 200]).await;
    let reading = client(&google, &url, Arc::new(SystemClock));
    assert_eq!(reading.send(ask(GET), &trace()).await.unwrap().0, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (url, asked) = answering(vec![503, 200]).await;
    let changing = client(&google, &url, Arc::new(SystemClock));
    assert_eq!(changing.send(ask(POST), &trace()).await.unwrap().0, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // A refusal is an answer.
    let (url, asked) = answering(vec![409, 200]).await;
    let refused = client(&google, &url, Arc::new(SystemClock));
    assert_eq!(refused.send(ask(GET), &trace()).await.unwrap().0, 409);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_service_that_fails_is_left_alone_for_a_while() {
    let google = Google::start().await;
    let (url, asked) = answering(vec![503; 6].into_iter().chain([200]).collect()).await;
    let clock = Arc::new(StandingClock::at(SystemClock.now()));
    let client = client(&google, &url, clock.clone());
    for _ in 0..5 {
        client.send(ask(POST), &trace()).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    let (status, body) = client.send(ask(POST), &trace()).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["reason"]), (503, &json!("unavailable")));
    assert_eq!(asked.load(Ordering::SeqCst), 5, "it isn't asked");
    clock.advance(5);
    client.send(ask(POST), &trace()).await.unwrap();
    client.send(ask(POST), &trace()).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 6, "it's asked now and then");
    clock.advance(5);
    assert_eq!(client.send(ask(POST), &trace()).await.unwrap().0, 200);
    assert_eq!(client.send(ask(POST), &trace()).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_service_that_says_nothing_is_not_waited_for_long() {
    let google = Google::start().await;
    let (url, asked) = answering(vec![0]).await;
    let client = client(&google, &url, Arc::new(SystemClock));
    let began = tokio::time::Instant::now();
    assert_eq!(client.send(ask(POST), &trace()).await.unwrap().0, 503);
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it may have been done");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_one_that_is_unknown_is_our_fault() {
    let google = Google::start().await;
    let client = client(&google, "http://127.0.0.1:9", Arc::new(SystemClock));
    assert_eq!(client.send(ask(POST), &trace()).await.unwrap().0, 503);
    let unknown = Outgoing { operation: "nobody.ask", ..ask(GET) };
    let error = client.send(unknown, &trace()).await.unwrap_err().to_string();
    assert_eq!(error, "AULA_PEERS doesn't say where nobody.ask is");
}
