//! Who may see what is local: whoever sits at this machine, and no web page
//! that their browser happens to show.
//!
//! The inbox has everyone's codes in it. A page from elsewhere could ask for it
//! in its reader's name, or under a name of its own that leads here; neither is
//! answered.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use contracts::{Language, Problem, ProblemDetails};
use runtime::problems::FORBIDDEN;

/// Lets only this machine's own requests through.
pub(super) fn guarded(router: Router, public_url: &str) -> Router {
    let public: Arc<str> = host_of(public_url).into();
    router.layer(from_fn_with_state(public, check))
}

async fn check(State(public): State<Arc<str>>, request: Request, next: Next) -> Response {
    if is_from_elsewhere(request.headers()) || !is_ours(request.headers(), &public) {
        return refused(FORBIDDEN);
    }
    next.run(request).await
}

/// Whether a browser says that another site's page asks.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|it| it == "cross-site" || it == "same-site")
}

/// Whether the request is for an address of this machine, or for the platform's name.
fn is_ours(headers: &HeaderMap, public: &str) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|it| it.to_str().ok()) else {
        // HTTP/2 has it in the URL, and browsers speak that only over TLS.
        return true;
    };
    let host = host_of(host);
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    is_address || host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case(public)
}

/// The host's name in a URL or a `Host` header.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn refused(problem: Problem) -> Response {
    let details = ProblemDetails {
        kind: format!("/problems/{}", problem.reason),
        title: problem.title(Language::En).to_owned(),
        status: problem.code.status(),
        reason: problem.reason.to_owned(),
        ..ProblemDetails::default()
    };
    let mut response = Response::new(serde_json::to_string(&details).unwrap_or_default().into());
    *response.status_mut() = StatusCode::FORBIDDEN;
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))])
    }

    #[test]
    fn only_this_machines_addresses_and_the_platforms_name_are_ours() {
        for name in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "LOCALHOST", "aula.example"]
        {
            assert!(is_ours(&host(name), "aula.example"), "{name}");
        }
        for name in ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", ""] {
            assert!(!is_ours(&host(name), "aula.example"), "{name}");
        }
    }

    #[test]
    fn a_host_is_found_in_a_url() {
        assert_eq!(host_of("http://aula.example:8080/x"), "aula.example");
        assert_eq!(host_of("https://[::1]:8080"), "::1");
    }
}
