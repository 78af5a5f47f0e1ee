//! What holds for every domain: its outbox can be told, and what it remembers
//! of events and requests can be read.

use runtime::{Envelope, Record};
use serde_json::Value;

/// What is wrong with a domain's outbox, inbox and answers.
pub(super) fn violations(records: &dyn Fn(&str) -> Vec<Record>) -> Vec<String> {
    let mut found = Vec::new();
    for record in records("outbox") {
        match serde_json::from_str::<Envelope>(&record.body) {
            Ok(event) if event.id == record.id => {}
            Ok(_) => found.push(format!("outbox/{} is under a foreign key", record.id)),
            Err(error) => found.push(format!("outbox/{} can't be told: {error}", record.id)),
        }
    }
    for collection in ["inbox", "requests"] {
        for record in records(collection) {
            let document: Value = serde_json::from_str(&record.body).unwrap_or_default();
            if document["id"] != record.id || !document["expires_at"].is_string() {
                found.push(format!("{collection}/{} can't be read", record.id));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use runtime::Version;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_that_cannot_be_told_is_found() {
        let record = |id: &str, body: Value| Record {
            id: id.to_owned(),
            body: body.to_string(),
            version: Version("1".to_owned()),
        };
        let event = json!({
            "id": "e1", "type": "things.made.v1", "source": "things", "subject": "t1",
            "emitted_at": "2026-03-02T12:00:00.000Z", "traceparent": "", "correlation_id": "",
            "causation_id": "", "data": {},
        });
        let documents = |collection: &str| match collection {
            "outbox" => vec![
                record("e1", event.clone()),
                record("e2", event.clone()),
                record("e3", json!({})),
            ],
            "requests" => vec![record("r1", json!({ "id": "r1" }))],
            _ => Vec::new(),
        };
        let found = violations(&documents);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "outbox/e2 is under a foreign key");
        assert!(found[1].starts_with("outbox/e3 can't be told"));
        assert_eq!(found[2], "requests/r1 can't be read");
    }
}
