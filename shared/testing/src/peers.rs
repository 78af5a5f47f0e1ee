//! The other domains, as the test plays them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::body::Bytes;
use contracts::{Endpoint, Problem, ProblemDetails};
use runtime::{Client, Outgoing, Trace};

type Play = Arc<dyn Fn(&Outgoing) -> anyhow::Result<(u16, Bytes)> + Send + Sync>;

/// The other domains, as the test plays them.
#[derive(Default)]
pub(crate) struct Peers(Mutex<HashMap<&'static str, Play>>);

impl Peers {
    pub(crate) fn play<E: Endpoint>(
        &self,
        answer: impl Fn(E) -> Result<E::Response, Problem> + Send + Sync + 'static,
    ) {
        let play = move |outgoing: &Outgoing| {
            let request = outgoing.read::<E>().map_err(|error| anyhow::anyhow!("{error}"))?;
            let (status, body) = match answer(request) {
                Ok(response) => (E::ROUTE.status, serde_json::to_vec(&response)?),
                Err(problem) => (problem.code.status(), serde_json::to_vec(&details(problem))?),
            };
            Ok((status, body.into()))
        };
        self.0.lock().expect("no holder panics").insert(E::OPERATION, Arc::new(play));
    }

    pub(crate) fn answer(&self, request: &Outgoing) -> anyhow::Result<(u16, Bytes)> {
        let play = self.0.lock().expect("no holder panics").get(request.operation).cloned();
        let play = play.ok_or_else(|| {
            anyhow::anyhow!("the test doesn't play {}: see App::answering", request.operation)
        })?;
        play(request)
    }
}

fn details(problem: Problem) -> ProblemDetails {
    ProblemDetails {
        kind: format!("/problems/{}", problem.reason),
        title: problem.en.to_owned(),
        status: problem.code.status(),
        reason: problem.reason.to_owned(),
        ..ProblemDetails::default()
    }
}

#[async_trait]
impl Client for Peers {
    async fn send(&self, request: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
        self.answer(&request)
    }
}
