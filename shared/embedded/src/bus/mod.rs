//! The bus in one process: events go from the outboxes straight to their
//! subscribers, at least once and in no order.
//!
//! A request only wakes the relay. The relay hands each event to each of its
//! subscribers; what one of them can't take is written down before the event
//! leaves the outbox, and tried again later. So whenever the process dies, an
//! event is in an outbox, or among the deliveries, or taken, or a dead letter.

mod carrying;
mod delivery;
mod erasing;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::{Event as _, Page, identity::Erased};
use futures_util::{FutureExt, StreamExt, stream};
use runtime::{
    Bus, Clock, Collection, Document, Envelope, Error, Host, Key, Query, Random, Record, Store,
    Unreadable, Write,
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

pub(crate) use self::carrying::stopped;
pub use self::delivery::DeadLetter;
use self::{delivery::Delivery, erasing::Erasing};

/// The bus of one process.
pub struct LocalBus {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    route: OnceLock<Route>,
    /// So many events are with subscribers at once.
    hands: Semaphore,
    /// A delivery has failed, or is to be tried now.
    due: Notify,
    /// Something that waited has moved on.
    moved: Notify,
    /// How often anything was committed or moved on.
    moves: AtomicU64,
    began: Instant,
    /// When a function last committed an event, in milliseconds since the bus began.
    committed_at: AtomicU64,
}

/// Where events come from and go to.
struct Route {
    host: Host,
    outboxes: Vec<Outbox>,
}

/// The outbox of a domain.
struct Outbox {
    domain: &'static str,
    store: Arc<dyn Store>,
    filled: Notify,
}

/// What the bus has still to do, and what it has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Events in outboxes.
    pub events: u64,
    /// Deliveries that have failed and are tried again.
    pub deliveries: u64,
    /// Deliveries that are given up.
    pub dead_letters: u64,
}

impl Waiting {
    /// How much is on its way.
    pub const fn unsettled(&self) -> u64 {
        self.events + self.deliveries
    }
}

/// What came of handing an event over.
enum Outcome {
    Taken,
    /// It may be taken another time.
    Failed(String),
    /// It never will.
    Unreadable(String),
}

/// How many events are with subscribers at once.
const HANDS: usize = 64;

/// How long a subscriber may take for an event.
const TAKEN_WITHIN: Duration = Duration::from_mins(1);

/// How many deliveries are tried again at once, at most.
const BATCH: u32 = 100;

