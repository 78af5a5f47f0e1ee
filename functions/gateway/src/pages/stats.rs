//! `GET /local/stats`: what the process has done, in numbers; benchmarks and
//! the curious read it.

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use serde_json::{Value, json};

use crate::serve::Local;

pub(super) fn router(local: &Local) -> Router {
    Router::new().route("/local/stats", get(stats)).with_state(local.clone())
}

async fn stats(State(Local { platform, .. }): State<Local>) -> Response {
    let statistics = platform.database().statistics();
    let mut store = serde_json::to_value(statistics).unwrap_or_default();
    // Each transaction waits for the disk once.
    store["fsyncs"] = json!(statistics.transactions);
    let Ok(waiting) = platform.bus().waiting().await else {
        return super::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "store": store }));
    };
    let hash = identity::password::median_micros();
    super::json(
        StatusCode::OK,
        &json!({
            "store": store,
            "outbox": waiting.unsettled(),
            "dead_letters": waiting.dead_letters,
            "password_hash_us": hash.map_or(Value::Null, Value::from),
        }),
    )
}
