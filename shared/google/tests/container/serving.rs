//! A container, served on a real socket.

use std::sync::Arc;

use embedded::store::Database;
use google::{Environment, Platform};
use runtime::{Domain, Store};
use serde_json::Value;

/// What the tests' platform is called.
pub const PUBLIC_URL: &str = "https://aula.example";

/// The settings of a container, of which these are set otherwise.
pub fn environment(domain: &Domain, set: &[(&str, &str)]) -> Environment {
    let always = [
        ("GOOGLE_CLOUD_PROJECT", "aula-test"),
        ("AULA_PUBLIC_URL", PUBLIC_URL),
        ("AULA_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("AULA_AUDIENCES", "https://here.example"),
        ("AULA_CALLERS", "nobody"),
        ("AULA_PUSH_ACCOUNT", "push@aula.example"),
        ("AULA_SCHEDULER_ACCOUNT", "scheduler@aula.example"),
    ];
    let get = |name: &str| {
        let set = set.iter().chain(&always).find(|(it, _)| *it == name)?;
        Some(set.1.to_owned())
    };
    Environment::read(domain, get).unwrap()
}

/// An empty store for a domain.
pub fn store(domain: &Domain) -> Arc<dyn Store> {
    let database = Database::in_memory().unwrap();
    database.domain(domain.name, &domain.collections).unwrap()
}

/// A container that listens; it ends with the test.
pub struct Container {
    pub url: String,
    pub store: Arc<dyn Store>,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Container {
    pub async fn start(domain: Domain, set: &[(&str, &str)]) -> Self {
        let store = store(&domain);
        let platform = Platform::on(environment(&domain, set), domain, store.clone());
        Self::serve(&platform, store).await
    }

    pub async fn serve(platform: &Platform, store: Arc<dyn Store>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = platform.router();
        runtime::spawn(runtime::listen(listener, router, std::future::pending()));
        Self { url, store }
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let method = method.parse().unwrap();
        let mut request = client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.unwrap();
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Answer { status, body, headers }
    }
}

mod tests {
    use runtime::conformance::bus::letters;

    use super::*;

    #[tokio::test]
    async fn it_says_that_it_lives_and_is_ready_until_it_drains() {
        let domain = letters();
        let store = store(&domain);
        let platform = Platform::on(environment(&domain, &[]), domain, store.clone());
        let container = Container::serve(&platform, store).await;
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(container.send("GET", path, &[], "").await.status, 200);
        }
        platform.drain();
        assert_eq!(container.send("GET", "/health/live", &[], "").await.status, 200);
        assert_eq!(container.send("GET", "/health/ready", &[], "").await.status, 503);
    }

    #[tokio::test]
    async fn it_serves_its_target_and_nothing_else() {
        let set = [("FUNCTION_TARGET", "letters.relay"), ("AULA_UNSIGNED_PUSH", "true")];
        let container = Container::start(letters(), &set).await;
        assert_eq!(container.send("POST", "/jobs/letters.relay", &[], "").await.status, 204);
        let other = "/events/letters.on_letters_sent";
        assert_eq!(container.send("POST", other, &[], "").await.status, 404);
    }

    #[tokio::test]
    async fn it_speaks_http_2_without_tls_to_whoever_begins_with_it() {
        let container = Container::start(letters(), &[]).await;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let client = client.http2_prior_knowledge().build().unwrap();
        let ask = |path: &str| client.get(format!("{}{path}", container.url)).send();
        // Several at once, on one connection.
        let (live, ready, nowhere) =
            tokio::join!(ask("/health/live"), ask("/health/ready"), ask("/v1/nothing"));
        for (answer, status) in [(live, 200), (ready, 200), (nowhere, 404)] {
            let answer = answer.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert_eq!(answer.status(), status);
        }
    }

    #[tokio::test]
    async fn nothing_runs_after_an_answer() {
        let set = [("AULA_UNSIGNED_PUSH", "true"), ("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")];
        let container = Container::start(letters(), &set).await;
        // A client of its own is kept, so that its connection is there before and after.
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let push = async |id: &str, act: &str| {
            let request = client.post(format!("{}/events/letters.on_letters_sent", container.url));
            let request = request.header("ce-id", id).header("ce-type", "letters.sent.v1");
            let request = request.header("ce-source", "letters");
            let request = request.header("ce-time", "2026-03-02T12:00:00.000Z");
            let letter = format!(r#"{{"id":"{id}","act":"{act}","text":""}}"#);
            request.body(letter).send().await.unwrap().status().as_u16()
        };
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(push("a", "Take").await, 204);
        let before = tasks();
        // What it tells can't be published, what fails is tried, and nobody is left to do it.
        for (id, act, status) in [("b", "Take", 204), ("c", "Answer", 204), ("d", "Fail", 503)] {
            assert_eq!(push(id, act).await, status);
            assert_eq!(tasks(), before, "{act}");
        }
    }

    #[tokio::test]
    async fn an_instance_goes_on_with_googles_trace() {
        let container = Container::start(letters(), &[]).await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let context = format!("{trace}/67667974448284343;o=1");
        let sent = [("x-cloud-trace-context", context.as_str())];
        let answer = container.send("GET", "/v1/nothing", &sent, "").await;
        assert_eq!(answer.body["trace_id"], trace);
        let told = answer.headers["traceparent"].to_str().unwrap();
        assert!(told.starts_with(&format!("00-{trace}-")) && told.ends_with("-01"), "{told}");
    }
}
