//! What is written down of the functions, out of their own declarations: the
//! API's document (`OpenAPI` 3.1), the document that API Gateway reads
//! (`OpenAPI` 3.0), the events' document (`AsyncAPI` 3), the manifest that
//! Terraform lays out, and the table of functions for people.

use std::collections::BTreeMap;

use contracts::{Body, Idempotency, Method, Problem, ProblemDetails};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    Access, Domain, Function, Operation, Trigger,
    problems::{
        DEADLINE_EXCEEDED, ETAG_REQUIRED, FORBIDDEN, IDEMPOTENCY_KEY_REQUIRED, INTERNAL,
        INVALID_IDEMPOTENCY_KEY, INVALID_PAGE_TOKEN, INVALID_REQUEST, KEY_REUSED, NO_SUCH_PATH,
        NOT_JSON, STALE_ETAG, STILL_RUNNING, TOO_LARGE, TOO_MANY_REQUESTS, TRY_AGAIN,
        UNAUTHENTICATED, UNAVAILABLE,
    },
};

mod events;
mod gateway;
mod links;
mod manifest;
mod schemas;
mod table;

pub use events::events;
pub use gateway::gateway;
pub use manifest::manifest;
pub use table::functions;

use links::Needs;
use schemas::{Request, generator, join, request, said, without_null};

/// What every caller should know, at the head of the document.
const INTRODUCTION: &str = include_str!("openapi/introduction.md");

/// The `OpenAPI` document of the operations that anyone outside can reach.
pub fn document(title: &str, domains: &[Domain]) -> Value {
    let mut taken = generator(SchemaSettings::draft2020_12().for_deserialize());
    let mut given = generator(SchemaSettings::draft2020_12().for_serialize());
    given.subschema_for::<ProblemDetails>();

    let mut asking = json!({});
    let mut answering: BTreeMap<(&str, String), Value> = BTreeMap::new();
    let mut describe = |(function, operation)| {
        let request = request(&mut taken, operation);
        Described { function, operation, request }
    };
    let described: Vec<_> = public(domains).map(&mut describe).collect();
    let needs: Vec<_> = described.iter().map(Needs::of).collect();
    for it in &described {
        let place = (it.operation.route.path, it.operation.route.method.as_str().to_lowercase());
        asking[place.0][&place.1] = it.asked();
        answering.insert(place, it.answered(&needs, &mut given));
    }
    let (mut paths, components) = join(asking, taken, given);
    for ((path, method), answers) in answering {
        paths[path][method]["responses"] = answers;
    }
    let responses = shared_responses(&paths);
    let tags =
        domains.iter().filter(|domain| public(std::slice::from_ref(*domain)).next().is_some());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": "1",
            "description": INTRODUCTION,
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.map(|domain| json!({ "name": domain.name })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": shared_parameters(),
            "headers": shared_headers(),
            "responses": responses,
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `access_token` that `POST /v1/sessions` answers.",
            } },
        },
    })
}

/// The operations that can be reached from outside, with their functions.
fn public(domains: &[Domain]) -> impl Iterator<Item = (&Function, &Operation)> {
    let functions = domains.iter().flat_map(|domain| &domain.functions);
    functions.filter_map(|function| match &function.trigger {
        Trigger::Http(operation) if !operation.route.is_internal() => Some((function, operation)),
        _ => None,
    })
}

/// An operation, on its way into the document.
struct Described<'a> {
    function: &'a Function,
    operation: &'a Operation,
    request: Request,
}

