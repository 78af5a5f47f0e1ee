//! The topics and subscriptions of the manifest, made in the Pub/Sub emulator.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::{layout::Manifest, wire::Wire};

/// How long the emulator may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often an event is tried before it's a dead letter, as in the cloud.
const ATTEMPTS: u32 = 10;

/// Makes all topics, a push subscription for each subscriber, and where dead letters go. No
/// subscription has a retry policy: with one, the emulator loses messages.
pub(super) async fn lay_out(
    emulator: &str,
    project: &str,
    manifest: &Manifest,
    pushed_to: impl Fn(&str) -> String,
) -> anyhow::Result<()> {
    let wire = Wire::to_host(emulator).await?;
    let topic = |name: &str| format!("projects/{project}/topics/{name}");
    let subscription = |name: &str| format!("projects/{project}/subscriptions/{name}");
    let letters = topic("dead-letters");
    put(&wire, &letters, &json!({})).await?;
    put(&wire, &subscription("dead-letters"), &json!({ "topic": letters })).await?;
    for (name, event) in &manifest.topics {
        let labels = json!({ "labels": { "domain": event.domain } });
        put(&wire, &topic(name), &labels).await?;
    }
    for (name, function) in &manifest.functions {
        let Some(from) = &function.topic else { continue };
        let wanted = json!({
            "topic": topic(from),
            "pushConfig": { "pushEndpoint": pushed_to(name) },
            "ackDeadlineSeconds": 60,
            "deadLetterPolicy": { "deadLetterTopic": letters, "maxDeliveryAttempts": ATTEMPTS },
        });
        put(&wire, &subscription(name), &wanted).await?;
    }
    Ok(())
}

async fn put(wire: &Wire, resource: &str, wanted: &Value) -> anyhow::Result<()> {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/v1/{resource}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(wanted.to_string()))?;
    let told = || format!("making {resource}");
    let status = wire.send(request, PATIENCE).await.with_context(told)?.status();
    let is_there = status == StatusCode::CONFLICT;
    ensure!(status.is_success() || is_there, "making {resource}: the emulator answered {status}");
    Ok(())
}
