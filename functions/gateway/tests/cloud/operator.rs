//! What an operator asks of a project: what nobody could take, and whether the
//! data is as it must be.

use std::process::{Command, Output};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use testing::emulators;

use crate::{
    cloud::Cloud,
    support::{Client, until},
};

const SUBSCRIBER: &str = "notifications.on_identity_code_requested";
const EVENT: &str = "identity.code_requested.v1";

/// A project on the emulators, and the program that an operator calls.
pub struct Operator {
    project: String,
    firestore: Client,
    pubsub: Client,
}

impl Operator {
    pub fn of(cloud: &Cloud) -> Option<Self> {
        let read = |line: &String| serde_json::from_str::<Value>(line).ok();
        let project = || {
            let told = |line: Value| line["project"].as_str().map(str::to_owned);
            cloud.said().iter().filter_map(read).find_map(told)
        };
        let client = |emulator: &emulators::Emulator| Client::to(emulator.address());
        Some(Self {
            project: until("it to tell its project", project),
            firestore: client(emulators::firestore()?),
            pubsub: client(emulators::pubsub()?),
        })
    }

    /// Asks with these words; the gateway hands over to the program with Google's crates.
    fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.env_clear().args(words).args(["--project", &self.project, "--no-build"]);
        command.args(["--firestore", &self.firestore.address.to_string()]);
        command.args(["--pubsub", &self.pubsub.address.to_string()]);
        command.output().expect("it runs")
    }

    /// What is said to these words.
    pub fn said(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {complaint}");
        String::from_utf8(output.stdout).expect("it's text")
    }

    /// How many documents a collection has, as far as one page tells.
    pub fn count(&self, database: &str, collection: &str) -> usize {
        let documents = format!("/v1/projects/{}/databases/{database}/documents", self.project);
        let page = self.firestore.get(&format!("{documents}/{collection}?pageSize=100"), "").ok();
        page["documents"].as_array().map_or(0, Vec::len)
    }

    fn list(&self) -> Vec<String> {
        let listed = self.said(&["events", "list"]);
        listed.lines().filter(|it| it.contains(SUBSCRIBER)).map(str::to_owned).collect()
    }

    /// Publishes to a topic of the emulator.
    fn publish(&self, topic: &str, attributes: &Value, data: &Value) {
        let data = BASE64_STANDARD.encode(data.to_string());
        let messages = json!({ "messages": [{ "data": data, "attributes": attributes }] });
        let path = format!("/v1/projects/{}/topics/{topic}:publish", self.project);
        self.pubsub.send("POST", &path, &[], messages.to_string().as_bytes()).ok();
    }
}

fn attributes(id: &str) -> Value {
    json!({
        "ce-id": id, "ce-type": EVENT, "ce-source": "identity", "ce-subject": "u1",
        "ce-time": "2026-03-02T12:00:00.000Z",
    })
}

#[test]
fn an_operator_sees_and_replays_what_nobody_could_take() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    let Some(operator) = Operator::of(&cloud) else { return };
    assert_eq!(operator.said(&["events", "list"]).trim(), "Nothing was given up.");
    let ada = cloud.sign_up("ada@aula.example", &[]);

    // A dead letter, as Pub/Sub makes one of what a subscription couldn't push.
    let mut dead = attributes("e-dead");
    let service = SUBSCRIBER.replace(['.', '_'], "-");
    dead["CloudPubSubDeadLetterSourceSubscription"] = json!(service);
    dead["CloudPubSubDeadLetterSourceDeliveryCount"] = json!("10");
    let contact = json!({
        "user_id": ada.id, "email": ada.email, "name": "Ada", "locale": "en",
        "time_zone": "UTC", "revision": 1,
    });
    let code = json!({
        "code_id": "code-of-a-replay", "purpose": "reset_password", "contact": contact,
        "expires_at": "2100-01-01T00:00:00.000Z",
    });
    operator.publish("dead-letters", &dead, &code);
    // And what can never be read, which its subscriber parks.
    operator.publish(EVENT, &attributes("e-parked"), &json!({ "nonsense": true }));
    let listed = until("both to be listed", || Some(operator.list()).filter(|it| it.len() == 2));
    assert!(
        listed[0].contains(&format!("{SUBSCRIBER}  {EVENT}  dead after 10 tries")),
        "{listed:?}"
    );
    assert!(listed[1].contains(&format!("{SUBSCRIBER}  {EVENT}  parked")), "{listed:?}");
    assert!(listed[1].contains("can't be read"), "{listed:?}");
    assert!(!listed.concat().contains("ada@"), "nothing of what an event says is shown");
    let parked = listed[1].split(' ').next().expect("an id").to_owned();

    let words = ["events", "replay", "--subscriber", SUBSCRIBER];
    assert!(operator.said(&words).contains("2 would be replayed"));
    assert_eq!(operator.list(), listed, "without a word of assent nothing changes");
    let did = operator.said(&[words.as_slice(), &["--yes"]].concat());
    assert!(did.contains("2 of 2"), "{did}");
    until("the mail of a replayed event", || {
        (cloud.mail_to("ada@aula.example").len() == 2).then_some(())
    });
    // What still can't be read is parked again: as another arrival.
    let again = until("it to be parked again", || Some(operator.list()).filter(|it| it.len() == 1));
    assert!(again[0].contains("parked") && !again[0].starts_with(&parked), "{again:?}");
}

#[test]
fn an_operator_audits_the_databases() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    let Some(operator) = Operator::of(&cloud) else { return };
    cloud.sign_up("ada@aula.example", &[]);
    let well = operator.said(&["audit"]);
    assert!(well.contains(&format!("Nothing is wrong with the project {}", operator.project)));

    let fields = json!({ "id": { "stringValue": "x" }, "user_id": { "stringValue": "nobody" } });
    let documents = format!("/v1/projects/{}/databases/identity/documents", operator.project);
    let injected = json!({ "fields": fields }).to_string();
    operator
        .firestore
        .send("PATCH", &format!("{documents}/emails/x"), &[], injected.as_bytes())
        .ok();
    let audit = operator.ask(&["audit"]);
    let said = String::from_utf8_lossy(&audit.stdout);
    assert_eq!(audit.status.code(), Some(1), "{said}");
    assert!(said.contains("identity: emails/x leads to nobody"), "{said}");
    assert!(said.contains("1 violations in the project"), "{said}");
}
