//! The document of the events: which domain tells what, to whom, in which form.
//!
//! It is `AsyncAPI` 3: a channel for each type of event, which is its topic;
//! its domain sends to it, and each subscriber receives from it.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::schemas::{description, generator, make_plain, said};
use crate::{Domain, Trigger};

/// The `AsyncAPI` document of everything that domains tell one another.
pub fn events(title: &str, domains: &[Domain]) -> Value {
    let mut generator = generator(SchemaSettings::draft07().for_serialize());
    let (mut channels, mut messages, mut operations) = (Map::new(), Map::new(), Map::new());
    for domain in domains {
        for event in &domain.events {
            let (kind, payload) = (event.kind, event.schema.schema(&mut generator).to_value());
            let (summary, details) = said(&description(&payload, generator.definitions()));
            let mut message = json!({
                "name": kind,
                "summary": summary,
                "contentType": "application/json",
                "headers": { "$ref": "#/components/schemas/CloudEvent" },
                "payload": payload,
            });
            if !details.is_empty() {
                message["description"] = json!(details);
            }
            messages.insert(kind.to_owned(), message);
            let channel = json!({
                "address": kind,
                "messages": { "event": { "$ref": format!("#/components/messages/{kind}") } },
            });
            channels.insert(kind.to_owned(), channel);
            operations.insert(format!("{}.emit.{kind}", domain.name), joins("send", kind));
        }
        for function in &domain.functions {
            if let Trigger::Event(subscription) = &function.trigger {
                operations.insert(function.id.clone(), joins("receive", subscription.kind));
            }
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.values_mut().for_each(make_plain);
    schemas.insert("CloudEvent".to_owned(), envelope());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": "1",
            "description": "What the domains tell one another. An event reaches each subscriber at \
                least once, in no particular order. Fields may be added to an event; a new meaning \
                gets a new version in its type.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn joins(action: &str, kind: &str) -> Value {
    json!({ "action": action, "channel": { "$ref": format!("#/channels/{kind}") } })
}

/// The attributes that travel with every event.
fn envelope() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "The attributes of CloudEvents 1.0, as they travel beside the data.",
        "required": [
            "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time",
            "ce-traceparent", "ce-correlationid", "ce-causationid",
        ],
        "properties": {
            "ce-specversion": { "type": "string", "const": "1.0" },
            "ce-id": text("The event's id: one that was handled before is known by it."),
            "ce-type": text("The event's type."),
            "ce-source": text("The domain that tells it."),
            "ce-subject": text("The id of what it happened to."),
            "ce-time": {
                "type": "string", "format": "date-time", "description": "When it happened.",
            },
            "ce-traceparent": text("The trace that it belongs to (W3C Trace Context)."),
            "ce-correlationid": text("The first cause of the chain of events that it belongs to."),
            "ce-causationid": text("The event or the request that caused it."),
        },
    })
}
