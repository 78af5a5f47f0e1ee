//! What every request meets and every answer has, whatever was asked.

use serde_json::Value;

use crate::support::{Answer, Options, Server};

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn what_is_not_there_is_told_in_the_form_of_a_problem() {
    let server = Server::start(Options::default());
    for path in ["/nothing", "/v1", "/v1/", "/v1/nothing", "/v2/courses", "/v1/courses/"] {
        server.get(path, "").is(404, "no-such-path");
    }
    let cases = [
        ("PUT", "/v1/courses", ["GET", "POST"]),
        ("DELETE", "/v1/courses", ["GET", "POST"]),
        ("POST", "/v1/courses/some-id", ["GET", "PATCH"]),
        ("GET", "/v1/courses/some-id/publish", ["POST", "POST"]),
    ];
    for (method, path, allowed) in cases {
        let answer = server.send(method, path, &[], b"");
        answer.is(405, "method-not-allowed");
        for one in allowed {
            assert!(answer.header("allow").contains(one), "{method} {path}: {:?}", answer.headers);
        }
    }
    // What the local server has beside the API keeps to it too.
    server.send("DELETE", "/local/inbox", &[], b"").is(405, "method-not-allowed");
}

#[test]
fn a_problem_is_told_in_the_callers_language() {
    let server = Server::start(Options::default());
    let title = |language: &str| {
        let answer = server.send("GET", "/nothing", &[header("Accept-Language", language)], b"");
        let said = answer.header("content-language").to_owned();
        (said, answer.body["title"].as_str().unwrap().to_owned())
    };
    assert_eq!(title("es-CO, en;q=0.5"), ("es".into(), "No hay nada en esta ruta.".into()));
    assert_eq!(title("fr"), ("en".into(), "There is nothing at this path.".into()));
}

#[test]
fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let server = Server::start(Options::default());
    for path in ["/", "/docs", "/v1/openapi.json", "/v1/courses", "/nothing", "/local/inbox"] {
        let answer = server.get(path, "");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("http"), "{path}: nothing foreign is let in: {policy}");
        assert!(!policy.contains("script-src 'unsafe"), "{path}: {policy}");
    }
    assert_eq!(server.get("/v1/courses", "").header("cache-control"), "no-store");
}

#[test]
fn a_web_page_of_anyone_may_ask() {
    let server = Server::start(Options::default());
    let asked = [
        header("Origin", "https://app.example"),
        header("Access-Control-Request-Method", "POST"),
        header("Access-Control-Request-Headers", "authorization, idempotency-key"),
    ];
    let answer = server.send("OPTIONS", "/v1/enrollments", &asked, b"");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    for name in ["authorization", "idempotency-key", "if-match", "content-type"] {
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        assert!(allowed.contains(name), "{name}");
    }
    // No cookie is ever looked at, so none may be sent along.
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let answer = server.send("GET", "/v1/courses", &[header("Origin", "https://app.example")], b"");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("retry-after"));
}

#[test]
fn a_trace_goes_through_the_answer_and_into_the_log() {
    let server = Server::start(Options::default());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = server.send("GET", "/v1/courses/nothing-here", &[sent], b"");
    let parts: Vec<_> = answer.header("traceparent").split('-').collect();
    assert_eq!((parts[1], parts[3]), (trace, "01"));
    assert_ne!(parts[2], "00f067aa0ba902b7", "it's a step of its own");
    assert_eq!(answer.body["trace_id"], trace);

    let line = crate::support::until("the line in the log", || {
        let said = server.said();
        said.into_iter().find(|it| it.contains(trace))
    });
    let line: Value = serde_json::from_str(&line).expect("a line is JSON");
    assert_eq!(line["logging.googleapis.com/trace"], trace);
    assert_eq!(line["httpRequest"]["requestMethod"], "GET");
    assert_eq!(line["httpRequest"]["requestUrl"], "/v1/courses/nothing-here");
    assert_eq!(line["httpRequest"]["status"], 404);
    assert_eq!(line["function"], "courses.get");
    assert_eq!(line["problem"], "course-not-found");

    let begun = server.get("/v1/courses", "");
    assert_eq!(begun.header("traceparent").len(), 55);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let server = Server::start(Options { rate_limits: true, ..Options::default() });
    let left = |answer: &Answer| answer.header("ratelimit-remaining").parse::<u32>().unwrap();
    let courses = server.get("/v1/courses", "");
    assert!(left(&courses) > 0);
    assert!(courses.header("ratelimit-limit").parse::<u32>().unwrap() > left(&courses));

    // Signing in is guarded more strictly, before anything is looked at.
    let sign_in = || server.send("POST", "/v1/sessions", &[], b"{");
    let refused = (0..500).map(|_| sign_in()).find(|it| it.status != 400).expect("a limit");
    refused.is(429, "too-many-requests");
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(left(&refused), 0);
    assert!(refused.header("ratelimit-reset").parse::<u32>().unwrap() >= 1);
    // The rest of the platform is open to them still.
    assert_eq!(server.get("/v1/courses", "").status, 200);
}

