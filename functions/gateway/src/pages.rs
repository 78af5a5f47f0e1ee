//! What the local server has beside the API: pages for whoever develops with
//! it, and what a container platform asks of a container.

mod docs;
mod guard;
mod health;
mod home;
mod inbox;
mod problems;
mod stats;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use embedded::Inbox;

use crate::serve::Local;

/// The local inbox alone, on a platform at this address.
pub(crate) fn inbox_router(inbox: Arc<Inbox>, public_url: &str) -> Router {
    Router::new().merge(home::style()).merge(guard::guarded(inbox::router(inbox), public_url))
}

/// The routes of all pages.
pub(crate) fn router(local: &Local) -> Router {
    Router::new()
        .merge(home::router())
        .merge(docs::router())
        .merge(problems::router())
        .merge(health::router(local))
        .merge(guard::guarded(
            inbox::router(local.platform.inbox().clone()).merge(stats::router(local)),
            &local.ports.settings.public_url,
        ))
}

/// What a page of ours may do: be styled, and nothing else.
const PLAIN_POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'self'";

/// A page with a head and a style.
fn page(title: &str, body: &str, policy: &'static str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
        <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/local/style.css\">\n\
        </head>\n<body>\n{body}\n</body>\n</html>\n",
        title = escaped(title),
    );
    let mut response = of_type("text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// An answer of some media type.
fn of_type(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An answer in JSON.
fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = of_type("application/json", value.to_string());
    *response.status_mut() = status;
    response
}

/// Lets a browser keep what changes only with the program.
fn kept(mut response: Response) -> Response {
    const AN_HOUR: (HeaderName, HeaderValue) =
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response.headers_mut().insert(AN_HOUR.0, AN_HOUR.1);
    response
}

/// A text as it may stand in HTML, in an attribute too.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_leave_its_place_in_a_page() {
        assert_eq!(escaped(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
