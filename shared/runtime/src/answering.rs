//! How an operation answers: all that is the same for every one of them, and so
//! is compiled once. What its types are, only [`Read`] knows.

use std::sync::Arc;

use contracts::{Endpoint, Idempotency, Problem, Route, Timestamp};

use crate::{
    Access, Caller, Conflict, Error, Incoming, Ports, Refusal, Reply, Result,
    context::Run,
    domain::{Boxed, until_it_wins},
    idempotency::{Keyed, Running, is_definite},
    turns::Turns,
};

/// What is said of an operation beside its types.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) operation: &'static str,
    pub(crate) route: Route,
    pub(crate) idempotency: Idempotency,
    problems: &'static [Problem],
    access: Access,
}

/// Reads a request, if its caller may ask it at all.
pub(crate) type Read = dyn Fn(&Incoming) -> Result<Box<Attempt>> + Send + Sync;

/// Tries to answer a request that was read.
pub(crate) type Attempt = dyn Fn(Timestamp, Arc<Run>) -> Boxed<Result<Reply>> + Send + Sync;

/// An operation that answers one request after the other.
pub(crate) struct Answering {
    pub(crate) domain: &'static str,
    pub(crate) declared: Declared,
    pub(crate) read: Box<Read>,
    pub(crate) running: Arc<Running>,
    pub(crate) turns: Arc<Turns>,
}

impl Declared {
    /// What an endpoint says, for these callers.
    pub(crate) const fn of<C: Caller, E: Endpoint>() -> Self {
        Self {
            operation: E::OPERATION,
            route: E::ROUTE,
            idempotency: E::IDEMPOTENCY,
            problems: E::PROBLEMS,
            access: C::ACCESS,
        }
    }

    /// In tests, an undeclared refusal is a bug: the documents would lie. Whoever
    /// lets anyone ask and refuses some all the same must say so too.
    pub(crate) fn assert_declares(&self, refusal: &Refusal) {
        for problem in refusal.problems() {
            let is_shared = crate::problems::ALL.contains(problem)
                && (self.access != Access::Anyone || *problem != crate::problems::FORBIDDEN);
            debug_assert!(
                self.problems.contains(problem) || is_shared,
                "{} refuses {} without declaring it",
                self.operation,
                problem.reason,
            );
        }
    }
}

impl Answering {
    /// Answers a request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        ports: Arc<Ports>,
        incoming: Incoming,
    ) -> Result<Reply> {
        let read = (self.read)(&incoming)?;
        let keyed = Keyed::of(&self.declared, &incoming, &ports.secret)?.map(Arc::new);
        let _entered = match &keyed {
            None => None,
            Some(keyed) => {
                let entered = self.running.enter(keyed)?;
                if let Some(reply) = keyed.earlier(&*ports.store).await? {
                    return Ok(reply);
                }
                Some(entered)
            }
        };
        let attempt = |attempt: u32| {
            let run = Run {
                ports: ports.clone(),
                domain: self.domain,
                trace: incoming.trace.clone(),
                keyed: keyed.clone(),
                status: self.declared.route.status,
                cause: None,
                sender: incoming.sender.clone(),
                losses: attempt - 1,
            };
            let (ports, keyed, read) = (&ports, &keyed, &read);
            async move {
                if attempt > 1
                    && let Some(keyed) = keyed
                    && let Some(reply) = keyed.earlier(&*ports.store).await?
                {
                    return Ok(reply);
                }
                read(ports.clock.now(), Arc::new(run)).await
            }
        };
        match until_it_wins(&self.turns, &ports, attempt).await {
            Err(Error::Refused(refusal)) => {
                self.declared.assert_declares(&refusal);
                refuse(*refusal, &incoming, keyed.as_deref(), &ports).await
            }
            other => other,
        }
    }
}

/// Answers with a refusal, which is final for the key that it came with. Nobody
/// waits for the disk because of it: where a crash takes the record back, nothing
/// has happened that a second look could undo.
async fn refuse(
    refusal: Refusal,
    incoming: &Incoming,
    keyed: Option<&Keyed>,
    ports: &Ports,
) -> Result<Reply> {
    let reply = Reply::refused(refusal, incoming.language, &incoming.trace);
    if let Some(keyed) = keyed
        && is_definite(&reply)
    {
        // What it's refused for may be what the same request has done meanwhile, whose client
        // hung up before the answer; then the answer is there too.
        if let Some(earlier) = keyed.earlier(&*ports.store).await? {
            return Ok(earlier);
        }
        let record = keyed.record(&reply, ports.clock.now());
        match ports.store.note(vec![record]).await? {
            Ok(()) => {}
            // The same request has been answered meanwhile; that answer counts.
            Err(Conflict(_)) => {
                if let Some(earlier) = keyed.earlier(&*ports.store).await? {
                    return Ok(earlier);
                }
            }
        }
    }
    Ok(reply)
}
