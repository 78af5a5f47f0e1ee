//! What nobody could take: listed and replayed, on the folder of one process.

use std::{fs, path::Path};

use embedded::{
    DeadLetter, LocalBus,
    store::{Database, Options},
};
use runtime::{Envelope, Key, Store as _, Write};
use serde_json::{Value, json};

use crate::support::{
    Server,
    server::{new_folder, run},
    until,
};

const SUBSCRIBER: &str = "notifications.on_identity_code_requested";
const EVENT: &str = "identity.code_requested.v1";

/// Puts a dead letter where the bus keeps them.
fn bury(folder: &Path, id: &str, attempts: u32, data: &Value) {
    let time = "2026-03-02T12:00:00.000Z".parse().expect("a time");
    let letter = DeadLetter {
        id: id.to_owned(),
        subscriber: SUBSCRIBER.to_owned(),
        attempts,
        died_at: time,
        expires_at: Some("2100-01-01T00:00:00.000Z".parse().expect("a time")),
        last_error: "it\nfailed".to_owned(),
        event: Envelope {
            id: format!("event-of-{id}"),
            kind: EVENT.to_owned(),
            source: "identity".to_owned(),
            subject: "u1".to_owned(),
            emitted_at: time,
            traceparent: String::new(),
            correlation_id: "c".to_owned(),
            causation_id: "c".to_owned(),
            data: serde_json::value::to_raw_value(data).expect("it's JSON"),
        },
    };
    let database = Database::open(folder, Options::default()).expect("nobody else has it");
    let bus = database.domain("bus", LocalBus::COLLECTIONS).expect("the bus's collections");
    let create = Write::Create(
        Key::of::<DeadLetter>(&letter.id),
        serde_json::to_string(&letter).expect("it's JSON"),
    );
    let rest =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    rest.block_on(async {
        bus.commit(vec![create]).await.expect("it's taken").expect("it's new");
        database.close().await.expect("it's written");
    });
}

/// What a command says when it succeeds.
fn said(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {complaint}");
    String::from_utf8(output.stdout).expect("it's text")
}

#[test]
fn what_nobody_could_take_is_listed_and_taken_when_it_is_replayed() {
    let server = Server::start(crate::support::Options::default());
    server.register("ada@example.com");
    let ada = server.sign_in("ada@example.com");
    let data = server.stop();
    let nothing = said(&data, &["events", "list"]);
    assert_eq!(nothing.trim(), "Nothing was given up.");

    let contact = json!({
        "user_id": ada.id, "email": ada.email, "name": "Ada", "locale": "en",
        "time_zone": "UTC", "revision": 1,
    });
    let code = json!({
        "code_id": "code-of-a-replay", "purpose": "reset_password", "contact": contact,
        "expires_at": "2100-01-01T00:00:00.000Z",
    });
    bury(&data, "dead", 8, &code);
    bury(&data, "parked", 1, &json!({ "nonsense": true }));

    let listed = said(&data, &["events", "list"]);
    let line = |id: &str| {
        let found = listed.lines().find(|line| line.starts_with(&format!("{id}  ")));
        found.unwrap_or_else(|| panic!("{id}: {listed}")).to_owned()
    };
    for words in [SUBSCRIBER, EVENT, "dead after 8 tries", "it failed"] {
        assert!(line("dead").contains(words), "{words}: {listed}");
    }
    assert!(line("parked").contains("  parked  "), "{listed}");
    assert!(!listed.contains("ada@example.com"), "nothing of what an event says is shown");
    let nobodys = said(&data, &["events", "list", "--subscriber", "courses.on_nothing"]);
    assert_eq!(nobodys.trim(), "Nothing was given up.");
    assert_eq!(said(&data, &["events", "list", "--event", EVENT]), listed);

    // Without a word of assent nothing changes.
    let would = said(&data, &["events", "replay", "--id", "dead"]);
    assert!(would.contains("1 would be replayed"), "{would}");
    assert_eq!(said(&data, &["events", "list"]), listed);
    let did = said(&data, &["events", "replay", "--id", "dead", "--yes"]);
    assert!(did.contains("1 of 1"), "{did}");
    assert!(!said(&data, &["events", "list"]).contains("dead  "));

    let server = Server::on(&data);
    until("the mail of a replayed event", || {
        (server.mail_to("ada@example.com").len() == 2).then_some(())
    });
    // While the platform runs one may look, and not replay.
    assert!(said(server.data(), &["events", "list"]).contains("  parked  "));
    let refused = run(server.data(), &["events", "replay", "--yes"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint.contains("while the platform is stopped"), "{complaint}");
    assert!(complaint.contains(&server.process_id().to_string()), "{complaint}");

    // What can't be read is tried once more, and parked once more.
    let data = server.stop();
    assert!(said(&data, &["events", "replay", "--yes"]).contains("1 of 1"));
    assert_eq!(said(&data, &["events", "list"]).trim(), "Nothing was given up.");
    let data = Server::on(&data).stop();
    let again = said(&data, &["events", "list"]);
    assert!(again.contains("  parked  ") && again.contains("can't be read"), "{again}");
    fs::remove_dir_all(data).unwrap();
}

#[test]
fn events_need_a_folder() {
    let nothing = run(&new_folder(), &["events", "list"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no folder"));
}
