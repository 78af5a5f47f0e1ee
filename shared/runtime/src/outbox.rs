//! The outbox: events are committed with the change that they tell of, and
//! published after.
//!
//! An event's row is created in the commit of its change, so neither exists
//! without the other. After the commit the row is relayed: handed to the
//! [`Bus`], then deleted. What a crash leaves behind is relayed by a tick; so
//! an event is published at least once.

use async_trait::async_trait;
use contracts::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Document, Index, Key, Query, Store, Stored, Write};

/// An event on its way: the attributes of `CloudEvents` 1.0, and the data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Its id, unique over all domains: who was here before is known by it.
    pub id: String,
    /// The event's type: `enrollments.confirmed.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The domain that tells it.
    pub source: String,
    /// What it happened to.
    pub subject: String,
    /// When it happened.
    pub emitted_at: Timestamp,
    /// The trace that it belongs to (W3C `traceparent`).
    pub traceparent: String,
    /// The first cause of the chain of events that it belongs to.
    pub correlation_id: String,
    /// The event or the request that caused it.
    pub causation_id: String,
    /// The event itself, as JSON.
    pub data: Box<RawValue>,
}

impl Document for Envelope {
    const COLLECTION: &'static str = "outbox";
    const INDEXES: &'static [Index] = &[Index::ascending("emitted_at")];
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// An event isn't what its type says: its subscriber can never read it. Where that
/// is seen is told, and not what stands there: it may be somebody's name.
#[derive(Debug, thiserror::Error)]
#[error("the event can't be read as {kind}, from byte {at} on")]
pub struct Unreadable {
    pub(crate) kind: &'static str,
    pub(crate) at: usize,
}

/// What arrived as an event and can never be taken: it's kept for people to
/// look at, so that it holds up nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// Its id: the same thing for the same subscriber is parked once.
    pub id: String,
    /// The function that should have taken it.
    pub subscriber: String,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// When it's forgotten.
    pub expires_at: Timestamp,
    /// Why it can't be taken.
    pub because: String,
    /// What arrived, as text; cut off where it's too long for a document.
    pub arrived: String,
}

impl Parked {
    /// For how many seconds what nobody could take is kept.
    pub const KEPT_SECONDS: i64 = 31 * 24 * 60 * 60;

    /// What arrived for a subscriber, to be parked now.
    pub fn new(subscriber: &str, because: &str, arrived: &str, now: Timestamp) -> Self {
        const MOST: usize = 500_000;
        Self {
            id: crate::derived_id(&["parked", subscriber, arrived]),
            subscriber: subscriber.to_owned(),
            parked_at: now,
            expires_at: now.plus_seconds(Self::KEPT_SECONDS),
            because: because.chars().take(2_000).collect(),
            arrived: arrived[..arrived.floor_char_boundary(MOST)].to_owned(),
        }
    }
}

impl Document for Parked {
    const COLLECTION: &'static str = "parked";
    const INDEXES: &'static [Index] = &[Index::descending("parked_at")];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// An event that a function wants told, before it has an id.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) data: Box<RawValue>,
}

impl Announcement {
    pub(crate) fn of<E: Event>(event: &E) -> Self {
        let data = serde_json::value::to_raw_value(event).expect("events are JSON");
        Self { kind: E::TYPE, subject: event.subject(), data }
    }
}

/// The port: what carries events from a domain to its subscribers.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Events of a domain have been committed and wait in its outbox. Where
    /// nothing runs after the answer, they are relayed before this returns. There
    /// may be none: then somebody was answered, and more may come.
    async fn committed(&self, domain: &'static str, events: &[Envelope]);
    /// Hands events over for good: `Ok` says that each reaches its subscribers.
    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()>;
}

/// When the oldest event of an outbox happened; nothing if none waits.
pub(crate) async fn oldest(store: &dyn Store) -> anyhow::Result<Option<Timestamp>> {
    let rows = store.query(&Query::ascending::<Envelope>("emitted_at").limit(1)).await?;
    let first = rows.records.into_iter().next();
    first.map(|row| Ok(Stored::<Envelope>::read(row)?.into_inner().emitted_at)).transpose()
}

/// Publishes what waits in a domain's outbox, a batch at a time, oldest first.
/// Gives back how many events were published.
pub async fn relay(store: &dyn Store, bus: &dyn Bus) -> anyhow::Result<usize> {
    const BATCH: u32 = 100;
    let mut published = 0;
    loop {
        let rows = store.query(&Query::ascending::<Envelope>("emitted_at").limit(BATCH)).await?;
        if rows.records.is_empty() {
            return Ok(published);
        }
        let versions: Vec<_> = rows.records.iter().map(|row| row.version.clone()).collect();
        let events: Vec<Envelope> = rows
            .records
            .into_iter()
            .map(|record| Stored::read(record).map(Stored::into_inner))
            .collect::<anyhow::Result<_>>()?;
        bus.publish(&events).await?;
        published += events.len();
        let keys = events.into_iter().map(|event| Key::of::<Envelope>(event.id));
        let writes = keys.zip(versions).map(|(key, version)| Write::Delete(key, version));
        // Lost to another relay: then it has published them too, and that is allowed.
        let _lost = store.commit(writes.collect()).await?;
    }
}
