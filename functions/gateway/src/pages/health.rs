//! What a container platform asks of a container: `GET /health/live` and
//! `GET /health/ready`. How each function fares, `GET /v1/health` tells.

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use serde_json::json;

use super::json as answer;
use crate::{
    platform::{local::dependencies, survey::HealthState},
    serve::Local,
};

pub(super) fn router(local: &Local) -> Router {
    Router::new()
        .route("/health/ready", get(ready))
        .route("/health/live", get(async || answer(StatusCode::OK, &json!({ "state": "ok" }))))
        .with_state(local.clone())
}

async fn ready(State(local): State<Local>) -> Response {
    let dependencies = dependencies(&local.platform).await;
    if dependencies.iter().any(|it| it.state == HealthState::Down) {
        answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "state": "down" }))
    } else {
        answer(StatusCode::OK, &json!({ "state": "ok" }))
    }
}
