//! The document that API Gateway reads keeps every rule that Google has written
//! down for it, or that was learned the hard way; and each rule notices when it
//! is broken. The gateway itself says so only minutes into a deployment, if at all.

use std::collections::{BTreeMap, BTreeSet};

use contracts::Route;
use runtime::{Access, Trigger};
use serde_json::{Value, json};

/// What the gateway takes for an upload, in bytes.
const DOCUMENT_MOST: usize = 10 << 20;
/// How long a path may be, and how many parameters it may have.
const PATH_MOST: usize = 512;
const PARAMETERS_MOST: usize = 60;
/// How many seconds the gateway waits for a function: at most, and what the
/// functions themselves need to say that it took too long.
const DEADLINE_MOST: f64 = 600.0;
const DEADLINE_LEAST: f64 = 35.0;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

#[test]
fn the_document_keeps_every_rule_of_the_gateway() {
    let faults = faults(&document());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn it_leads_to_every_public_operation_and_to_nothing_else() {
    let document = document();
    let led: BTreeSet<_> = operations(&document)
        .filter(|it| it.method != "options")
        .map(|it| (it.path.to_owned(), it.method.to_owned()))
        .collect();
    let meant: BTreeSet<_> = behind()
        .iter()
        .map(|it| (it.route.path.to_owned(), it.route.method.as_str().to_lowercase()))
        .collect();
    assert_eq!(led, meant);
}

#[test]
fn who_needs_a_token_elsewhere_needs_one_here() {
    let document = document();
    let open: BTreeMap<_, _> =
        behind().iter().map(|it| (it.id.replace('.', "_"), it.is_open)).collect();
    for it in operations(&document).filter(|it| it.method != "options") {
        let id = it.operation["operationId"].as_str().expect("it has an id");
        let is_open = it.security(&document).is_empty();
        assert_eq!(Some(&is_open), open.get(id), "{id}");
    }
}

/// What a fault says, and a change that must bring it about.
type Break = (&'static str, fn(&mut Value));

/// Each rule, broken in each way that it can be.
const BREAKS: &[Break] = &[
    ("version", |it| it["openapi"] = json!("3.2.0")),
    ("of OpenAPI 2.0", |it| it["x-google-allow"] = json!("all")),
    ("of OpenAPI 2.0", |it| it["host"] = json!("api.example.com:443")),
    ("no backends", |it| it["x-google-api-management"] = json!({})),
    ("too large", |it| it["info"]["description"] = json!("x".repeat(DOCUMENT_MOST))),
    ("address", |it| backend(it)["address"] = json!("http://courses-list.run.app")),
    ("address", |it| backend(it)["address"] = json!("https://courses-list.run.app:8080")),
    ("address", |it| backend(it)["address"] = json!("https://courses-list.run.app/v1")),
    ("audience", |it| backend(it)["jwtAudience"] = json!("https://other.run.app")),
    ("audience", |it| {
        backend(it).as_object_mut().unwrap().remove("jwtAudience");
    }),
    ("disableAuth", |it| backend(it)["disableAuth"] = json!(true)),
    ("pathTranslation", |it| backend(it)["pathTranslation"] = json!("CONSTANT_ADDRESS")),
    ("pathTranslation", |it| {
        backend(it).as_object_mut().unwrap().remove("pathTranslation");
    }),
    ("deadline", |it| backend(it)["deadline"] = json!(15.0)),
    ("deadline", |it| backend(it)["deadline"] = json!(601.0)),
    ("protocol", |it| backend(it)["protocol"] = json!("grpc")),
    ("unknown", |it| backend(it)["jwt_audience"] = json!("https://courses-list.run.app")),
    ("isn't used", |it| {
        let one = backend(it).clone();
        it["x-google-api-management"]["backends"]["spare"] = one;
    }),
    ("isn't there", |it| it["paths"]["/v1/courses"]["get"]["x-google-backend"] = json!("no")),
    ("no backend", |it| {
        it["paths"]["/v1/courses"]["get"].as_object_mut().unwrap().remove("x-google-backend");
    }),
    ("whole segment", |it| rename(it, "/v1/courses/{course_id}", "/v1/course-{course_id}")),
    ("whole segment", |it| {
        rename(it, "/v1/courses/{course_id}/publish", "/v1/courses/{course_id}:publish");
    }),
    ("whole segment", |it| rename(it, "/v1/courses/{course_id}", "/v1/courses/{course_id=*}")),
    ("slash", |it| rename(it, "/v1/courses", "/v1/courses/")),
    ("slash", |it| rename(it, "/v1/courses", "v1/courses")),
    ("too long", |it| rename(it, "/v1/courses", &format!("/v1/{}", "c".repeat(PATH_MOST)))),
    ("too many parameters", |it| {
        rename(it, "/v1/courses", &"/{p}".repeat(PARAMETERS_MOST + 1));
    }),
    ("reserved", |it| rename(it, "/v1/courses", "/healthz")),
    ("reserved", |it| rename(it, "/v1/courses", "/_ah/courses")),
    ("same shape", |it| {
        let one = it["paths"]["/v1/courses/{course_id}"].clone();
        it["paths"]["/v1/courses/{id}"] = one;
    }),
    ("another operation's", |it| {
        it["paths"]["/v1/courses"]["get"]["operationId"] = json!("courses_create");
    }),
    ("identifier", |it| {
        it["paths"]["/v1/courses"]["get"]["operationId"] = json!("courses.list");
    }),
    ("preflight", |it| {
        it["paths"]["/v1/courses"].as_object_mut().unwrap().remove("options");
    }),
    ("preflight", |it| {
        let options = it["paths"]["/v1/courses"]["options"].as_object_mut().unwrap();
        options.remove("security");
    }),
    ("parameters", |it| {
        it["paths"]["/v1/courses/{course_id}"]["get"]["parameters"] = json!([]);
    }),
    ("parameters", |it| {
        it["paths"]["/v1/courses/{course_id}"]["get"]["parameters"][0]["required"] = json!(false);
    }),
    ("responses", |it| it["paths"]["/v1/courses"]["get"]["responses"] = json!({})),
    ("isn't defined", |it| it["security"] = json!([{ "firebase": [] }])),
    ("two tokens at once", |it| {
        it["security"] = json!([{ "aula": [], "second": [] }]);
        it["components"]["securitySchemes"]["second"] = scheme(it).clone();
    }),
    ("optional", |it| it["security"] = json!([{}, { "aula": [] }])),
    ("open by itself", |it| {
        it.as_object_mut().unwrap().remove("security");
    }),
    ("API key", |it| {
        it["security"] = json!([{ "aula": [] }, { "key": [] }]);
        it["components"]["securitySchemes"]["key"] =
            json!({ "type": "apiKey", "in": "query", "name": "key" });
    }),
    ("issuer", |it| scheme(it)["x-google-auth"]["issuer"] = json!("https://PUBLIC_HOST/")),
    ("issuer", |it| {
        let second = scheme(it).clone();
        it["components"]["securitySchemes"]["second"] = second;
    }),
    ("keys", |it| scheme(it)["x-google-auth"]["jwksUri"] = json!("http://PUBLIC_HOST/keys")),
    ("keys", |it| {
        let behind = backend(it)["address"].as_str().unwrap().to_owned();
        scheme(it)["x-google-auth"]["jwksUri"] = json!(format!("{behind}/keys"));
    }),
    ("audiences", |it| scheme(it)["x-google-auth"]["audiences"] = json!("a,b")),
    ("audiences", |it| scheme(it)["x-google-auth"]["audiences"] = json!([])),
    ("query", |it| {
        scheme(it)["x-google-auth"]["jwtLocations"] = json!([{ "query": "access_token" }]);
    }),
    ("$ref", |it| {
        it["paths"]["/v1/courses"]["get"]["responses"]["default"] =
            json!({ "$ref": "platform.json#/components/responses/internal" });
    }),
];

#[test]
fn each_rule_notices_when_it_is_broken() {
    for (expected, destroy) in BREAKS {
        let mut document = document();
        destroy(&mut document);
        let faults = faults(&document);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "nobody noticed: {expected}: {faults:?}"
        );
    }
}

/// An operation of the document.
struct Routed<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

impl Routed<'_> {
    /// What it asks for: its own, or else the document's.
    fn security<'a>(&'a self, document: &'a Value) -> &'a [Value] {
        let own = self.operation.get("security").or_else(|| document.get("security"));
        own.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn operations(document: &Value) -> impl Iterator<Item = Routed<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .map(move |(method, operation)| Routed { path: path.as_str(), method, operation })
    })
}

