//! What stands in for Google beside the functions: the metadata server of each
//! domain, the keys of ID tokens, and the push of Pub/Sub, which an emulator
//! sends without a token.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{
    front::{Services, WAITS},
    issuer::Issuer,
    layout::Manifest,
    service::Service,
    stats::Taken,
};

/// The most that Pub/Sub pushes at once: ten megabytes, and a third for Base64.
const LARGEST: usize = 14 << 20;

/// The metadata server, as those see it who run as a service account.
pub(super) fn metadata(issuer: Arc<Issuer>, account: String) -> Router {
    const BASE: &str = "/computeMetadata/v1/instance/service-accounts/default";
    Router::new()
        .route(&format!("{BASE}/identity"), get(id_token))
        .route(&format!("{BASE}/token"), get(access_token))
        .with_state((issuer, account))
}

async fn id_token(
    State((issuer, account)): State<(Arc<Issuer>, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // Without it, a page that a browser shows could ask.
    if headers.get("metadata-flavor").is_none_or(|it| it != "Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let query = query.unwrap_or_default();
    let audience = query.split('&').find_map(|it| it.strip_prefix("audience="));
    let Some(audience) = audience else { return StatusCode::BAD_REQUEST.into_response() };
    let audience = percent_decode_str(audience).decode_utf8_lossy();
    match issuer.id_token(&account, &audience) {
        Ok(token) => token.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn access_token(headers: HeaderMap) -> Response {
    if headers.get("metadata-flavor").is_none_or(|it| it != "Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    // No engine here asks what it's worth.
    Json(json!({ "access_token": "owner", "expires_in": 3600, "token_type": "Bearer" }))
        .into_response()
}

/// Those who call functions that aren't the gateway's: Pub/Sub and the scheduler.
pub(super) struct Callers {
    pub manifest: Manifest,
    pub services: Services,
    pub issuer: Arc<Issuer>,
    pub push: String,
    pub scheduler: String,
    /// What was pushed, and taken.
    pub taken: Arc<Taken>,
}

impl Callers {
    /// The keys of ID tokens, and where the emulator pushes events to.
    pub fn router(self: Arc<Self>) -> Router {
        let certs = self.issuer.certs();
        Router::new()
            .route("/certs", get(async move || Json(certs)))
            .route("/push/{service}", post(push))
            .with_state(self)
    }

    /// Has the scheduler run a job; the answer's status.
    pub async fn run_job(&self, name: &str) -> anyhow::Result<StatusCode> {
        let service = &self.services[name];
        let path = format!("/jobs/{}", self.manifest.functions[name].target);
        let request = Request::post(path).body(Body::empty())?;
        self.call(service, &self.scheduler, request).await
    }

    async fn push(&self, name: &str, request: Request) -> anyhow::Result<StatusCode> {
        let (Some(service), Some(function)) =
            (self.services.get(name), self.manifest.functions.get(name))
        else {
            return Ok(StatusCode::NOT_FOUND);
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = format!("/events/{}", function.target).parse()?;
        let body = to_bytes(body, LARGEST).await?;
        let request = Request::from_parts(parts, Body::from(body.clone()));
        let status = self.call(service, &self.push, request).await?;
        if status.is_success() {
            self.taken.add(name, &body);
        }
        Ok(status)
    }

    async fn call(
        &self,
        service: &Service,
        account: &str,
        mut request: Request,
    ) -> anyhow::Result<StatusCode> {
        let token = self.issuer.id_token(account, &service.url())?;
        let token = format!("Bearer {token}").try_into()?;
        request.headers_mut().insert(http::header::AUTHORIZATION, token);
        Ok(service.wire.send(request, WAITS).await?.status())
    }
}

async fn push(
    State(callers): State<Arc<Callers>>,
    Path(name): Path<String>,
    request: Request,
) -> StatusCode {
    callers.push(&name, request).await.unwrap_or_else(|error| {
        // It comes again.
        tracing::warn!(service = name, error = format!("{error:#}"), "an event wasn't taken");
        StatusCode::SERVICE_UNAVAILABLE
    })
}
