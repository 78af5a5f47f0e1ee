//! Batches: requests that would fight for one document are decided together.
//!
//! A seat's document can be written once at a time. Of a hundred people who
//! want a seat at once, ninety-nine would lose the race, read again and lose
//! again. So requests of one *lane* (a section, say) wait for each other: while
//! one batch is being committed the next gathers, and is then decided in the
//! order of arrival, in one commit or as few as will do. Nobody waits for anybody when there's no
//! crowd. It holds in one process; between processes the store's preconditions
//! still decide.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::{Endpoint, Language};
use futures_util::future::{Either, select};
use tokio::sync::{Notify, oneshot};

use crate::{
    Changes, Conflict, Context, Envelope, Error, Ports, Result, Sender, System, Trace,
    answering::Declared,
    context::{Run, outbox_row},
    domain::{ATTEMPTS, Incoming, Reply},
    idempotency::{Entered, Keyed, is_definite},
    turns::Turns,
};

/// A request whose batch is known from its fields.
pub trait Batched: Endpoint {
    /// Who is decided together.
    fn lane(&self) -> String;
    /// Whether it asks for the verdict alone: then it's answered with 200, and
    /// nothing is changed or recorded.
    fn is_dry_run(&self) -> bool {
        false
    }
}

/// One request of a batch.
#[derive(Clone, Debug)]
pub struct Call<C, E> {
    /// Who asks.
    pub caller: C,
    /// What they ask.
    pub request: E,
}

/// What a batch comes to: the changes that its requests share, and a verdict
/// for each, in their order. Where there are fewer verdicts, the rest of the
/// batch is decided next; of the first there must be one.
pub struct Outcome<R> {
    /// What is changed for all of them.
    pub shared: Changes,
    /// The answer and the changes of each, or its refusal.
    pub verdicts: Vec<Result<(R, Changes)>>,
}

/// The most requests that are decided at once: each may write four documents, all of them
/// together some fifty, and a commit takes 500.
const MOST: usize = 110;

/// How long a batch waits for as many as were answered last; once more, if some have come.
const PATIENCE: Duration = Duration::from_millis(2);

type Future<T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send>>;
/// Decides a batch.
pub(crate) type Decide<C, E> = dyn Fn(Context<System>, Vec<Call<C, E>>) -> Future<Result<Outcome<<E as Endpoint>::Response>>>
    + Send
    + Sync;

/// The lanes of an operation.
pub(crate) struct Lanes<C, E: Endpoint> {
    open: Mutex<HashMap<String, Lane<C, E>>>,
    decide: Box<Decide<C, E>>,
    domain: &'static str,
    declared: Declared,
    turns: Arc<Turns>,
}

struct Lane<C, E> {
    waiting: Vec<Waiting<C, E>>,
    /// With how many its driver goes on.
    enough: usize,
    are_enough: Arc<Notify>,
}

impl<C, E> Default for Lane<C, E> {
    fn default() -> Self {
        Self { waiting: Vec::new(), enough: usize::MAX, are_enough: Arc::default() }
    }
}

impl<C, E> Lane<C, E> {
    /// The first of those who wait, so many at most.
    fn take(&mut self, most: usize) -> Vec<Waiting<C, E>> {
        self.enough = usize::MAX;
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }
}

/// A request that waits for its batch.
pub(crate) struct Waiting<C, E> {
    pub(crate) call: Call<C, E>,
    pub(crate) language: Language,
    pub(crate) trace: Trace,
    pub(crate) keyed: Option<Arc<Keyed>>,
    /// Kept here, so that the request counts as running though its client has gone.
    pub(crate) entered: Option<Entered>,
    pub(crate) reply: oneshot::Sender<Result<Reply>>,
}

impl<C, E> Lanes<C, E>
where
    C: Clone + Send + Sync + 'static,
    E: Batched,
{
    pub(crate) fn new(
        domain: &'static str,
        declared: Declared,
        decide: Box<Decide<C, E>>,
        turns: Arc<Turns>,
    ) -> Self {
        Self { open: Mutex::default(), decide, domain, declared, turns }
    }

    /// Has a request decided with those of its lane.
    pub(crate) async fn join(
        self: &Arc<Self>,
        ports: Arc<Ports>,
        call: Call<C, E>,
        incoming: Incoming,
        keyed: Option<Arc<Keyed>>,
        entered: Option<Entered>,
    ) -> Result<Reply> {
        let lane = call.request.lane();
        let (reply, answer) = oneshot::channel();
        let Incoming { language, trace, .. } = incoming;
        let waiting = Waiting { call, language, trace, keyed, entered, reply };
        let first = {
            let mut lanes = self.open.lock().expect("no holder panics");
            let first = !lanes.contains_key(&lane);
            let lane = lanes.entry(lane.clone()).or_default();
            lane.waiting.push(waiting);
            if lane.waiting.len() >= lane.enough {
                lane.are_enough.notify_one();
            }
            first
        };
        if first {
            let driver = Driver { lanes: self.clone(), lane, ports, closed: false };
            // A task of its own: it must finish though the first client hangs up.
            crate::spawn(driver.drive());
        }
        answer.await.map_err(|_| anyhow::anyhow!("{}: the batch was lost", E::OPERATION))?
    }
}