/// All that the gateway would take offense at, or silently do otherwise.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    of_the_whole(document, &mut faults);
    of_backends(document, &mut faults);
    of_schemes(document, &mut faults);
    of_paths(document, &mut faults);
    of_operations(document, &mut faults);
    faults
}

fn of_the_whole(document: &Value, faults: &mut Vec<String>) {
    let version = document["openapi"].as_str().unwrap_or_default();
    if !version.starts_with("3.0.") {
        faults.push(format!("the version is {version}"));
    }
    for key in ["swagger", "host", "x-google-allow", "x-google-management", "x-google-endpoints"] {
        if document.get(key).is_some() {
            faults.push(format!("{key} is of OpenAPI 2.0"));
        }
    }
    let text = document.to_string();
    if text.len() > DOCUMENT_MOST {
        faults.push("it's too large".into());
    }
    if text.matches("\"$ref\":").count() != text.matches("\"$ref\":\"#/").count() {
        faults.push("a $ref leads out of the document".into());
    }
    // Without a rule for all, an operation that was forgotten would be open.
    if document["security"].as_array().is_none_or(Vec::is_empty) {
        faults.push("what says nothing is open by itself".into());
    }
}

fn of_backends(document: &Value, faults: &mut Vec<String>) {
    let known =
        ["address", "jwtAudience", "pathTranslation", "deadline", "protocol", "disableAuth"];
    let backends = document["x-google-api-management"]["backends"].as_object();
    let backends: Vec<_> = backends.into_iter().flatten().collect();
    if backends.is_empty() {
        faults.push("there are no backends".into());
    }
    let used: BTreeSet<_> =
        operations(document).filter_map(|it| it.operation["x-google-backend"].as_str()).collect();
    for (name, backend) in backends {
        let mut fault = |what: &str| faults.push(format!("backend {name}: {what}"));
        for key in backend.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !known.contains(&key.as_str()) {
                fault("a key that's unknown");
            }
        }
        let address = backend["address"].as_str().unwrap_or_default();
        let host = address.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains([':', '/']) {
            fault("the address isn't https and a host alone");
        }
        // Cloud Run compares the token's audience with its own address.
        if backend["jwtAudience"] != backend["address"] {
            fault("the audience isn't the address");
        }
        if backend.get("disableAuth").is_some() {
            fault("disableAuth: the service would have to be open to everyone");
        }
        // Otherwise the function would see the path / whatever was asked for.
        if backend["pathTranslation"] != "APPEND_PATH_TO_ADDRESS" {
            fault("pathTranslation doesn't append the path");
        }
        // The default, 15 seconds, is less than a function takes to say that it's slow.
        let deadline = backend["deadline"].as_f64().unwrap_or(15.0);
        if !(DEADLINE_LEAST..=DEADLINE_MOST).contains(&deadline) {
            fault("the deadline");
        }
        if !["h2", "http/1.1"].iter().any(|it| backend["protocol"] == **it) {
            fault("the protocol");
        }
        if !used.contains(name.as_str()) {
            fault("it isn't used");
        }
    }
}

