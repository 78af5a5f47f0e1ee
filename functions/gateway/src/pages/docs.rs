//! `GET /docs` and `GET /v1/openapi.json`: the API's document, and a page to
//! read it and to try it on.
//!
//! The page is Swagger UI, out of the crate that packs it: nothing is fetched
//! from elsewhere, and its policy wouldn't let it. It lies in the crate as a
//! ZIP archive, whose files are compressed as gzip compresses; so they are sent
//! as they lie there, with gzip's head and tail around them.

use std::sync::OnceLock;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::{kept, of_type};
use crate::{documented, generated::TITLE};

pub(super) fn router() -> Router {
    Router::new()
        .route("/v1/openapi.json", get(async || of_type("application/json", document())))
        .route("/docs", get(reference))
        .route("/docs/start.js", get(async || kept(of_type("text/javascript", START))))
        .route("/docs/swagger-ui.css", get(async || asset("text/css", "/dist/swagger-ui.css")))
        .route(
            "/docs/swagger-ui-bundle.js",
            get(async || asset("text/javascript", "/dist/swagger-ui-bundle.js")),
        )
}

/// The API's document, made when it's first asked for.
fn document() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let make = || runtime::openapi::document(TITLE, &documented()).to_string().into();
    DOCUMENT.get_or_init(make).clone()
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Aula API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"##;

/// Swagger UI draws with images in its style, and styles what it draws by itself.
static POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'",
);

async fn reference() -> Response {
    let mut response = of_type("text/html; charset=utf-8", PAGE);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

fn asset(media_type: &'static str, path: &str) -> Response {
    let Some(content) = gzipped(SWAGGER_UI_VENDORED, path) else {
        let mut response = of_type("text/plain", "It isn't in the archive.");
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = kept(of_type(media_type, content));
    let gzip = HeaderValue::from_static("gzip");
    response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    response
}

/// A file of a ZIP archive in gzip's format, by the end of its path.
fn gzipped(archive: &[u8], path: &str) -> Option<Vec<u8>> {
    const DEFLATED: u16 = 8;
    let end = archive.windows(4).rposition(|it| it == b"PK\x05\x06")?;
    let count = u16_at(archive, end + 10)?;
    let mut entry = u32_at(archive, end + 16)? as usize;
    for _ in 0..count {
        let name_length = usize::from(u16_at(archive, entry + 28)?);
        let name = archive.get(entry + 46..entry + 46 + name_length)?;
        if name.ends_with(path.as_bytes()) && u16_at(archive, entry + 10)? == DEFLATED {
            let (size, local) =
                (u32_at(archive, entry + 20)? as usize, u32_at(archive, entry + 42)? as usize);
            let before = usize::from(u16_at(archive, local + 26)?)
                + usize::from(u16_at(archive, local + 28)?);
            let start = local + 30 + before;
            let mut gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff".to_vec();
            gzip.extend_from_slice(archive.get(start..start + size)?);
            // The checksum and the length of what it holds.
            gzip.extend_from_slice(archive.get(entry + 16..entry + 20)?);
            gzip.extend_from_slice(archive.get(entry + 24..entry + 28)?);
            return Some(gzip);
        }
        let (extra, comment) = (u16_at(archive, entry + 30)?, u16_at(archive, entry + 32)?);
        entry += 46 + name_length + usize::from(extra) + usize::from(comment);
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_what_the_page_asks_for() {
        for path in ["/dist/swagger-ui.css", "/dist/swagger-ui-bundle.js"] {
            let file = gzipped(SWAGGER_UI_VENDORED, path).unwrap();
            assert!(file.len() > 10_000, "{path}");
            assert!(file.starts_with(b"\x1f\x8b"));
        }
        assert_eq!(gzipped(SWAGGER_UI_VENDORED, "/dist/nothing.js"), None);
        assert_eq!(gzipped(b"PK\x05\x06 cut off", "/x"), None);
    }

    #[test]
    fn the_page_asks_nobody_else() {
        assert!(!PAGE.contains("//") && !START.contains("//"));
        let policy = POLICY.to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("http"));
    }
}