/// What was decided of a batch, and is committed.
#[derive(Default)]
struct Decided {
    /// The answers of the first of it, in their order.
    replies: Vec<Reply>,
    /// What their changes tell the platform.
    events: Vec<Envelope>,
}

/// Tells everyone of a batch that it couldn't be decided.
fn give_up<C, E: Endpoint>(batch: Vec<Waiting<C, E>>, error: &Error) {
    if let Error::Internal(error) = error {
        crate::serve::log_internal(E::OPERATION, error);
    }
    let unavailable = !matches!(error, Error::Internal(_));
    for waiting in batch {
        let error = if unavailable {
            Error::Unavailable(1)
        } else {
            Error::Internal(anyhow::anyhow!("logged once"))
        };
        let reply = Reply::refused(error.into_refusal(), waiting.language, &waiting.trace);
        let _gone = waiting.reply.send(Ok(reply));
    }
}

/// Decides the batches of one lane until nobody waits.
struct Driver<C, E: Endpoint> {
    lanes: Arc<Lanes<C, E>>,
    lane: String,
    ports: Arc<Ports>,
    /// Whether the lane was closed: another driver may have opened it again.
    closed: bool,
}

impl<C, E: Endpoint> Drop for Driver<C, E> {
    /// After a panic: whoever still waits is told so by their dropped channel.
    fn drop(&mut self) {
        if !self.closed {
            self.lanes.open.lock().expect("no holder panics").remove(&self.lane);
        }
    }
}