fn of_schemes(document: &Value, faults: &mut Vec<String>) {
    let backends = &document["x-google-api-management"]["backends"];
    let behind: BTreeSet<_> = backends
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, it)| it["address"].as_str())
        .collect();
    let mut issuers = BTreeSet::new();
    let schemes = document["components"]["securitySchemes"].as_object();
    for (name, scheme) in schemes.into_iter().flatten() {
        let mut fault = |what: &str| faults.push(format!("scheme {name}: {what}"));
        if scheme["type"] == "apiKey" {
            fault("an API key can't stand beside a token");
            continue;
        }
        let auth = &scheme["x-google-auth"];
        let issuer = auth["issuer"].as_str().unwrap_or_default();
        // It's compared letter by letter with the token's.
        if !issuer.starts_with("https://") || issuer.ends_with('/') || !issuers.insert(issuer) {
            fault("the issuer isn't https, ends with a slash, or is another scheme's");
        }
        let keys = auth["jwksUri"].as_str().unwrap_or_default();
        let origin = keys.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        if !keys.starts_with("https://") || behind.contains(origin.as_str()) {
            fault("the keys aren't at a public https address that isn't behind the gateway");
        }
        if auth["audiences"].as_array().is_none_or(Vec::is_empty) {
            fault("the audiences aren't a list");
        }
        let places = auth["jwtLocations"].as_array().into_iter().flatten();
        let places: Vec<_> = places.collect();
        if places.is_empty() || places.iter().any(|it| it.get("query").is_some()) {
            fault("a token may come in the query, which is logged");
        }
    }
}

