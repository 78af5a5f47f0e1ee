//! `GET /v1/health`: every function and dependency with its state; and what a
//! container platform asks: `GET /health/live` and `GET /health/ready`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use runtime::{Key, Served, Store, Trigger};
use serde_json::{Value, json};

use super::json as answer;
use crate::serve::Local;

/// How long a function counts as failing after a fault of ours.
const FAILING: Duration = Duration::from_mins(1);

pub(super) fn router(local: &Local) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/health/ready", get(ready))
        .route("/health/live", get(async || answer(StatusCode::OK, &json!({ "state": "ok" }))))
        .with_state(local.clone())
}

async fn health(State(local): State<Local>) -> Response {
    let dependencies = dependencies(&local).await;
    let functions: Vec<_> =
        local.platform.host().functions().map(|it| function(&local, it)).collect();
    let is = |list: &[Value], state: &str| list.iter().any(|it| it["state"] == state);
    let (status, state) = if is(&dependencies, "down") {
        (StatusCode::SERVICE_UNAVAILABLE, "down")
    } else if is(&functions, "failing") || is(&dependencies, "failing") {
        (StatusCode::OK, "failing")
    } else {
        (StatusCode::OK, "ok")
    };
    let health = json!({ "state": state, "functions": functions, "dependencies": dependencies });
    answer(status, &health)
}

async fn ready(State(local): State<Local>) -> Response {
    let is_down = dependencies(&local).await.iter().any(|it| it["state"] == "down");
    if is_down {
        answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "state": "down" }))
    } else {
        answer(StatusCode::OK, &json!({ "state": "ok" }))
    }
}

/// How a function has fared. What went wrong is in the log, not here: anyone may ask.
fn function(local: &Local, served: &Served) -> Value {
    let failure = served.recent_failure(local.ports.clock.now(), FAILING);
    let kind = match served.function.trigger {
        Trigger::Http(_) => "operation",
        Trigger::Event(_) => "subscriber",
        Trigger::Schedule(_) => "job",
    };
    let mut function = json!({
        "function": served.function.id,
        "kind": kind,
        "state": if failure.is_some() { "failing" } else { "ok" },
    });
    if let Some(failure) = failure {
        function["failed_at"] = json!(failure.at);
    }
    function
}

/// What the functions depend on.
async fn dependencies(Local { platform, .. }: &Local) -> Vec<Value> {
    let mut stores: BTreeMap<&str, &Arc<dyn Store>> = BTreeMap::new();
    for served in platform.host().functions() {
        stores.insert(served.domain, &served.ports.store);
    }
    let mut dependencies = Vec::new();
    for (domain, store) in stores {
        let any = Key { collection: "requests", id: "health".to_owned() };
        let state = if store.get(&any).await.is_ok() { "ok" } else { "down" };
        dependencies.push(json!({ "dependency": format!("store/{domain}"), "state": state }));
    }
    dependencies.push(match platform.bus().waiting().await {
        Ok(waiting) => json!({
            "dependency": "bus",
            "state": if waiting.dead_letters > 0 { "failing" } else { "ok" },
            "unsettled": waiting.unsettled(),
            "dead_letters": waiting.dead_letters,
        }),
        Err(_) => json!({ "dependency": "bus", "state": "down" }),
    });
    dependencies
}