impl<C, E> Driver<C, E>
where
    C: Clone + Send + Sync + 'static,
    E: Batched,
{
    async fn drive(mut self) {
        let mut last = 0;
        while let Some(batch) = self.gather(last).await {
            last = self.decide(batch).await;
        }
    }

    /// The next batch: nothing if nobody waits, and then the lane is closed.
    async fn gather(&mut self, last: usize) -> Option<Vec<Waiting<C, E>>> {
        self.wait_for(last).await;
        let mut lanes = self.lanes.open.lock().expect("no holder panics");
        let lane = lanes.get_mut(&self.lane)?;
        if lane.waiting.is_empty() {
            lanes.remove(&self.lane);
            self.closed = true;
            return None;
        }
        Some(lane.take(MOST))
    }

    /// Adds those who wait to a batch, in the order of arrival, as far as it takes them.
    fn fill(&self, batch: &mut Vec<Waiting<C, E>>) {
        let mut lanes = self.lanes.open.lock().expect("no holder panics");
        if let Some(lane) = lanes.get_mut(&self.lane) {
            batch.extend(lane.take(MOST - batch.len()));
        }
    }

    /// Waits for as many as were answered just now: they come back for more, as crowds do.
    /// (All who are there aren't waited for: while some are decided the others ask, and
    /// nobody is idle.)
    async fn wait_for(&self, answered: usize) {
        if answered < 2 || self.company_within_patience(answered).await {
            return;
        }
        // Some are back, the others are likely on their way.
        if self.count() > 0 {
            self.company_within_patience(answered).await;
        }
    }

    /// Waits for so many to wait here, though not for long; whether they do.
    async fn company_within_patience(&self, enough: usize) -> bool {
        let out_of_patience = self.ports.clock.sleep(PATIENCE);
        matches!(select(pin!(self.company(enough)), out_of_patience).await, Either::Left(_))
    }

    /// How many wait here.
    fn count(&self) -> usize {
        let lanes = self.lanes.open.lock().expect("no holder panics");
        lanes.get(&self.lane).map_or(0, |lane| lane.waiting.len())
    }

    /// Waits until so many wait here.
    async fn company(&self, enough: usize) {
        loop {
            let are_enough = {
                let mut lanes = self.lanes.open.lock().expect("no holder panics");
                let Some(lane) = lanes.get_mut(&self.lane) else { return };
                if lane.waiting.len() >= enough {
                    return;
                }
                lane.enough = enough;
                lane.are_enough.clone()
            };
            are_enough.notified().await;
        }
    }

    /// Decides a batch, again while others win the race for its documents; how many were
    /// answered last.
    async fn decide(&self, mut batch: Vec<Waiting<C, E>>) -> usize {
        let (mut attempt, mut turn, mut told) = (1, None, Vec::new());
        loop {
            batch = match self.without_answered(batch).await {
                Ok(batch) => batch,
                Err((batch, error)) => {
                    self.tell(&told).await;
                    give_up(batch, &error);
                    return 0;
                }
            };
            match self.attempt(&batch, attempt - 1).await {
                Ok(Decided { replies, events }) => {
                    turn = None;
                    told.extend(events);
                    let (count, mut undecided) = (replies.len(), batch.split_off(replies.len()));
                    if undecided.is_empty() || told.len() >= MOST {
                        // Before the last answer: where nothing runs after it, this is the
                        // time. Who is decided before needn't wait for it, unless it's much.
                        self.tell(&std::mem::take(&mut told)).await;
                    }
                    for (waiting, reply) in batch.into_iter().zip(replies) {
                        drop(waiting.entered);
                        let _gone = waiting.reply.send(Ok(reply));
                    }
                    if undecided.is_empty() {
                        return count;
                    }
                    // Those who are left take company along, as any other batch.
                    self.wait_for(count).await;
                    self.fill(&mut undecided);
                    (batch, attempt) = (undecided, 1);
                }
                Err(Error::Stale(key)) if attempt < ATTEMPTS => {
                    turn = self.lanes.turns.after_losing(key, turn).await;
                    crate::domain::pause(attempt, &self.ports).await;
                    attempt += 1;
                }
                Err(error) => {
                    self.tell(&told).await;
                    give_up(batch, &error);
                    return 0;
                }
            }
        }
    }

    /// Tells the bus what was committed. Of a crowd that's only refused, too, it
    /// keeps out of the way.
    async fn tell(&self, events: &[Envelope]) {
        self.ports.bus.committed(self.lanes.domain, events).await;
    }

    /// Those who weren't answered before; the others get that answer again. A
    /// request that another process answers meanwhile is found after the lost race.
    async fn without_answered(
        &self,
        batch: Vec<Waiting<C, E>>,
    ) -> Result<Vec<Waiting<C, E>>, (Vec<Waiting<C, E>>, Error)> {
        let keys: Vec<_> =
            batch.iter().filter_map(|it| it.keyed.as_ref()).map(|keyed| keyed.key()).collect();
        let records = match self.ports.store.get_all(&keys).await {
            Ok(records) => records,
            Err(error) => return Err((batch, error.into())),
        };
        let mut records = records.into_iter();
        let mut left = Vec::with_capacity(batch.len());
        for waiting in batch {
            let keyed = waiting.keyed.as_ref();
            let replay = keyed.and_then(|keyed| Some(keyed.replay(records.next().flatten()?)));
            match replay {
                Some(answered) => {
                    drop(waiting.entered);
                    let _gone = waiting.reply.send(answered);
                }
                None => left.push(waiting),
            }
        }
        Ok(left)
    }

    async fn attempt(&self, batch: &[Waiting<C, E>], losses: u32) -> Result<Decided> {
        let Some(first) = batch.first() else { return Ok(Decided::default()) };
        let context = self.context(&first.trace, losses);
        let now = context.now;
        let calls = batch.iter().map(|waiting| waiting.call.clone()).collect();
        let outcome = (self.lanes.decide)(context, calls).await?;
        let some = 1..=batch.len();
        assert!(some.contains(&outcome.verdicts.len()), "{}: one verdict at least", E::OPERATION);

        let (mut writes, mut events, mut replies) = (Vec::new(), Vec::new(), Vec::new());
        let mut add = |changes: Changes, trace: &Trace| {
            let told = self.run(trace, losses).envelopes(changes.announcements, now);
            writes.extend(changes.writes);
            writes.extend(told.iter().map(outbox_row));
            events.extend::<Vec<Envelope>>(told);
        };
        add(outcome.shared, &first.trace);
        let mut records = Vec::new();
        for (waiting, verdict) in batch.iter().zip(outcome.verdicts) {
            let reply = match verdict {
                Ok((response, changes)) => {
                    let dry = waiting.call.request.is_dry_run();
                    debug_assert!(!dry || changes.is_empty(), "a dry run changes nothing");
                    add(changes, &waiting.trace);
                    Reply::json(if dry { 200 } else { E::ROUTE.status }, &response)?
                }
                Err(Error::Refused(refusal)) => {
                    self.lanes.declared.assert_declares(&refusal);
                    Reply::refused(*refusal, waiting.language, &waiting.trace)
                }
                Err(other) => return Err(other),
            };
            if let Some(keyed) = &waiting.keyed
                && is_definite(&reply)
            {
                records.push(keyed.record(&reply, now));
            }
            replies.push(reply);
        }
        let store = &self.ports.store;
        let kept = if writes.is_empty() {
            // A full section refuses without waiting for whoever writes.
            if records.is_empty() { None } else { Some(store.note(records).await?) }
        } else {
            writes.extend(records);
            Some(store.commit(writes).await?)
        };
        if let Some(kept) = kept {
            kept.map_err(|Conflict(key)| Error::Stale(key))?;
        }
        Ok(Decided { replies, events })
    }

    fn context(&self, trace: &Trace, losses: u32) -> Context<System> {
        Context {
            caller: System::new(),
            now: self.ports.clock.now(),
            language: Language::En,
            run: Arc::new(self.run(trace, losses)),
        }
    }

    fn run(&self, trace: &Trace, losses: u32) -> Run {
        Run {
            ports: self.ports.clone(),
            domain: self.lanes.domain,
            trace: trace.clone(),
            keyed: None,
            status: E::ROUTE.status,
            cause: None,
            sender: Sender::default(),
            losses,
        }
    }
}
