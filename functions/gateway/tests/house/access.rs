//! No operation lets in whom it shouldn't, whichever operation it is.

use contracts::Method;
use runtime::{Access, Trigger};
use serde_json::json;

use crate::support::{Options, Server};

#[test]
fn every_operation_checks_who_asks() {
    let server = Server::start(Options::default());
    let student = server.sign_up("student@example.com", &[]);
    let instructor = server.sign_up("instructor@example.com", &["instructor"]);
    for function in gateway::domains().iter().flat_map(|domain| &domain.functions) {
        let Trigger::Http(operation) = &function.trigger else { continue };
        let (method, id) = (operation.route.method.as_str(), function.id.as_str());
        let path = path(operation.route.path, "nobody-has-this-id");
        let ask = |token: &str| {
            let header = ("Authorization".to_owned(), format!("Bearer {token}"));
            let headers = if token.is_empty() { Vec::new() } else { vec![header] };
            server.send(method, &path, &headers, b"")
        };
        let nobody = ask("");
        match function.access {
            Access::System => {
                // Between domains: there's no such thing for anyone outside.
                for answer in [nobody, ask(&student.token), ask(&server.admin().token)] {
                    answer.is(404, "no-such-path");
                }
            }
            Access::Anyone => assert!(!matches!(nobody.status, 401 | 403), "{id}: {}", nobody.text),
            access => {
                nobody.is(401, "unauthenticated");
                assert_eq!(nobody.header("www-authenticate"), "Bearer", "{id}");
                if access != Access::User {
                    ask(&student.token).is(403, "forbidden");
                }
                if access == Access::Admin {
                    ask(&instructor.token).is(403, "forbidden");
                }
            }
        }
    }
}

#[test]
fn nobody_reaches_what_is_anothers() {
    let server = Server::start(Options::default());
    let owner = server.sign_up("owner@example.com", &[]);
    let stranger = server.sign_up("stranger@example.com", &[]);
    for function in gateway::domains().iter().flat_map(|domain| &domain.functions) {
        let Trigger::Http(operation) = &function.trigger else { continue };
        let route = operation.route;
        if !route.path_fields().any(|field| field == "user_id") || route.is_internal() {
            continue;
        }
        let path = route.path.replace("{user_id}", &owner.id);
        let path = self::path(&path, "nobody-has-this-id");
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {}", stranger.token))];
        if route.method == Method::Patch {
            headers.push(("If-Match".to_owned(), "*".to_owned()));
        }
        let answer = server.send(route.method.as_str(), &path, &headers, b"");
        assert!(matches!(answer.status, 403 | 404), "{}: {}", function.id, answer.text);
    }
    let me = server.get("/v1/users/me", &owner.token).ok();
    assert_eq!(me["id"], owner.id.as_str());
}

#[test]
fn roles_are_given_by_an_admin_alone() {
    let server = Server::start(Options::default());
    let person = server.sign_up("hopeful@example.com", &[]);
    let path = format!("/v1/users/{}", person.id);
    let answer = server.patch(&path, &person.token, &json!({ "roles": ["student", "admin"] }));
    assert!(matches!(answer.status, 400 | 403), "{}", answer.text);
    let me = server.get("/v1/users/me", &person.token).ok();
    assert_eq!(me["roles"], json!(["student"]));
}

/// A path with this in place of each field.
fn path(template: &str, value: &str) -> String {
    let segment = |it: &str| if it.starts_with('{') { value.to_owned() } else { it.to_owned() };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}