impl Described<'_> {
    fn is_keyed(&self) -> bool {
        self.operation.route.method == Method::Post
            && self.operation.idempotency != Idempotency::Off
    }

    fn takes_etag(&self) -> bool {
        self.request.fields.contains_key("etag")
    }

    /// A change of some fields must be of a version that its caller has seen.
    fn needs_etag(&self) -> bool {
        self.takes_etag() && self.operation.route.method == Method::Patch
    }

    /// Everything but the responses.
    fn asked(&self) -> Value {
        let (summary, details) = said(&self.request.description);
        let (parameters, body) = self.parameters_and_body();
        let (domain, _) = self.function.id.split_once('.').unwrap_or_default();
        let security = match self.function.access {
            // Signing in is welcome, and may show more.
            Access::Anyone => json!([{}, { "bearer": [] }]),
            _ => json!([{ "bearer": [] }]),
        };
        let mut asked = json!({
            "operationId": self.function.id,
            "tags": [domain],
            "summary": summary,
            "description": format!("{details}\n\n{}", self.who()).trim(),
            "parameters": parameters,
            "security": security,
        });
        if let Some(body) = body {
            asked["requestBody"] = body;
        }
        asked
    }

    /// Who may ask, in words: the security scheme can't tell roles apart.
    fn who(&self) -> &'static str {
        match self.function.access {
            Access::Anyone => "Anyone may ask.",
            Access::User => "Whoever is signed in may ask.",
            Access::Instructor => "Instructors and admins may ask.",
            Access::Admin => "Admins may ask.",
            Access::System => "The platform itself may ask.",
        }
    }

    fn parameters_and_body(&self) -> (Vec<Value>, Option<Value>) {
        let route = self.operation.route;
        let as_sent = match self.operation.body {
            Body::Json => None,
            Body::AsSent(media_type) => Some(media_type),
        };
        let in_query = !route.method.has_body() || as_sent.is_some();
        let (mut parameters, mut properties, mut body) = (Vec::new(), Map::new(), None);
        for (name, schema) in &self.request.fields {
            let in_path = route.path_fields().any(|field| field == name);
            if name == "etag" {
                let name = if self.needs_etag() { "If-Match-required" } else { "If-Match" };
                parameters.push(shared_parameter(name));
            } else if let Some((_, header)) = self.operation.headers.iter().find(|it| it.0 == name)
            {
                let required = self.request.is_required(name);
                parameters.push(parameter(header, "header", required, schema.clone()));
            } else if let Some(media_type) = as_sent.filter(|_| name == "body") {
                let content = json!({ media_type: { "schema": schema } });
                body = Some(json!({ "required": true, "content": content }));
            } else if in_path || in_query {
                let place = if in_path { "path" } else { "query" };
                let required = in_path || self.request.is_required(name);
                parameters.push(parameter(name, place, required, schema.clone()));
            } else {
                properties.insert(name.clone(), schema.clone());
            }
        }
        if self.is_keyed() {
            let name = match self.operation.idempotency {
                Idempotency::Required => "Idempotency-Key-required",
                _ => "Idempotency-Key",
            };
            parameters.push(shared_parameter(name));
        }
        parameters.push(shared_parameter("Accept-Language"));
        if properties.is_empty() {
            return (parameters, body);
        }
        let body = {
            let required: Vec<_> =
                properties.keys().filter(|name| self.request.is_required(name)).cloned().collect();
            let is_required = !required.is_empty();
            let mut schema = json!({
                "type": "object", "additionalProperties": false, "properties": properties,
            });
            if is_required {
                schema["required"] = json!(required);
            }
            let content = json!({ "application/json": { "schema": schema } });
            json!({ "required": is_required, "content": content })
        };
        (parameters, Some(body))
    }

    /// The answers: the success, and the refusals by their statuses.
    fn answered(&self, needs: &[Needs], given: &mut SchemaGenerator) -> Value {
        let mut success = self.success(given);
        let links = links::links(self, needs, given);
        if !links.is_empty() {
            success["links"] = Value::Object(links);
        }
        let mut responses = json!({});
        responses[self.operation.route.status.to_string()] = success;
        for (status, problems) in self.problems() {
            responses[status.to_string()] = match problems[..] {
                [one] if is_shared(&one) => {
                    json!({ "$ref": format!("#/components/responses/{}", one.reason) })
                }
                _ => refusal(&problems),
            };
        }
        responses
    }

    fn success(&self, given: &mut SchemaGenerator) -> Value {
        let mut headers =
            vec!["traceparent", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
        if self.is_keyed() {
            headers.push("Idempotency-Replayed");
        }
        let mut success = json!({ "headers": header_refs(&headers) });
        let schema = self.operation.response.schema(given).to_value();
        success["description"] = json!("Done.");
        if self.operation.route.status == contracts::Route::redirect("").status {
            success["description"] = json!("Go on at the address in `Location`.");
            let uri = json!({ "type": "string", "format": "uri" });
            success["headers"]["Location"] =
                json!({ "description": "Where to go on.", "schema": uri });
            success["headers"]["Set-Cookie"] = json!({
                "description": "What the browser is to remember until it comes back.",
                "schema": { "type": "string" },
            });
        } else if !self.operation.answers_nothing {
            let described = schemas::description(&schema, given.definitions());
            let (summary, _) = said(&described);
            if !summary.is_empty() {
                success["description"] = json!(format!("{summary}."));
            }
            success["content"] = json!({ self.operation.answers: { "schema": schema } });
        }
        success
    }

    /// All that the operation may answer instead, by status: what it declares
    /// first, then what any operation of its kind may answer.
    fn problems(&self) -> BTreeMap<u16, Vec<Problem>> {
        let route = self.operation.route;
        let mut all = self.operation.problems.to_vec();
        let mut may = |when: bool, problems: &[Problem]| {
            all.extend(problems.iter().filter(|_| when));
        };
        let changes = route.method != Method::Get;
        may(true, &[INVALID_REQUEST, UNAUTHENTICATED]);
        may(self.request.fields.contains_key("page_token"), &[INVALID_PAGE_TOKEN]);
        may(self.function.access != Access::Anyone, &[FORBIDDEN]);
        may(route.path_fields().next().is_some(), &[NO_SUCH_PATH]);
        may(changes, &[TRY_AGAIN]);
        may(self.takes_etag(), &[STALE_ETAG]);
        may(self.needs_etag(), &[ETAG_REQUIRED]);
        may(route.method.has_body(), &[TOO_LARGE]);
        may(route.method.has_body() && self.operation.body == Body::Json, &[NOT_JSON]);
        may(self.is_keyed(), &[INVALID_IDEMPOTENCY_KEY, STILL_RUNNING, KEY_REUSED]);
        let must = self.is_keyed() && self.operation.idempotency == Idempotency::Required;
        may(must, &[IDEMPOTENCY_KEY_REQUIRED]);
        may(true, &[TOO_MANY_REQUESTS, INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED]);

        let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
        for problem in all {
            let same = by_status.entry(problem.code.status()).or_default();
            if !same.contains(&problem) {
                same.push(problem);
            }
        }
        by_status
    }
}

