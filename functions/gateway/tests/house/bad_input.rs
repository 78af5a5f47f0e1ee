//! Bad input of every kind, for every operation: each gets a clear refusal that
//! names the field, never a fault of ours, and nothing changes.
//!
//! What there is to break is read from the API's document, so that a new
//! operation is probed without a word here.

use serde_json::{Value, json};

use crate::support::{Answer, Options, Server, until};

/// A server, someone who may do anything there, and what there is to ask.
struct Probe {
    server: Server,
    token: String,
    api: Value,
}

/// One operation of the document.
#[derive(Clone, Copy)]
struct Operation<'a> {
    id: &'a str,
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

impl Probe {
    fn start() -> Self {
        let server = Server::start(Options::default());
        let token = server.admin().token;
        let api = server.get("/v1/openapi.json", "").ok();
        Self { server, token, api }
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, methods) in self.api["paths"].as_object().expect("paths") {
            for (method, described) in methods.as_object().expect("methods") {
                let id = described["operationId"].as_str().expect("an id");
                operations.push(Operation { id, method, path, described });
            }
        }
        assert!(operations.len() > 20, "the document has the operations");
        operations
    }

    /// Sends a body, or a query where there's none, as someone who may.
    fn send(&self, operation: Operation<'_>, query: &str, body: &[u8], type_: &str) -> Answer {
        let path = operation.path.split('/');
        let segments = path.map(|it| if it.starts_with('{') { "no-such-id" } else { it });
        let mut path = segments.collect::<Vec<_>>().join("/");
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let headers = [
            ("Authorization".to_owned(), format!("Bearer {}", self.token)),
            ("Content-Type".to_owned(), type_.to_owned()),
        ];
        let answer = self.server.send(&operation.method.to_uppercase(), &path, &headers, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
        assert!(answer.status < 500, "{}: {path} {shown}: {}", operation.id, answer.text);
        if answer.status >= 400 {
            answer.is_problem();
        }
        answer
    }

    fn send_json(&self, operation: Operation<'_>, body: &[u8]) -> Answer {
        self.send(operation, "", body, "application/json")
    }

    /// Documents that were written so far, when nothing is on its way any more.
    fn writes(&self) -> u64 {
        until("the bus to settle", || {
            let stats = self.server.get("/local/stats", "").ok();
            (stats["outbox"] == 0).then(|| stats["store"]["writes"].as_u64()).flatten()
        })
    }

    /// A schema, or what it refers to.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|it| it.strip_prefix('#')) {
            Some(pointer) => self.api.pointer(pointer).expect("no reference dangles"),
            None => schema,
        }
    }

    /// A schema without the choice of being nothing.
    fn some<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut choices = schema["anyOf"].as_array().into_iter().flatten();
        let some = choices.find(|it| it["type"] != "null");
        self.resolved(some.unwrap_or(schema))
    }
}

impl Operation<'_> {
    /// Whether it takes a JSON object, and not a text that counts as it was sent.
    fn takes_json(self) -> bool {
        matches!(self.method, "post" | "patch") && !self.described["responses"]["415"].is_null()
    }

    fn fields(self) -> impl Iterator<Item = (String, Value)> {
        let schema = &self.described["requestBody"]["content"]["application/json"]["schema"];
        schema["properties"].as_object().cloned().unwrap_or_default().into_iter()
    }

    /// The parameters of the query.
    fn parameters(self) -> impl Iterator<Item = (String, Value)> {
        let parameters = self.described["parameters"].as_array().cloned().unwrap_or_default();
        let in_query = parameters.into_iter().filter(|it| it["in"] == "query");
        in_query
            .map(|it| (it["name"].as_str().unwrap_or_default().to_owned(), it["schema"].clone()))
    }
}

fn is_of_type(schema: &Value, name: &str) -> bool {
    let one = schema["type"] == name;
    one || schema["type"].as_array().is_some_and(|types| types.iter().any(|it| it == name))
}

