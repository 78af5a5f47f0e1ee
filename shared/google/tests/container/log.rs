//! What gets into the log, and what never does.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use runtime::{
    conformance::bus::letters,
    log::{CloudLog, Lines, Speaker},
};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    google::{ACCOUNT, Google},
    push::people,
    serving::Container,
};

/// Everything that was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Told {
    /// Hears what this thread tells, in every detail, until what it gives is dropped.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let told = Self::default();
        let speaker = Speaker {
            project: Some("aula-test".to_owned()),
            service: Some(("letters".to_owned(), "letters-00001".to_owned())),
        };
        let log = CloudLog::new(Lines::at_once(Box::new(told.clone())), speaker);
        let subscriber = tracing_subscriber::registry().with(log);
        (told, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        // What the test's own client says in detail is nobody's business.
        self.text().lines().map(read).filter(|it| it["severity"] != "DEBUG").collect()
    }
}

const HERE: &str = "https://here.example";
const EVENTS: &str = "/events/letters.on_letters_sent";

#[tokio::test]
async fn no_token_no_address_and_no_name_is_in_the_log() {
    let google = Google::start().await;
    let (told, _guard) = Told::listen();
    let set = [
        ("AULA_GOOGLE_JWKS_URL", &*google.certs_url()),
        ("AULA_PUSH_ACCOUNT", ACCOUNT),
        ("AULA_CALLERS", ACCOUNT),
        ("AULA_UNSIGNED_PUSH", "true"),
        ("AULA_ADMIN_EMAIL", "root@aula.example"),
        ("PUBSUB_EMULATOR_HOST", "127.0.0.1:9"),
    ];
    let container = Container::start(letters(), &set).await;
    let asked = Container::start(people(), &set).await;
    let good = google.token(HERE, json!({}));
    let bad = google.token(HERE, json!({ "email": "ada@example.com", "aud": "https://x.example" }));
    let other = google.token(HERE, json!({ "email": "ada@example.com" }));
    let mut secrets = vec!["ada@example.com".to_owned(), "Lovelace".to_owned(), ACCOUNT.to_owned()];
    for token in [&good, &bad, &other] {
        let bearer = format!("Bearer {token}");
        let forwarded = [("x-forwarded-authorization", bearer.as_str())];
        let headers = [("authorization", bearer.as_str())];
        let about = r#"{"email":"ada@example.com","name":"Ada Lovelace"}"#;
        container.send("POST", EVENTS, &headers, about).await;
        container.send("POST", "/jobs/letters.relay", &headers, "").await;
        let query = "/v1/greeting?email=ada@example.com&name=Lovelace";
        asked.send("GET", query, &forwarded, "").await;
        asked.send("GET", "/internal/people/x", &headers, "").await;
        asked.send("POST", "/v1/greeting", &headers, about).await;
        secrets.extend(token.split('.').map(str::to_owned));
    }
    let failing = json!({ "id": "a", "act": "Fail", "text": "Ada Lovelace <ada@example.com>" });
    let attributes = [
        ("ce-id", "e1"),
        ("ce-type", "letters.sent.v1"),
        ("ce-source", "letters"),
        ("ce-time", "2026-03-02T12:00:00.000Z"),
    ];
    assert_eq!(container.send("POST", EVENTS, &attributes, &failing.to_string()).await.status, 503);
    // What can't be read has it where something else should stand.
    let unreadable = json!({ "id": "a", "act": "Ada Lovelace", "text": "ada@example.com" });
    let mut attributes = attributes;
    attributes[0].1 = "e2";
    let parked = container.send("POST", EVENTS, &attributes, &unreadable.to_string()).await;
    assert_eq!(parked.status, 204);

    let text = told.text();
    assert!(text.lines().count() >= 15, "{text}");
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in the log:\n{text}");
    }
    assert!(!text.contains('@') || text.matches('@').count() == text.matches("\"@type\"").count());
}

#[tokio::test]
async fn each_line_of_a_request_has_its_trace_and_an_error_its_place() {
    let google = Google::start().await;
    let (told, _guard) = Told::listen();
    let set = [("AULA_UNSIGNED_PUSH", "true"), ("GCE_METADATA_HOST", &*google.address)];
    let container = Container::start(letters(), &set).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("ce-id", "e1"),
        ("ce-type", "letters.read.v1"),
        ("ce-source", "letters"),
        ("ce-time", "2026-03-02T12:00:00.000Z"),
    ];
    // It's parked, and that's told as an error.
    assert_eq!(container.send("POST", EVENTS, &headers, "{}").await.status, 204);
    let lines = told.lines();
    let [error, request] = &lines[..] else { panic!("{lines:?}") };
    for line in [error, request] {
        assert_eq!(
            line["logging.googleapis.com/trace"],
            format!("projects/aula-test/traces/{trace}")
        );
        assert_eq!(line["logging.googleapis.com/spanId"].as_str().unwrap().len(), 16);
        assert_eq!(line["function"], "letters.on_letters_sent");
    }
    assert_eq!((&error["severity"], &request["severity"]), (&json!("ERROR"), &json!("INFO")));
    assert_eq!(error["message"], "an event is parked: it is a letters.read.v1");
    assert_eq!(error["serviceContext"]["service"], "letters");
    assert_eq!(error["context"]["reportLocation"]["functionName"], "letters.on_letters_sent");
    assert_eq!(request["httpRequest"]["requestUrl"], EVENTS);
    assert_eq!(request["httpRequest"]["status"], 204);
}
