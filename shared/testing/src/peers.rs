//! The other domains, as the test plays them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::body::Bytes;
use contracts::{Endpoint, Problem, ProblemDetails};
use runtime::{Client, Domain, Outgoing, Trace};

type Play = Arc<dyn Fn(&Outgoing) -> anyhow::Result<(u16, Bytes)> + Send + Sync>;

/// The other domains, as the test plays them.
#[derive(Default)]
pub(crate) struct Peers {
    /// The domain that asks, and what it says that it calls; nothing: whatever it likes.
    declared: Option<(&'static str, Vec<&'static str>)>,
    plays: Mutex<HashMap<&'static str, Play>>,
}

impl Peers {
    /// The peers of a domain: those that its table of contents names.
    pub(crate) fn of(domain: &Domain) -> Self {
        let declared = Some((domain.name, domain.calls.clone()));
        Self { declared, plays: Mutex::default() }
    }

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
        self.plays.lock().expect("no holder panics").insert(E::OPERATION, Arc::new(play));
    }

    pub(crate) fn answer(&self, request: &Outgoing) -> anyhow::Result<(u16, Bytes)> {
        if let Some((domain, declared)) = &self.declared {
            assert!(
                declared.contains(&request.operation),
                "{domain} calls {}, which its table of contents doesn't say",
                request.operation,
            );
        }
        let play = self.plays.lock().expect("no holder panics").get(request.operation).cloned();
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
