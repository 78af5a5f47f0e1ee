//! The store: documents in collections, read one by one or by query, changed
//! together or not at all.
//!
//! [`Store`] is the port, and small: what an adapter must do, the rules in
//! [`conformance`](crate::conformance) say. Functions don't see it: they read
//! and commit through their [`Context`](crate::Context).

mod collections;
mod weight;

use std::ops::{Deref, DerefMut};

use async_trait::async_trait;
use contracts::Event;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use self::collections::{Collections, Field, Kind, is_plain, time};
use crate::outbox::Announcement;

/// A thing that is kept.
///
/// It is stored as a JSON object. A field that is indexed stands at the top of
/// it and is a text, a whole number or a boolean (an array of texts for
/// [`Index::containing`]); a document without the field isn't in the index. If its
/// name ends in `_at`, `_since` or `_until`, it's a time ([`Kind::Time`]).
///
/// What else a store takes, [`Collections`] checks.
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Where it is kept.
    const COLLECTION: &'static str;
    /// The shapes of the queries that may be asked of its collection.
    const INDEXES: &'static [Index] = &[];
    /// The field, a time, after which the store may drop it by itself.
    const EXPIRES: Option<&'static str> = None;
    /// Its id there.
    fn key(&self) -> String;
}

/// The port: what the platform asks of a database.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads one document.
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>>;
    /// Reads several documents at one moment, each at its place in the answer: of a
    /// commit that has written two of them it finds both, or neither. (What decides by
    /// several documents writes them all at the versions that it read, all the same: the
    /// simulator reads them at several moments.)
    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        futures_util::future::try_join_all(keys.iter().map(|key| self.get(key))).await
    }
    /// Reads some documents of a collection, in order.
    async fn query(&self, query: &Query) -> anyhow::Result<Rows>;
    /// Counts the documents that a query would find without its limit.
    async fn count(&self, query: &Query) -> anyhow::Result<u64>;
    /// Writes all, or nothing when any precondition fails. What it has
    /// answered is kept, whatever happens after.
    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>>;
    /// Adds documents that nobody waits for. Reads of them find them at once; on
    /// the disk they are a moment later, and only a crash before that loses them.
    /// One that turns out to exist stays as it is. Where nothing can run later, they
    /// are committed now.
    async fn note(&self, creates: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        self.commit(creates).await
    }
    /// A number that stays the same as long as nothing in a collection changes:
    /// what was read after it was told is still so while it's told again.
    /// Nothing where the store doesn't know: others write there too, or it's
    /// being written just now.
    fn edition(&self, _collection: &str) -> Option<u64> {
        None
    }
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The collection.
    pub collection: &'static str,
    /// The id in it.
    pub id: String,
}

impl Key {
    /// Where a kind of document with this id is.
    pub fn of<D: Document>(id: impl Into<String>) -> Self {
        Self { collection: D::COLLECTION, id: id.into() }
    }
}

/// Which write of a document this is; opaque outside the adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// A document as an adapter reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// The content: a JSON object as text, so that it's parsed once, by who wants it.
    pub body: String,
    /// Its version.
    pub version: Version,
}

/// One change, with its precondition. The content is a JSON object as text.
#[derive(Clone, Debug)]
pub enum Write {
    /// Adds a document that must not exist.
    Create(Key, String),
    /// Replaces a document that must be at this version.
    Replace(Key, String, Version),
    /// Removes a document that must be at this version.
    Delete(Key, Version),
}

impl Write {
    /// The document that it's about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Create(key, _) | Self::Replace(key, _, _) | Self::Delete(key, _) => key,
        }
    }

    /// Whether this write and another of the same document suppose it as it was at two
    /// moments. (To delete and to create it is to suppose that it changes halfway.)
    fn is_torn_from(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Replace(.., one) | Self::Delete(_, one),
                Self::Replace(.., another) | Self::Delete(_, another),
            ) => one != another,
            (Self::Create(..), other) | (other, Self::Create(..)) => {
                matches!(other, Self::Replace(..))
            }
        }
    }
}

/// A precondition failed: this document wasn't as the write supposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict(pub Key);