fn of_paths(document: &Value, faults: &mut Vec<String>) {
    let mut shapes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let mut fault = |what: &str| faults.push(format!("{path}: {what}"));
        if !path.starts_with('/') || path.ends_with('/') {
            fault("a slash comes first and none comes last");
        }
        if path.len() > PATH_MOST {
            fault("it's too long");
        }
        if path.matches('{').count() > PARAMETERS_MOST {
            fault("it has too many parameters");
        }
        // Google's own front end answers these itself.
        if path.ends_with('z') || path.starts_with("/_ah/") || path == "/eventlog" {
            fault("it's reserved");
        }
        let segments = path.split('/').skip(1);
        if !segments.clone().all(is_whole) {
            fault("a parameter must be a whole segment");
        }
        let shape: Vec<_> =
            segments.map(|it| if it.starts_with('{') { "{}" } else { it }).collect();
        if !shapes.insert(shape.join("/")) {
            fault("another one has the same shape");
        }
        let options = &item["options"];
        if options["security"] != json!([]) {
            fault("a preflight carries no token and must be let through");
        }
    }
}

/// Whether a segment is all a word or all a parameter.
fn is_whole(segment: &str) -> bool {
    let is_name = |name: &str| {
        let first = name.chars().next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_');
        first && name.len() <= 100 && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
    };
    match segment.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').is_some_and(is_name),
        // A verb after a colon would be taken for a part of the parameter before it.
        None => !segment.contains(['{', '}', ':', '*']),
    }
}

fn of_operations(document: &Value, faults: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    let schemes = &document["components"]["securitySchemes"];
    for it in operations(document) {
        let mut fault = |what: &str| faults.push(format!("{} {}: {what}", it.method, it.path));
        let id = it.operation["operationId"].as_str().unwrap_or_default();
        let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if id.is_empty() || !id.chars().all(is_plain) {
            fault("its id isn't an identifier");
        }
        if !ids.insert(id) {
            fault("its id is another operation's");
        }
        match it.operation["x-google-backend"].as_str() {
            None => fault("it has no backend"),
            Some(name) => {
                if document["x-google-api-management"]["backends"].get(name).is_none() {
                    fault("its backend isn't there");
                }
            }
        }
        if it.operation["responses"].as_object().is_none_or(serde_json::Map::is_empty) {
            fault("it has no responses");
        }
        let meant: BTreeSet<_> =
            it.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = it.operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<_> = parameters
            .filter(|it| it["in"] == "path" && it["required"] == true)
            .filter_map(|it| it["name"].as_str())
            .collect();
        if meant != named {
            fault("its parameters aren't those of its path");
        }
        for requirement in it.security(document) {
            let asked: Vec<_> =
                requirement.as_object().into_iter().flatten().map(|(name, _)| name).collect();
            match asked[..] {
                [] => fault("a token can't be optional"),
                [name] if schemes.get(name).is_none() => fault("its scheme isn't defined"),
                [_] => {}
                _ => fault("two tokens at once can't be asked for"),
            }
        }
    }
}

/// An operation that is behind the gateway.
struct Behind {
    id: String,
    is_open: bool,
    route: Route,
}

/// All that are public, but the documents that the gateway itself reads.
fn behind() -> Vec<Behind> {
    let functions = gateway::domains().into_iter().flat_map(|domain| domain.functions);
    let behind = functions.filter_map(|function| match function.trigger {
        Trigger::Http(it) if !it.route.is_internal() && !it.route.is_well_known() => Some(Behind {
            id: function.id,
            is_open: function.access == Access::Anyone,
            route: it.route,
        }),
        _ => None,
    });
    behind.collect()
}

fn document() -> Value {
    let files = gateway::generated();
    let file = files.iter().find(|file| file.path == "openapi/gateway.json");
    serde_json::from_str(&file.expect("it is generated").content).expect("it is JSON")
}

/// One of the backends, to break.
fn backend(document: &mut Value) -> &mut Value {
    &mut document["x-google-api-management"]["backends"]["courses-list"]
}

/// The scheme, to break.
fn scheme(document: &mut Value) -> &mut Value {
    &mut document["components"]["securitySchemes"]["aula"]
}

/// Puts what is at one path at another one.
fn rename(document: &mut Value, from: &str, to: &str) {
    let paths = document["paths"].as_object_mut().expect("they are an object");
    let item = paths.remove(from).expect("it is there");
    paths.insert(to.to_owned(), item);
}
