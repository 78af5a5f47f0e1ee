//! Links: where to go from what was just made, so that a reader of the document
//! sees it, and a program that explores the API finds its way.
//!
//! A `POST` to a collection answers a thing with an `id`. Every operation that
//! takes this id is linked: in its path, or in a body whose required fields the
//! request and the answer all have.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{Described, schemas};
use contracts::Method;

/// What an operation needs: the fields of its path, and of its body.
pub(super) struct Needs {
    operation: String,
    path: &'static str,
    in_path: Vec<&'static str>,
    in_body: Vec<String>,
    takes_etag: bool,
}

impl Needs {
    pub(super) fn of(described: &Described<'_>) -> Self {
        let route = described.operation.route;
        let in_path: Vec<_> = route.path_fields().collect();
        let fields = described.request.fields.keys();
        let in_body = fields.filter(|name| {
            described.request.is_required(name) && !in_path.contains(&name.as_str())
        });
        Self {
            operation: described.function.id.clone(),
            path: route.path,
            in_body: in_body.cloned().collect(),
            in_path,
            takes_etag: described.takes_etag(),
        }
    }
}

/// The links of what an operation has made; none if it makes nothing.
pub(super) fn links(
    described: &Described<'_>,
    all: &[Needs],
    given: &mut SchemaGenerator,
) -> Map<String, Value> {
    let route = described.operation.route;
    let schema = described.operation.response.schema(given).to_value();
    let schema = schemas::resolved(&schema, given.definitions());
    let Some(own) = own_field(route.path, all) else { return Map::new() };
    if route.method != Method::Post || schema["properties"]["id"].is_null() {
        return Map::new();
    }
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    for name in properties.keys().filter(|name| name.ends_with("_id")) {
        known.insert(name, format!("$response.body#/{name}"));
    }
    for name in route.path_fields() {
        known.insert(name, format!("$request.path.{name}"));
    }
    known.insert(own, "$response.body#/id".to_owned());
    let mut links = Map::new();
    for needs in all {
        let mut body = needs.in_body.iter().map(String::as_str);
        let has_body =
            needs.in_body.iter().any(|it| it == own) && body.all(|it| known.contains_key(it));
        let is_there = needs.in_path.iter().all(|it| known.contains_key(it));
        if !is_there || !(needs.in_path.contains(&own) || has_body) {
            continue;
        }
        let parameters = needs.in_path.iter().map(|name| ((*name).to_owned(), json!(known[name])));
        let mut parameters: Map<_, _> = parameters.collect();
        if needs.takes_etag && properties.contains_key("etag") {
            parameters.insert("If-Match".to_owned(), json!("$response.body#/etag"));
        }
        let mut link = json!({ "operationId": needs.operation, "parameters": parameters });
        if has_body {
            let body = needs.in_body.iter().map(|name| (name.clone(), json!(known[name.as_str()])));
            link["requestBody"] = Value::Object(body.collect());
        }
        links.insert(needs.operation.clone(), link);
    }
    links
}

/// What the things of a collection are called in paths: those of `/v1/courses`
/// are `course_id`.
fn own_field(collection: &str, all: &[Needs]) -> Option<&'static str> {
    all.iter().find_map(|needs| {
        let rest = needs.path.strip_prefix(collection)?.strip_prefix("/{")?;
        rest.split('}').next()
    })
}