/// The database didn't answer, or not before the patience ended. What was asked
/// may be asked again; a commit may have been made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the smallest up.
    Ascending,
    /// From the largest down.
    Descending,
}

/// The shape of a query that may be asked: every field of `equals` has a value
/// each, the array `contains` has a value in it, and `order` sorts.
///
/// Firestore refuses a query that no index serves, and its emulator doesn't;
/// so every adapter refuses a shape that isn't declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// The fields that must have a value.
    pub equals: &'static [&'static str],
    /// The array that must contain a value.
    pub contains: Option<&'static str>,
    /// The field that sorts; the id sorts what is equal, the same way.
    pub order: &'static str,
    /// Which way.
    pub direction: Direction,
}

impl Index {
    /// Sorted by a field, from the smallest up.
    pub const fn ascending(order: &'static str) -> Self {
        Self { equals: &[], contains: None, order, direction: Direction::Ascending }
    }
    /// Sorted by a field, from the largest down.
    pub const fn descending(order: &'static str) -> Self {
        Self { equals: &[], contains: None, order, direction: Direction::Descending }
    }
    /// Only where these fields have certain values.
    #[must_use]
    pub const fn equals(mut self, fields: &'static [&'static str]) -> Self {
        self.equals = fields;
        self
    }
    /// Only where this array contains a certain value.
    #[must_use]
    pub const fn containing(mut self, field: &'static str) -> Self {
        self.contains = Some(field);
        self
    }
}

/// A collection, as its documents declare it: what an adapter must prepare.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    /// Its name.
    pub name: &'static str,
    /// The shapes of the queries that may be asked.
    pub indexes: &'static [Index],
    /// The field, a time, after which a document may be dropped.
    pub expires: Option<&'static str>,
}

impl Collection {
    /// The collection of a kind of document.
    pub const fn of<D: Document>() -> Self {
        Self { name: D::COLLECTION, indexes: D::INDEXES, expires: D::EXPIRES }
    }

    /// The declared index that serves a query.
    pub fn index_for(&self, query: &Query) -> Option<&'static Index> {
        self.indexes.iter().find(|index| {
            index.order == query.order
                && index.direction == query.direction
                && index.contains == query.contains.as_ref().map(|filter| filter.field)
                && index.equals.len() == query.equals.len()
                // Asked the other way round, a field given twice would stand for another.
                && index.equals.iter().all(|it| query.equals.iter().any(|by| by.field == *it))
        })
    }
}

/// Which documents, in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The collection.
    pub collection: &'static str,
    /// Fields that must have these values.
    pub equals: Vec<Filter>,
    /// An array that must contain this value.
    pub contains: Option<Filter>,
    /// The field to sort by; only documents that have it are found.
    pub order: &'static str,
    /// Which way.
    pub direction: Direction,
    /// Only where the field to sort by is at most this.
    pub at_most: Option<Value>,
    /// Only where the field to sort by is at least this.
    pub at_least: Option<Value>,
    /// At most so many.
    pub limit: u32,
    /// Only what comes after this place in the order.
    pub after: Option<Cursor>,
}

/// A field and the value that it must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The field.
    pub field: &'static str,
    /// The value.
    pub value: Value,
}

/// A place in the order of a query: that of a document, which may be gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The value of the field that sorts.
    pub value: Value,
    /// The document's id.
    pub id: String,
}

/// What a query found.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The documents, in order.
    pub records: Vec<Record>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

impl Query {
    /// A collection's documents, sorted by a field from the smallest up.
    pub fn ascending<D: Document>(order: &'static str) -> Self {
        Self::sorted::<D>(order, Direction::Ascending)
    }

    /// A collection's documents, sorted by a field from the largest down.
    pub fn descending<D: Document>(order: &'static str) -> Self {
        Self::sorted::<D>(order, Direction::Descending)
    }

    fn sorted<D: Document>(order: &'static str, direction: Direction) -> Self {
        Self {
            collection: D::COLLECTION,
            equals: Vec::new(),
            contains: None,
            order,
            direction,
            at_most: None,
            at_least: None,
            limit: 100,
            after: None,
        }
    }

    /// Only those where a field has a value.
    #[must_use]
    pub fn equals(mut self, field: &'static str, value: impl Serialize) -> Self {
        self.equals.push(Filter { field, value: json(value) });
        self
    }