/// A parameter that several operations have.
fn shared_parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// A parameter; what describes the field describes the parameter.
fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|it| it.remove("description"));
    // Nothing can't be sent in a URL; it's left out.
    without_null(&mut schema);
    let mut parameter =
        json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

/// The problems whose response is the same wherever they are alone with their status.
fn is_shared(problem: &Problem) -> bool {
    crate::problems::ALL.contains(problem)
}

/// Those responses that are referred to.
fn shared_responses(paths: &Value) -> Map<String, Value> {
    let referred = schemas::referred(paths, "#/components/responses/");
    let shared = crate::problems::ALL.iter().filter(|problem| referred.contains(problem.reason));
    shared.map(|problem| (problem.reason.to_owned(), refusal(&[*problem]))).collect()
}

/// One response for all the problems of a status.
fn refusal(problems: &[Problem]) -> Value {
    let lines: Vec<_> =
        problems.iter().map(|problem| format!("- `{}`: {}", problem.reason, problem.en)).collect();
    let reasons: Vec<_> = problems.iter().map(|problem| problem.reason).collect();
    let status = problems.first().map_or(0, |problem| problem.code.status());
    let mut headers = vec!["traceparent"];
    match status {
        401 => headers.push("WWW-Authenticate"),
        409 | 503 => headers.push("Retry-After"),
        429 => headers.extend([
            "Retry-After",
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
        ]),
        _ => {}
    }
    json!({
        "description": lines.join("\n"),
        "headers": header_refs(&headers),
        "content": { "application/problem+json": { "schema": {
            "$ref": "#/components/schemas/ProblemDetails",
            "properties": { "reason": { "enum": reasons } },
        } } },
    })
}

fn header_refs(names: &[&str]) -> Map<String, Value> {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    names.iter().map(reference).collect()
}

fn shared_headers() -> Value {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let number = |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "traceparent": text("The trace that the request belongs to (W3C Trace Context)."),
        "WWW-Authenticate": text("How to say who you are: `Bearer`."),
        "Retry-After": number("In how many seconds it may work."),
        "RateLimit-Limit": number("How many requests you may send at once."),
        "RateLimit-Remaining": number("How many of them are left."),
        "RateLimit-Reset": number("In how many seconds there is one more."),
        "Idempotency-Replayed": json!({
            "description": "There, and `true`, if this is an earlier answer to the same key, given again.",
            "schema": { "type": "string", "const": "true" },
        }),
    })
}

fn shared_parameters() -> Value {
    let header = |name: &str, required: bool, description: &str, schema: Value| {
        json!({
            "name": name, "in": "header", "required": required, "description": description,
            "schema": schema,
        })
    };
    let key = json!({
        "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21\\x23-\\x7e]+$",
    });
    let key_text = "Makes a repeat safe: the same key and request get the first answer again, and \
        have no second effect. Kept for three days, for each caller.";
    let etag = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
    let etag_text = "The `etag` of the version that you mean: it is refused if it has changed \
        since. It may be sent as `etag` in the body instead.";
    json!({
        "Accept-Language": header(
            "Accept-Language",
            false,
            "The language of problems: `en` or `es`.",
            json!({ "type": "string", "examples": ["es-CO, es;q=0.9, en;q=0.5"] }),
        ),
        "Idempotency-Key": header("Idempotency-Key", false, key_text, key.clone()),
        "Idempotency-Key-required": header(
            "Idempotency-Key",
            true,
            &format!("{key_text} It must be there, unless `validate_only` is true."),
            key,
        ),
        "If-Match": header("If-Match", false, etag_text, etag.clone()),
        "If-Match-required": header("If-Match", true, etag_text, etag),
    })
}

#[cfg(test)]
mod tests;
