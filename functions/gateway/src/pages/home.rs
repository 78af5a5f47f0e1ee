//! `GET /`: where everything is.

use axum::{Router, response::Response, routing::get};

use super::{PLAIN_POLICY, kept, of_type, page};

pub(super) fn router() -> Router {
    Router::new().route("/", get(home)).merge(style())
}

/// How pages look.
pub(super) fn style() -> Router {
    Router::new().route("/local/style.css", get(async || kept(of_type("text/css", STYLE))))
}

const STYLE: &str = include_str!("style.css");

const HOME: &str = "<h1>Aula</h1>
<p>A course platform made of small functions. All of them run here, in one process.</p>
<ul>
<li><a href=\"/docs\">API reference</a> · its document: <a href=\"/v1/openapi.json\">openapi.json</a></li>
<li><a href=\"/local/inbox\">Inbox</a>: every mail that the platform sends</li>
<li><a href=\"/v1/courses\">The catalog</a>, as the API gives it</li>
<li><a href=\"/v1/health\">Health</a> · <a href=\"/local/stats\">figures</a> · \
<a href=\"/.well-known/jwks.json\">public keys</a></li>
</ul>";

async fn home() -> Response {
    page("Aula", HOME, PLAIN_POLICY)
}