    /// Only those where an array contains a value.
    #[must_use]
    pub fn containing(mut self, field: &'static str, value: impl Serialize) -> Self {
        self.contains = Some(Filter { field, value: json(value) });
        self
    }

    /// Only those where the field that sorts is at most this.
    #[must_use]
    pub fn at_most(mut self, value: impl Serialize) -> Self {
        self.at_most = Some(json(value));
        self
    }

    /// Only those where the field that sorts is at least this.
    #[must_use]
    pub fn at_least(mut self, value: impl Serialize) -> Self {
        self.at_least = Some(json(value));
        self
    }

    /// At most so many.
    #[must_use]
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Only what comes after a place.
    #[must_use]
    pub fn after(mut self, place: Option<Cursor>) -> Self {
        self.after = place;
        self
    }
}

/// A value as JSON; ids, states, times and numbers always are.
fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("a filter's value is JSON")
}

/// A document and the version at which it was read.
#[derive(Clone, Debug)]
pub struct Stored<D> {
    value: D,
    version: Option<Version>,
}

impl<D: Document> Stored<D> {
    /// Reads what an adapter has found.
    pub fn read(record: Record) -> anyhow::Result<Self> {
        let value = serde_json::from_str(&record.body).map_err(|error| {
            // Not what stands there: the error is told, and it may be somebody's name.
            let (kind, id, at) = (D::COLLECTION, &record.id, error.column());
            anyhow::anyhow!("{kind}/{id} can't be read, from byte {at} on")
        })?;
        Ok(Self { value, version: Some(record.version) })
    }
    /// One that isn't in the store yet.
    pub const fn new(value: D) -> Self {
        Self { value, version: None }
    }
    /// Whether it isn't in the store yet.
    pub const fn is_new(&self) -> bool {
        self.version.is_none()
    }
    /// The document alone.
    pub fn into_inner(self) -> D {
        self.value
    }
}

impl<D> Deref for Stored<D> {
    type Target = D;
    fn deref(&self) -> &D {
        &self.value
    }
}

impl<D> DerefMut for Stored<D> {
    fn deref_mut(&mut self) -> &mut D {
        &mut self.value
    }
}

/// What a function wants changed: all of it, or nothing.
#[derive(Debug, Default)]
#[must_use = "changes do nothing until they are committed"]
pub struct Changes {
    pub(crate) writes: Vec<Write>,
    pub(crate) announcements: Vec<Announcement>,
}

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a new document, which must not exist.
    pub fn create<D: Document>(mut self, document: &D) -> Self {
        self.writes.push(Write::Create(Key::of::<D>(document.key()), text(document)));
        self
    }
    /// Saves a document that was read, or is new.
    pub fn save<D: Document>(mut self, document: &Stored<D>) -> Self {
        let (key, body) = (Key::of::<D>(document.key()), text(&document.value));
        self.writes.push(match &document.version {
            Some(version) => Write::Replace(key, body, version.clone()),
            None => Write::Create(key, body),
        });
        self
    }
    /// Removes a document that was read. One that was never stored stays so.
    pub fn delete<D: Document>(mut self, document: &Stored<D>) -> Self {
        if let Some(version) = &document.version {
            self.writes.push(Write::Delete(Key::of::<D>(document.key()), version.clone()));
        }
        self
    }
    /// Tells the other domains: kept in the outbox with the rest, sent after.
    pub fn emit<E: Event>(mut self, event: &E) -> Self {
        self.announcements.push(Announcement::of(event));
        self
    }
    /// These changes and some more.
    pub fn and(mut self, more: Self) -> Self {
        self.writes.extend(more.writes);
        self.announcements.extend(more.announcements);
        self
    }
    /// Whether there's nothing to change and nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.announcements.is_empty()
    }
    /// How many documents these changes write, the outbox's included: a commit
    /// takes [`Changes::MOST`] at most.
    pub fn len(&self) -> usize {
        self.writes.len() + self.announcements.len()
    }
    /// The most documents that a commit may write, Firestore's old limit of 500 with room
    /// for what the runtime adds.
    pub const MOST: usize = 480;
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("documents are JSON")
}
