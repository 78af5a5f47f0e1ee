//! What is declared fits together, and what is generated is what is declared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use runtime::Trigger;
use serde_json::Value;

#[test]
fn generated_files_are_current() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for file in gateway::generated() {
        let kept = fs::read_to_string(root.join(file.path)).unwrap_or_default();
        assert!(kept == file.content, "{}: run `cargo xtask generate`", file.path);
    }
}

#[test]
fn what_is_subscribed_to_is_emitted_by_its_domain() {
    let domains = gateway::domains();
    let emitted: BTreeMap<_, _> = domains
        .iter()
        .flat_map(|domain| domain.events.iter().map(|event| (event.kind, domain.name)))
        .collect();
    for (kind, domain) in &emitted {
        assert_eq!(kind.split('.').next(), Some(*domain), "{kind} is another domain's");
    }
    for function in domains.iter().flat_map(|domain| &domain.functions) {
        if let Trigger::Event(subscription) = &function.trigger {
            assert!(emitted.contains_key(subscription.kind), "nobody emits {}", subscription.kind);
        }
    }
}

#[test]
fn no_two_functions_share_an_id_or_a_route() {
    let domains = gateway::domains();
    let (mut ids, mut routes) = (BTreeSet::new(), BTreeSet::new());
    for function in domains.iter().flat_map(|domain| &domain.functions) {
        assert!(ids.insert(&function.id), "{} is there twice", function.id);
        if let Trigger::Http(operation) = &function.trigger {
            let route = operation.route;
            let is_new = routes.insert((route.method.as_str(), route.path));
            assert!(is_new, "{} {} is there twice", route.method.as_str(), route.path);
        }
    }
}

#[test]
fn every_operation_and_every_field_says_what_it_is() {
    let api = document("openapi/platform.json");
    for (id, operation) in operations(&api) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!((4..=120).contains(&summary.len()), "{id}: {summary:?}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|it| it["$ref"].is_null()) {
            assert!(parameter["description"].is_string(), "{id}: {}", parameter["name"]);
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (name, field) in body["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{id}: {name}");
        }
    }
}

#[test]
fn no_reference_of_the_documents_dangles() {
    for path in ["openapi/platform.json", "openapi/events.json"] {
        let document = document(path);
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 10, "{path} was looked through");
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("nothing outside is referred to");
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.push(reference.to_owned());
            }
            members.values().for_each(|it| collect_references(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| collect_references(it, found)),
        _ => {}
    }
}

fn document(path: &str) -> Value {
    let files = gateway::generated();
    let file = files.iter().find(|file| file.path == path).expect("it is generated");
    serde_json::from_str(&file.content).expect("it is JSON")
}

/// The operations of an API's document, by their ids.
fn operations(api: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let paths = api["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, methods)| methods.as_object().into_iter().flatten());
    operations.map(|(_, operation)| (operation["operationId"].as_str().unwrap_or("?"), operation))
}