/// Whether a field is blamed, or something in it.
fn is_blamed(answer: &Answer, field: &str) -> bool {
    let errors = answer.body["errors"].as_array().into_iter().flatten();
    errors.filter_map(|it| it["field"].as_str()).any(|it| {
        let rest = it.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// What a field of some type can't be.
fn wrong_values(schema: &Value) -> Vec<Value> {
    let mut wrong = vec![json!({ "unexpected": [1] })];
    if is_of_type(schema, "object") {
        wrong = vec![json!(7), json!("text"), json!([])];
    } else if schema["enum"].is_array() || schema["oneOf"].is_array() {
        wrong.extend([json!("no-such-value"), json!(7)]);
    } else if is_of_type(schema, "string") {
        wrong.extend([json!(7), json!(true), json!(["a"])]);
        if let Some(most) = schema["maxLength"].as_u64() {
            wrong.push("x".repeat(usize::try_from(most).unwrap() + 1).into());
        }
        if schema["minLength"].as_u64() > Some(0) {
            wrong.push(json!(""));
        }
        if schema["format"] == "date-time" {
            let impossible = [
                "2026-02-30T00:00:00Z",
                "2026-11-22T09:00:00",
                "yesterday",
                "99999-01-01T00:00:00Z",
            ];
            wrong.extend(impossible.map(Value::from));
        } else {
            wrong.extend(["a\u{0}b", "a\u{1b}[31m"].map(Value::from));
        }
    } else if is_of_type(schema, "integer") {
        wrong.extend([json!("7"), json!(1.5), json!(-1), json!(u64::MAX)]);
    } else if is_of_type(schema, "boolean") {
        wrong.extend([json!("true"), json!(1)]);
    } else if is_of_type(schema, "array") {
        wrong.extend([json!("a"), json!(7)]);
        if let Some(most) = schema["maxItems"].as_u64() {
            wrong.push(vec![Value::Null; usize::try_from(most).unwrap() + 1].into());
        }
    }
    wrong
}

#[test]
fn a_body_that_is_not_json_or_not_an_object_is_refused_by_every_operation() {
    let probe = Probe::start();
    let before = probe.writes();
    let deep = [vec![b'['; 33], vec![b']'; 33]].concat();
    let very_deep = vec![b'['; 100_000];
    let bodies: [(&[u8], &str); 12] = [
        (b"{", "malformed-json"),
        (b"{} {}", ""),
        (b"{\"a\":NaN}", ""),
        (b"{'a':1}", "malformed-json"),
        (b"{\"a\":\"\xff\"}", ""),
        (b"{\"a\":\"\\ud800\"}", ""),
        (b"\xef\xbb\xbf{}", "malformed-json"),
        (b"[]", "wrong-type"),
        (b"\"text\"", "wrong-type"),
        (b"7", "wrong-type"),
        (&deep, "too-deep"),
        (&very_deep, "too-deep"),
    ];
    for operation in probe.operations().into_iter().filter(|it| it.takes_json()) {
        for (body, reason) in bodies {
            let answer = probe.send_json(operation, body);
            answer.is(400, "invalid-request");
            if !reason.is_empty() {
                let shown = String::from_utf8_lossy(&body[..body.len().min(20)]);
                let told = &answer.body["errors"][0]["reason"];
                assert_eq!(told, reason, "{} {shown}: {}", operation.id, answer.text);
            }
        }
        let large = vec![b' '; 2 << 20];
        probe.send_json(operation, &large).is(413, "too-large");
        probe.send(operation, "", b"a=1", "application/x-www-form-urlencoded").is(415, "not-json");
        let in_the_query = probe.send(operation, "surprise=1", b"{}", "application/json");
        assert!(in_the_query.blames("surprise"), "{}: {}", operation.id, in_the_query.text);
    }
    assert_eq!(probe.writes(), before, "nothing was written");
}

#[test]
fn a_field_that_nobody_knows_is_named_by_every_operation() {
    let probe = Probe::start();
    for operation in probe.operations() {
        let answer = if operation.takes_json() {
            let body = json!({ "surprise": 1 }).to_string();
            probe.send_json(operation, body.as_bytes())
        } else {
            probe.send(operation, "surprise=1", b"", "")
        };
        answer.is(400, "invalid-request");
        assert!(answer.blames("surprise"), "{}: {}", operation.id, answer.text);
        assert_eq!(answer.body["errors"][0]["reason"], "unknown-field", "{}", operation.id);
    }
}

#[test]
fn a_field_of_the_wrong_kind_is_named_by_every_operation() {
    let probe = Probe::start();
    let before = probe.writes();
    let mut probed = 0;
    for operation in probe.operations() {
        for (name, schema) in operation.fields() {
            for wrong in wrong_values(probe.some(&schema)) {
                let mut body = json!({});
                body[&name] = wrong;
                let body = body.to_string();
                let answer = probe.send_json(operation, body.as_bytes());
                let shown = body.chars().take(120).collect::<String>();
                assert_eq!(answer.status, 400, "{} {shown}: {}", operation.id, answer.text);
                let is_blamed = is_blamed(&answer, &name);
                assert!(is_blamed, "{} {shown}: {}", operation.id, answer.text);
                probed += 1;
            }
            // Given twice: which one counts would be anyone's guess.
            let twice = format!("{{\"{name}\":null,\"{name}\":null}}");
            assert_eq!(
                probe.send_json(operation, twice.as_bytes()).status,
                400,
                "{}",
                operation.id
            );
        }
        let schema = &operation.described["requestBody"]["content"]["application/json"]["schema"];
        for name in schema["required"].as_array().into_iter().flatten() {
            let mut body = json!({});
            body[name.as_str().unwrap()] = Value::Null;
            let answer = probe.send_json(operation, body.to_string().as_bytes());
            assert_eq!(answer.status, 400, "{} {name} is nothing", operation.id);
        }
    }
    assert!(probed > 200, "only {probed} were probed");
    assert_eq!(probe.writes(), before, "nothing was written");
}

#[test]
fn a_query_of_the_wrong_kind_is_refused_by_every_operation() {
    let probe = Probe::start();
    for operation in probe.operations() {
        for (name, schema) in operation.parameters() {
            let schema = probe.some(&schema);
            let mut wrong: Vec<String> = Vec::new();
            if is_of_type(schema, "integer") {
                wrong.extend(
                    ["x", "", "-1", "1.5", "99999999999999999999", "0x1"].map(str::to_owned),
                );
                if schema["minimum"] == 1 {
                    wrong.push("0".to_owned());
                }
                if let Some(most) = schema["maximum"].as_u64() {
                    wrong.push((most + 1).to_string());
                }
            } else if is_of_type(schema, "boolean") {
                wrong.extend(["maybe", "", "1"].map(str::to_owned));
            } else if schema["enum"].is_array() || schema["oneOf"].is_array() {
                wrong.extend(["no-such-value", ""].map(str::to_owned));
            } else if let Some(most) = schema["maxLength"].as_u64() {
                wrong.push("x".repeat(usize::try_from(most).unwrap() + 1));
            }
            for value in wrong {
                let answer = probe.send(operation, &format!("{name}={value}"), b"", "");
                assert_eq!(answer.status, 400, "{} {name}={value}: {}", operation.id, answer.text);
                assert!(
                    is_blamed(&answer, &name),
                    "{} {name}={value}: {}",
                    operation.id,
                    answer.text
                );
            }
            for hostile in
                ["%00", "%ff%fe", "%F0%9F%92%A9", "%27%20OR%201=1--", "%2525", "a%0d%0ab"]
            {
                probe.send(operation, &format!("{name}={hostile}"), b"", "");
            }
            if name == "page_token" {
                for token in ["x", "AAAA", "W10", "%00", &"a".repeat(5000), "WyJhIiwiYiIsImMiXQ"] {
                    let answer = probe.send(operation, &format!("page_token={token}"), b"", "");
                    // A list that must be asked for by something says that first.
                    assert!(
                        matches!(answer.status, 400 | 404),
                        "{}: {}",
                        operation.id,
                        answer.text
                    );
                }
            }
        }
    }
}

#[test]
fn a_path_that_is_no_id_is_refused_by_every_operation() {
    let probe = Probe::start();
    let long = "x".repeat(65);
    let ids =
        ["%00", "%ff", "a%2Fb", "..", "%2e%2e", "a%20b", "a:b", "%0d%0aX: y", &long, "ñ", "%25"];
    for operation in probe.operations().into_iter().filter(|it| it.path.contains('{')) {
        for id in ids {
            let segments =
                operation.path.split('/').map(|it| if it.starts_with('{') { id } else { it });
            let path = segments.collect::<Vec<_>>().join("/").replace(' ', "%20");
            let headers = [("Authorization".to_owned(), format!("Bearer {}", probe.token))];
            let method = operation.method.to_uppercase();
            let answer = probe.server.send(&method, &path, &headers, b"");
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.text);
            // Raw bytes beyond ASCII aren't even HTTP.
            if path.is_ascii() {
                answer.is_problem();
            }
        }
    }
}

#[test]
fn a_page_token_is_good_for_its_list_alone() {
    let probe = Probe::start();
    probe.server.category("testing");
    for number in 0..3 {
        let draft = json!({
            "title": format!("Course {number}"), "summary": "Short.", "description": "Longer.",
            "language": "en", "category": "testing", "level": "beginner", "outline": [],
        });
        let course = probe.server.post("/v1/courses", &probe.token, &draft).ok();
        assert!(course["id"].is_string());
    }
    let list =
        |query: &str| probe.server.get(&format!("/v1/courses?state=draft&{query}"), &probe.token);
    let page = list("page_size=1&sort=title").ok();
    let token = page["next_page_token"].as_str().expect("there is more").to_owned();
    assert_eq!(list(&format!("page_size=1&sort=title&page_token={token}")).status, 200);
    list(&format!("page_size=1&sort=newest&page_token={token}")).is(400, "invalid-page-token");
    for at in [0, token.len() / 2, token.len() - 1] {
        let mut tampered = token.clone().into_bytes();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        let answer = list(&format!("page_size=1&sort=title&page_token={tampered}"));
        answer.is(400, "invalid-page-token");
    }
}

#[test]
fn a_key_that_is_none_is_refused() {
    let probe = Probe::start();
    for key in ["", "a b", "\"\"", &"x".repeat(256), "a\"b"] {
        let path = "/v1/courses/no-such-id/publish";
        let answer = probe.server.post_with_key(path, &probe.token, key, &Value::Null);
        answer.is(400, "invalid-idempotency-key");
    }
}
