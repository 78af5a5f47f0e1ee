//! Asking another domain: an endpoint, sent where it is answered.

use std::borrow::Cow;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::body::Bytes;
use contracts::{Endpoint, Problem, ProblemDetails, Route};

use crate::{Error, Refusal, Result, Trace, decode};

/// The port: a way to reach an operation by its id.
#[async_trait]
pub trait Client: Send + Sync + 'static {
    /// Sends a request as the platform itself; gives back the status and the body.
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)>;
}

/// A request on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The operation's id.
    pub operation: &'static str,
    /// Where it goes.
    pub route: Route,
    /// The fields of the path.
    pub path: Vec<(Cow<'static, str>, String)>,
    /// The query, encoded.
    pub query: String,
    /// The JSON body; empty if the method has none.
    pub body: Bytes,
}

impl Outgoing {
    /// The request itself, for whoever answers it without HTTP between.
    pub fn read<E: Endpoint>(&self) -> Result<E> {
        let Self { path, query, body, .. } = self;
        decode::decode(decode::Parts { bound: path, query, body })
    }
}

pub(crate) async fn call<E: Endpoint>(
    client: &dyn Client,
    request: &E,
    trace: &Trace,
) -> Result<E::Response> {
    let body = ask(client, decode::encode(request)?, E::PROBLEMS, trace).await?;
    Ok(serde_json::from_slice(&body).context(E::OPERATION)?)
}

/// What a request is answered with, unless it's refused.
async fn ask(
    client: &dyn Client,
    outgoing: Outgoing,
    problems: &'static [Problem],
    trace: &Trace,
) -> Result<Bytes> {
    let operation = outgoing.operation;
    let (status, body) = client.send(outgoing, trace).await?;
    // An operation without an answer says so with an empty body.
    let body = if body.is_empty() { Bytes::from_static(b"null") } else { body };
    if status < 300 {
        return Ok(body);
    }
    // Another domain's refusal is ours to pass on only if it is declared.
    let details: ProblemDetails = serde_json::from_slice(&body)
        .with_context(|| format!("{operation} answered {status} without a problem"))?;
    match problems.iter().find(|problem| problem.reason == details.reason) {
        Some(problem) => Err(Refusal::passed_on(*problem, details).into()),
        None if status == 503 => Err(Error::Unavailable(1)),
        None => Err(anyhow::anyhow!("{operation} answered {status}: {}", details.reason).into()),
    }
}