impl LocalBus {
    /// What the bus keeps in its store.
    pub const COLLECTIONS: &'static [Collection] = &[
        Collection::of::<Delivery>(),
        Collection::of::<DeadLetter>(),
        Collection::of::<Erasing>(),
    ];

    /// A bus on a store of its own, which doesn't carry yet: the functions need
    /// it before there's a host.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            store,
            clock,
            random,
            route: OnceLock::new(),
            hands: Semaphore::new(HANDS),
            due: Notify::new(),
            moved: Notify::new(),
            moves: AtomicU64::new(0),
            began: Instant::now(),
            committed_at: AtomicU64::new(0),
        }
    }

    /// Says where events come from and go to; once.
    pub fn connect(&self, host: Host, outboxes: Vec<(&'static str, Arc<dyn Store>)>) {
        let outbox = |(domain, store)| Outbox { domain, store, filled: Notify::new() };
        let outboxes = outboxes.into_iter().map(outbox).collect();
        let _connected_before = self.route.set(Route { host, outboxes });
    }

    fn outboxes(&self) -> &[Outbox] {
        self.route.get().map_or(&[], |route| &route.outboxes)
    }

    /// Relays what waits in the outboxes until they're empty. Gives back how many
    /// events were handed over.
    pub async fn relay(&self) -> anyhow::Result<usize> {
        let mut handed_over = 0;
        loop {
            let before = handed_over;
            for outbox in self.outboxes() {
                handed_over += runtime::relay(&*outbox.store, self).await?;
            }
            // A subscriber may have filled an outbox that was empty before.
            if handed_over == before {
                return Ok(handed_over);
            }
        }
    }

    /// Tries again what has failed and is due. Gives back how many deliveries were tried.
    pub async fn redeliver(&self) -> anyhow::Result<usize> {
        let mut tried = 0;
        loop {
            let now = self.clock.now();
            let due = Query::ascending::<Delivery>("next_attempt_at").at_most(now).limit(BATCH);
            let rows = self.store.query(&due).await?;
            if rows.records.is_empty() {
                return Ok(tried);
            }
            self.quiet(BATCH_PATIENCE).await;
            tried += rows.records.len();
            let again = rows.records.into_iter().map(|record| self.try_again(record));
            let results: Vec<_> = stream::iter(again).buffer_unordered(HANDS).collect().await;
            results.into_iter().collect::<anyhow::Result<()>>()?;
        }
    }

    async fn try_again(&self, record: Record) -> anyhow::Result<()> {
        let mut delivery: Delivery = read(&record)?;
        let event = Arc::new(delivery.event.clone());
        let outcome = self.hand_over(&delivery.subscriber, event).await;
        let now = self.clock.now();
        let key = Key::of::<Delivery>(record.id);
        let writes = match outcome {
            Outcome::Taken => {
                if delivery.event.kind == Erased::TYPE {
                    // What it dropped now is still in the file.
                    self.note_erasing().await?;
                }
                vec![Write::Delete(key, record.version)]
            }
            Outcome::Failed(error) => {
                delivery.fail(&error, now, &*self.random);
                if delivery.is_hopeless() {
                    vec![Write::Delete(key, record.version), bury(delivery.die(now))?]
                } else {
                    let body = serde_json::to_string(&delivery)?;
                    vec![Write::Replace(key, body, record.version)]
                }
            }
            Outcome::Unreadable(error) => {
                delivery.fail(&error, now, &*self.random);
                vec![Write::Delete(key, record.version), bury(delivery.die(now))?]
            }
        };
        // Somebody else has tried it meanwhile: then theirs counts.
        let _lost = self.store.commit(writes).await?;
        self.note_move();
        Ok(())
    }

    /// Hands an event to a subscriber, and notes it down if that fails.
    async fn deliver(&self, event: &Arc<Envelope>, subscriber: &str) -> anyhow::Result<()> {
        let outcome = self.hand_over(subscriber, event.clone()).await;
        let (error, readable) = match outcome {
            Outcome::Taken => return Ok(()),
            Outcome::Failed(error) => (error, true),
            Outcome::Unreadable(error) => (error, false),
        };
        let now = self.clock.now();
        let event = Envelope::clone(event);
        let delivery = Delivery::failed(event, subscriber, &error, now, &*self.random);
        let write = if readable {
            let body = serde_json::to_string(&delivery)?;
            Write::Create(Key::of::<Delivery>(delivery.key()), body)
        } else {
            bury(delivery.die(now))?
        };
        // Otherwise it had failed before a crash already, and is tried again anyway.
        if self.store.commit(vec![write]).await?.is_ok() {
            self.due.notify_one();
        }
        Ok(())
    }

    async fn hand_over(&self, subscriber: &str, event: Arc<Envelope>) -> Outcome {
        let Some(route) = self.route.get() else {
            return Outcome::Failed("the bus isn't connected yet".to_owned());
        };
        let _hand = self.hands.acquire().await.expect("the hands are never taken away");
        let (kind, id) = (event.kind.clone(), event.id.clone());
        let taken = AssertUnwindSafe(route.host.deliver(subscriber, event)).catch_unwind();
        let outcome = match tokio::time::timeout(TAKEN_WITHIN, taken).await {
            Ok(Ok(Ok(()))) => Outcome::Taken,
            Ok(Ok(Err(Error::Internal(error)))) if error.is::<Unreadable>() => {
                Outcome::Unreadable(format!("{error:#}"))
            }
            Ok(Ok(Err(Error::Internal(error)))) => Outcome::Failed(format!("{error:#}")),
            Ok(Ok(Err(error))) => Outcome::Failed(error.to_string()),
            Ok(Err(panic)) => Outcome::Failed(format!("it panicked: {}", said(&*panic))),
            Err(_elapsed) => {
                Outcome::Failed(format!("it took more than {} s", TAKEN_WITHIN.as_secs()))
            }
        };
        match &outcome {
            Outcome::Taken => {}
            Outcome::Failed(error) => {
                tracing::warn!(subscriber, kind, id, error, "an event wasn't taken");
            }
            Outcome::Unreadable(error) => {
                tracing::error!(subscriber, kind, id, error, "an event can't be read: it's parked");
            }
        }
        outcome
    }

    /// The deliveries that are given up, newest first.
    pub async fn dead_letters(
        &self,
        limit: u32,
        page_token: Option<&str>,
    ) -> runtime::Result<Page<DeadLetter>> {
        let query = Query::descending::<DeadLetter>("died_at");
        let after = page_token.map(|token| runtime::place(&query, token)).transpose()?;
        let query = query.limit(limit).after(after);
        let rows = self.store.query(&query).await?;
        let items = rows.records.iter().map(read).collect::<anyhow::Result<_>>()?;
        let next_page_token = rows.next.map(|next| runtime::page_token(&query, &next));
        Ok(Page { items, next_page_token })
    }

    /// Tries a dead letter again, as if it had never failed. Gives back whether
    /// there's one with this id.
    pub async fn replay(&self, id: &str) -> anyhow::Result<bool> {
        let key = Key::of::<DeadLetter>(id);
        let Some(record) = self.store.get(&key).await? else { return Ok(false) };
        let DeadLetter { event, subscriber, .. } = read(&record)?;
        let delivery = Delivery::new(event, &subscriber, self.clock.now());
        let body = serde_json::to_string(&delivery)?;
        let create = Write::Create(Key::of::<Delivery>(delivery.key()), body);
        let replayed = self.store.commit(vec![Write::Delete(key, record.version), create]).await?;
        self.note_move();
        self.due.notify_one();
        // Lost: somebody else has replayed it just now.
        Ok(replayed.is_ok())
    }

    /// What the bus has still to do, and what it has given up.
    pub async fn waiting(&self) -> anyhow::Result<Waiting> {
        loop {
            let moves = self.moves.load(Ordering::SeqCst);
            let mut waiting = Waiting { events: 0, deliveries: 0, dead_letters: 0 };
            for outbox in self.outboxes() {
                let all = Query::ascending::<Envelope>("emitted_at");
                waiting.events += outbox.store.count(&all).await?;
            }
            let deliveries = Query::ascending::<Delivery>("next_attempt_at");
            waiting.deliveries = self.store.count(&deliveries).await?;
            let dead_letters = Query::descending::<DeadLetter>("died_at");
            waiting.dead_letters = self.store.count(&dead_letters).await?;
            // What moved from one place to another while they were counted could
            // have been overlooked: nothing is only sure when nothing moved.
            if waiting.unsettled() > 0 || self.moves.load(Ordering::SeqCst) == moves {
                return Ok(waiting);
            }
        }
    }

    /// Waits until nothing is on its way any more.
    pub async fn settled(&self) -> anyhow::Result<()> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.waiting().await?.unsettled() == 0 {
                return Ok(());
            }
            moved.await;
        }
    }

    fn note_move(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Waits until functions haven't committed for a moment, but not for long:
    /// while people wait for answers, events can.
    async fn quiet(&self, patience: Duration) {
        let began = Instant::now();
        loop {
            let committed_at = Duration::from_millis(self.committed_at.load(Ordering::Relaxed));
            let quiet_at = self.began + committed_at + QUIET;
            let until = quiet_at.min(began + patience);
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// How long functions must not have committed.
const QUIET: Duration = Duration::from_millis(50);

/// How long a batch of events waits for that.
const BATCH_PATIENCE: Duration = Duration::from_millis(25);

#[async_trait]
impl Bus for LocalBus {
    async fn committed(&self, domain: &'static str, events: &[Envelope]) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.committed_at.store(now, Ordering::Relaxed);
        if events.is_empty() {
            return;
        }
        self.moves.fetch_add(1, Ordering::SeqCst);
        if let Some(outbox) = self.outboxes().iter().find(|it| it.domain == domain) {
            outbox.filled.notify_one();
        }
    }

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        let Some(route) = self.route.get() else { anyhow::bail!("the bus isn't connected yet") };
        self.quiet(BATCH_PATIENCE).await;
        let mut deliveries = Vec::new();
        for event in events {
            let shared = Arc::new(event.clone());
            for subscriber in route.host.subscribers(&event.kind) {
                let (event, subscriber) = (shared.clone(), subscriber.to_owned());
                deliveries.push(async move { self.deliver(&event, &subscriber).await });
            }
        }
        let results: Vec<_> = stream::iter(deliveries).buffer_unordered(HANDS).collect().await;
        if events.iter().any(|it| it.kind == Erased::TYPE) {
            self.note_erasing().await?;
        }
        self.note_move();
        results.into_iter().collect()
    }
}

fn read<D: DeserializeOwned>(record: &Record) -> anyhow::Result<D> {
    Ok(serde_json::from_str(&record.body)?)
}

fn bury(letter: DeadLetter) -> anyhow::Result<Write> {
    let body = serde_json::to_string(&letter)?;
    Ok(Write::Create(Key::of::<DeadLetter>(letter.id), body))
}

/// What a panic says.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}