#[test]
fn a_body_is_refused_by_its_size_and_by_its_type() {
    let server = Server::start(Options::default());
    let person = server.sign_up("ada@example.com", &["instructor"]);
    let bearer = header("Authorization", &format!("Bearer {}", person.token));
    let large = vec![b' '; 2 << 20];
    server.send("POST", "/v1/courses", std::slice::from_ref(&bearer), &large).is(413, "too-large");
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let headers = [bearer.clone(), header("Content-Type", media_type)];
        server.send("POST", "/v1/courses", &headers, b"{}").is(415, "not-json");
    }
    let headers = [bearer, header("Content-Type", "application/json; charset=utf-8")];
    server.send("POST", "/v1/courses", &headers, b"{}").is(400, "invalid-request");
}

#[test]
fn the_pages_are_there_and_lead_to_one_another() {
    let server = Server::start(Options::default());
    let home = server.get("/", "");
    assert_eq!(home.header("content-type"), "text/html; charset=utf-8");
    let links = home.text.split("href=\"").skip(1).filter_map(|it| it.split('"').next());
    let links: Vec<_> = links.collect();
    assert!(links.len() > 5);
    for link in links {
        assert!(link.starts_with('/'), "{link} leads elsewhere");
        assert_eq!(server.get(link, "").status, 200, "{link}");
    }
    let docs = server.get("/docs", "").text;
    for asset in ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js"] {
        assert!(docs.contains(asset));
        assert_eq!(server.get(asset, "").status, 200, "{asset}");
    }
    let api = server.get("/v1/openapi.json", "").ok();
    assert_eq!(api["openapi"], "3.1.0");
    assert_eq!(server.get("/problems/course-not-found", "").status, 200);
    assert_eq!(server.get("/problems/no-such-problem", "").status, 404);
}

#[test]
fn no_page_from_elsewhere_reads_the_inbox() {
    let server = Server::start(Options::default());
    let path = "/local/inbox?format=json";
    assert_eq!(server.get(path, "").status, 200);
    let same = [header("Sec-Fetch-Site", "same-origin")];
    assert_eq!(server.send("GET", path, &same, b"").status, 200);
    let cross = [header("Sec-Fetch-Site", "cross-site")];
    assert_eq!(server.send("GET", path, &cross, b"").status, 403);
    // Nor under a name of the page's own that leads here.
    let named = [header("Host", "evil.example")];
    assert_eq!(server.send("GET", path, &named, b"").status, 403);
}

#[test]
fn health_tells_of_every_function_and_dependency() {
    let server = Server::start(Options::default());
    let health = server.get("/v1/health", "").ok();
    assert_eq!(health["state"], "ok", "{health}");
    let told: Vec<_> =
        health["functions"].as_array().unwrap().iter().map(|it| &it["function"]).collect();
    for function in gateway::domains().iter().flat_map(|domain| &domain.functions) {
        assert!(told.contains(&&Value::from(function.id.as_str())), "{}", function.id);
    }
    let dependencies = health["dependencies"].as_array().unwrap();
    assert!(dependencies.iter().any(|it| it["dependency"] == "bus"));
    assert!(dependencies.iter().any(|it| it["dependency"] == "store/courses"));
    assert_eq!(server.get("/health/live", "").status, 200);
    assert_eq!(server.get("/health/ready", "").status, 200);
}
