//! The document that API Gateway reads: where each public operation is served,
//! and who is let through to it.
//!
//! `OpenAPI` 3.0 with Google's extensions. It holds what the gateway acts on and
//! no more: parameters and bodies it doesn't check, the functions do, and people
//! read the API's own document. What is of one installation (the project's
//! number, the region, the address that people use) stands as a word in capitals;
//! Terraform puts in what it knows.

use serde_json::{Map, Value, json};

use super::{manifest::is_open, public};
use crate::{Access, Domain, Function, Operation, service_name};

/// How long the gateway waits. The function gives up at 30 seconds and the
/// container at 35: whoever knows most about a failure should be the one to tell it.
const DEADLINE_SECONDS: f64 = 40.0;

/// The name of the scheme that lets the platform's own access tokens through.
const SCHEME: &str = "aula";

/// The document of API Gateway for what some domains offer to anyone outside.
pub fn gateway(title: &str, domains: &[Domain]) -> Value {
    let (mut paths, mut backends) = (Map::new(), Map::new());
    let behind = public(domains).filter(|(function, it)| !is_open(function, it));
    for (function, operation) in behind {
        let (service, path) = (service_name(&function.id), operation.route.path);
        let item = paths.entry(path).or_insert_with(|| preflight(path, &service));
        let method = operation.route.method.as_str().to_lowercase();
        item[method] = routed(function, operation, &service);
        let backend = backend(&service);
        backends.insert(service, backend);
    }
    json!({
        "openapi": "3.0.4",
        "info": {
            "title": title,
            "version": "1",
            "description": "Where API Gateway finds each operation, and whom it lets through.",
        },
        "x-google-api-management": { "backends": backends },
        // What isn't said to be open is closed.
        "security": [{ SCHEME: [] }],
        "paths": paths,
        "components": { "securitySchemes": { SCHEME: scheme(domains) } },
    })
}

/// The address of a function's service: known before it is there, so that the
/// gateway needn't wait for it.
fn address(service: &str) -> String {
    format!("https://{service}-PROJECT_NUMBER.REGION.run.app")
}

fn backend(service: &str) -> Value {
    json!({
        "address": address(service),
        "jwtAudience": address(service),
        "pathTranslation": "APPEND_PATH_TO_ADDRESS",
        "protocol": "h2",
        "deadline": DEADLINE_SECONDS,
    })
}

/// What the gateway checks of a token. It looks for one in the header alone: in
/// a query it would end up in logs.
fn scheme(domains: &[Domain]) -> Value {
    let keys = public(domains).find(|(function, operation)| {
        is_open(function, operation) && operation.route.path.ends_with("/jwks.json")
    });
    let (service, path) = keys.map_or_else(
        || ("SERVICE".to_owned(), "/.well-known/jwks.json"),
        |(function, operation)| (service_name(&function.id), operation.route.path),
    );
    json!({
        "type": "oauth2",
        "flows": { "implicit": { "authorizationUrl": "https://PUBLIC_HOST", "scopes": {} } },
        "x-google-auth": {
            "issuer": "https://PUBLIC_HOST",
            "jwksUri": format!("{}{path}", address(&service)),
            "audiences": ["https://PUBLIC_HOST"],
            "jwtLocations": [{ "header": "Authorization", "valuePrefix": "Bearer " }],
        },
    })
}

fn routed(function: &Function, operation: &Operation, service: &str) -> Value {
    let mut routed = json!({
        "operationId": identifier(&function.id),
        "x-google-backend": service,
        "responses": answers(),
    });
    let parameters = parameters(operation.route.path);
    if !parameters.is_empty() {
        routed["parameters"] = json!(parameters);
    }
    if function.access == Access::Anyone {
        routed["security"] = json!([]);
    }
    routed
}

/// A browser asks before it calls from another origin, and carries no token
/// then. Every service answers that the same way, for any path.
fn preflight(path: &str, service: &str) -> Value {
    let mut options = json!({
        "operationId": format!("preflight_{}", identifier(path)),
        "x-google-backend": service,
        "security": [],
        "responses": answers(),
    });
    let parameters = parameters(path);
    if !parameters.is_empty() {
        options["parameters"] = json!(parameters);
    }
    json!({ "options": options })
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let string = json!({ "type": "string" });
    names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": string }))
        .collect()
}

fn answers() -> Value {
    json!({ "default": { "description": "What the function answers." } })
}

/// A name that the gateway's own configuration can hold: letters, digits and `_`.
fn identifier(text: &str) -> String {
    let plain = |part: &str| part.replace(|it: char| !it.is_ascii_alphanumeric(), "_");
    let parts: Vec<_> = text.split(['/', '.']).filter(|it| !it.is_empty()).map(plain).collect();
    parts.iter().map(|it| it.trim_matches('_')).collect::<Vec<_>>().join("_")
}
