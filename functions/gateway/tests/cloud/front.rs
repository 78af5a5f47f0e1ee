//! The gateway in front, as API Gateway is: what it lets through, and what it makes of it.

use serde_json::json;

use crate::{cloud::Cloud, support::until};

#[test]
fn the_gateway_finds_functions_checks_tokens_and_believes_no_header() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    cloud.get("/v2/nothing", "").is(404, "no-such-path");
    cloud.get("/internal/contacts/u1", "").is(404, "no-such-path");
    cloud.get("/events/courses.on_x", "").is(404, "no-such-path");
    let refused = cloud.send("PUT", "/v1/courses", &[], &[]);
    refused.is(405, "method-not-allowed");
    assert_eq!(refused.header("allow"), "GET, OPTIONS, POST");
    cloud.get("/v1/enrollments", "").is(401, "unauthenticated");
    cloud.get("/v1/enrollments", "not.a.token").is(401, "unauthenticated");
    let keys = cloud.get("/.well-known/jwks.json", "").ok();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(cloud.get("/v1/courses", "").ok()["items"], json!([]));

    let ada = cloud.sign_up("ada@aula.example", &[]);
    let me = cloud.get("/v1/users/me", &ada.token).ok();
    assert_eq!(me["id"], ada.id.as_str());
    // Her token where only the gateway may put one counts for nothing.
    let forged = [
        ("X-Forwarded-Authorization".to_owned(), format!("Bearer {}", ada.token)),
        ("X-Apigateway-Api-Userinfo".to_owned(), "e30".to_owned()),
    ];
    cloud.send("GET", "/v1/users/me", &forged, &[]).is(401, "unauthenticated");
    let mut other = ada.token.clone();
    let changed = other.len() - 20;
    let letter = if other.as_bytes()[changed] == b'A' { "B" } else { "A" };
    other.replace_range(changed..=changed, letter);
    cloud.get("/v1/users/me", &other).is(401, "unauthenticated");
    // What the function refuses comes through as it said it.
    cloud.get("/v1/users/somebody", &ada.token).is_problem();
    cloud.post("/v1/sessions", "", &json!({ "email": "x" })).is(400, "invalid-request");
}

#[test]
fn a_function_that_does_not_answer_is_taken_out_and_comes_back() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    let courses = cloud.process("courses").id.expect("it runs");
    crate::cloud::signal("-STOP", courses);
    until("courses to be taken out", || (!cloud.process("courses").is_well).then_some(()));
    let root = cloud.admin();
    let service = || {
        let services = cloud.get("/v1/services", &root.token).ok();
        let services = services["items"].as_array().expect("services").clone();
        services.into_iter().find(|it| it["function"] == "courses.list").expect("it's there")
    };
    let out = service();
    assert_eq!((&out["state"], &out["discoverable"]), (&json!("down"), &json!(false)));
    assert!(out["failures_in_a_row"].as_u64() >= Some(3) && out["last_error"].is_object(), "{out}");
    assert_eq!(cloud.get("/v1/health", "").ok()["state"], "failing");
    let refused = cloud.get("/v1/courses", "");
    refused.is(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(cloud.process("identity").is_well);
    crate::cloud::signal("-CONT", courses);
    until("courses to be back", || cloud.process("courses").is_well.then_some(()));
    cloud.get("/v1/courses", "").ok();
    assert_eq!(service()["state"], "ok");
    cloud.get("/v1/services", "").is(401, "unauthenticated");
}
