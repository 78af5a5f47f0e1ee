//! A host: functions with their ports, ready to be run by a request, an event
//! or the clock, whatever carries those.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contracts::{Endpoint as _, Timestamp, identity::ExchangeToken};

use crate::{
    Domain, Envelope, Error, Function, Incoming, Ports, Reply, Result, Trace, Trigger,
    problems::NO_SUCH_PATH,
};

/// Functions that are served in this process.
#[derive(Clone)]
pub struct Host {
    functions: Arc<BTreeMap<String, Served>>,
    /// What exchanges tokens, where the domain that does isn't all served.
    exchange: Option<Arc<Served>>,
}

/// A function, its ports, and how it has fared.
pub struct Served {
    /// The function.
    pub function: Function,
    /// Its domain.
    pub domain: &'static str,
    /// What it may touch.
    pub ports: Arc<Ports>,
    last_failure: Mutex<Option<Failure>>,
    failures_in_a_row: AtomicU32,
}

/// A fault of ours that a function ran into.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What went wrong, for operators.
    pub message: String,
}

impl Host {
    /// Hosts the functions of some domains, each with its domain's ports; of
    /// all of them, or of the one that is named.
    ///
    /// As in Google's Functions Framework, `FUNCTION_TARGET` names the function
    /// to serve; without it every function is served. Whoever has the function that
    /// exchanges tokens can run it though another is served: it asks nobody for that.
    pub fn new(domains: Vec<(Domain, Arc<Ports>)>, target: Option<&str>) -> Self {
        let (mut functions, mut exchange) = (BTreeMap::new(), None);
        for (domain, ports) in domains {
            for function in domain.functions {
                let is_served = target.is_none_or(|target| function.id == target);
                if !is_served && function.id != ExchangeToken::OPERATION {
                    continue;
                }
                let served = Served {
                    domain: domain.name,
                    ports: ports.clone(),
                    last_failure: Mutex::default(),
                    failures_in_a_row: AtomicU32::new(0),
                    function,
                };
                if is_served {
                    functions.insert(served.function.id.clone(), served);
                } else {
                    exchange = Some(Arc::new(served));
                }
            }
        }
        Self { functions: Arc::new(functions), exchange }
    }

    /// Whether tokens are exchanged in this process.
    pub(crate) fn exchanges(&self) -> bool {
        self.exchanging().is_some()
    }

    /// Has a token exchanged in this process.
    pub(crate) async fn exchange(&self, incoming: Incoming) -> Reply {
        answer(self.exchanging(), ExchangeToken::OPERATION, incoming).await
    }

    fn exchanging(&self) -> Option<&Served> {
        self.function(ExchangeToken::OPERATION).or(self.exchange.as_deref())
    }

    /// The functions, by their ids.
    pub fn functions(&self) -> impl Iterator<Item = &Served> {
        self.functions.values()
    }

    /// The function with this id.
    pub fn function(&self, id: &str) -> Option<&Served> {
        self.functions.get(id)
    }

    /// Runs an operation. A refusal is a reply too; an error is a fault of ours.
    pub async fn request(&self, operation: &str, incoming: Incoming) -> Reply {
        answer(self.function(operation), operation, incoming).await
    }

    /// The subscribers of an event's type, by their functions' ids.
    pub fn subscribers<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let subscribes = move |it: &&Served| matches!(&it.function.trigger, Trigger::Event(it) if it.kind == kind);
        self.functions().filter(subscribes).map(|served| served.function.id.as_str())
    }

    /// Gives an event to a subscriber.
    pub async fn deliver(&self, subscriber: &str, event: Arc<Envelope>) -> Result<()> {
        match self.function(subscriber).map(|it| (it, &it.function.trigger)) {
            Some((served, Trigger::Event(subscription))) => {
                let result = (subscription.run)(served.ports.clone(), event).await;
                served.note(&result);
                result
            }
            _ => Err(anyhow::anyhow!("{subscriber} isn't a subscriber here").into()),
        }
    }

    /// Runs a job once.
    pub async fn run_job(&self, job: &str) -> Result<()> {
        match self.function(job).map(|it| (it, &it.function.trigger)) {
            Some((served, Trigger::Schedule(schedule))) => {
                let trace = Trace::going_on(None, &*served.ports.random);
                let result = (schedule.run)(served.ports.clone(), trace).await;
                served.note(&result);
                result
            }
            _ => Err(anyhow::anyhow!("{job} isn't a job here").into()),
        }
    }
}

/// Runs an operation, if there's one.
async fn answer(served: Option<&Served>, operation: &str, incoming: Incoming) -> Reply {
    let (language, trace) = (incoming.language, incoming.trace.clone());
    let result = match served.map(|it| (it, &it.function.trigger)) {
        Some((served, Trigger::Http(operation))) => {
            let result = (operation.run)(served.ports.clone(), incoming).await;
            served.note(&result);
            result
        }
        _ => Err(NO_SUCH_PATH.into()),
    };
    result.unwrap_or_else(|error| {
        if let Error::Internal(error) = &error {
            log_internal(operation, error);
        }
        Reply::refused(error.into_refusal(), language, &trace)
    })
}

impl Served {
    /// The last fault of ours, if it was within the last while.
    pub fn recent_failure(&self, now: Timestamp, within: Duration) -> Option<Failure> {
        let failure = self.last_failure()?;
        let seconds = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
        (failure.at.plus_seconds(seconds) > now).then_some(failure)
    }

    /// The last fault of ours, whenever it was.
    pub fn last_failure(&self) -> Option<Failure> {
        self.last_failure.lock().expect("no holder panics").clone()
    }

    /// How often in a row it has run into a fault of ours.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Ordering::Relaxed)
    }

    fn note<T>(&self, result: &Result<T>) {
        if let Err(Error::Internal(error)) = result {
            let failure = Failure { at: self.ports.clock.now(), message: format!("{error:#}") };
            *self.last_failure.lock().expect("no holder panics") = Some(failure);
            self.failures_in_a_row.fetch_add(1, Ordering::Relaxed);
        } else if self.failures_in_a_row() > 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

/// Tells operators of a fault of ours, once, with its chain of causes.
pub(crate) fn log_internal(function: &str, error: &anyhow::Error) {
    tracing::error!(function, error = format!("{error:#}"), "internal error");
}
