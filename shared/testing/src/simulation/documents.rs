//! A store's documents, as plainly as can be: what is committed here is true.
//!
//! It keeps every rule that stores have to keep. It's held by one hand at a time, as
//! all of a world is: that a race is won by one of many is the scheduler's to show.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use runtime::{
    Collection, Collections, Conflict, Cursor, Direction, Key, Query, Record, Rows, Version, Write,
};
use serde_json::Value;

/// The documents of one domain. They outlive every process. Copies of them share what neither
/// has changed.
#[derive(Clone)]
pub(crate) struct Documents {
    collections: Arc<Collections>,
    kept: Arc<BTreeMap<(&'static str, String), Kept>>,
    /// How often each was written, also those that are gone: that's the version of what was
    /// written. As with Firestore's update time none comes twice, and it's the same whatever
    /// was written elsewhere meanwhile.
    written: Arc<BTreeMap<(&'static str, String), u64>>,
}

/// A document as it's stored.
#[derive(Clone)]
pub(crate) struct Kept {
    version: u64,
    body: String,
    value: Arc<Value>,
}

/// What a commit has changed about one document.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Its collection.
    pub collection: &'static str,
    /// Its id.
    pub id: String,
    /// What it was, if it was there.
    pub before: Option<Arc<Value>>,
    /// What it is now, if it's still there.
    pub after: Option<Arc<Value>>,
}

/// The documents that a commit changes, as they'll be; nothing: they go.
pub(crate) type Staged = BTreeMap<(&'static str, String), Option<Kept>>;

impl Documents {
    pub(crate) fn new(domain: &str, collections: &[Collection]) -> Self {
        let collections = Collections::of(domain, collections);
        let collections = Arc::new(collections.expect("a domain declares what makes sense"));
        Self { collections, kept: Arc::default(), written: Arc::default() }
    }

    /// All documents of a collection.
    pub(crate) fn all(&self, collection: &'static str) -> impl Iterator<Item = (&str, &Value)> {
        let first = (collection, String::new());
        let those = self.kept.range(first..).take_while(move |((name, _), _)| *name == collection);
        those.map(|((_, id), kept)| (id.as_str(), &*kept.value))
    }

    /// All documents of a collection, as stores have them.
    pub(crate) fn records(&self, collection: &'static str) -> Vec<Record> {
        let of_it = self.kept.iter().filter(|((name, _), _)| *name == collection);
        of_it.map(|((_, id), kept)| kept.record(id.clone())).collect()
    }

    /// What is stored, whichever commits have made it so.
    pub(crate) fn content(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.kept.iter().map(|((name, id), kept)| (*name, id.as_str(), kept.body.as_str()))
    }

    /// How often each document was written.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.written.iter().map(|((name, id), times)| (*name, id.as_str(), *times))
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Record>, String> {
        self.declared(key.collection)?;
        let kept = self.kept.get(&(key.collection, key.id.clone()));
        Ok(kept.map(|kept| kept.record(key.id.clone())))
    }

    pub(crate) fn count(&self, query: &Query) -> Result<u64, String> {
        Ok(self.found(query)?.len() as u64)
    }

    pub(crate) fn query(&self, query: &Query) -> Result<Rows, String> {
        let found = self.found(query)?;
        let limit = query.limit as usize;
        let more = found.len() > limit;
        let mut records = Vec::new();
        let mut next = None;
        for (id, kept) in found.into_iter().take(limit) {
            let value = kept.value[query.order].clone();
            next = more.then(|| Cursor { value, id: id.to_owned() });
            records.push(kept.record(id.to_owned()));
        }
        Ok(Rows { records, next })
    }

    fn found(&self, query: &Query) -> Result<Vec<(&str, &Kept)>, String> {
        self.collections.check_query(query).map_err(|wrong| format!("{wrong:#}"))?;
        let first = (query.collection, String::new());
        let of_collection =
            self.kept.range(first..).take_while(|((name, _), _)| *name == query.collection);
        let mut found: Vec<(&str, &Kept)> = of_collection
            .filter(|(_, kept)| finds(query, &kept.value))
            .map(|((_, id), kept)| (id.as_str(), kept))
            .collect();
        let place = |value: &Value, id: &str, other: &Value, other_id: &str| {
            let order = compare(value, other).then_with(|| id.cmp(other_id));
            if query.direction == Direction::Descending { order.reverse() } else { order }
        };
        found.sort_by(|(id, one), (other_id, other)| {
            place(&one.value[query.order], id, &other.value[query.order], other_id)
        });
        if let Some(after) = &query.after {
            found.retain(|(id, kept)| {
                place(&kept.value[query.order], id, &after.value, &after.id).is_gt()
            });
        }
        Ok(found)
    }

    /// Writes all, or nothing when a precondition fails.
    pub(crate) fn commit(
        &mut self,
        writes: Vec<Write>,
    ) -> Result<Result<Vec<Changed>, Conflict>, String> {
        let staged = match self.stage(writes)? {
            Ok(staged) => staged,
            Err(conflict) => return Ok(Err(conflict)),
        };
        let mut changed = Vec::with_capacity(staged.len());
        let (kept, written) = (Arc::make_mut(&mut self.kept), Arc::make_mut(&mut self.written));
        for (place, after) in staged {
            let now = after.as_ref().map(|kept| kept.value.clone());
            *written.entry(place.clone()).or_default() += 1;
            let before = match after {
                Some(after) => kept.insert(place.clone(), after),
                None => kept.remove(&place),
            };
            let before = before.map(|kept| kept.value);
            changed.push(Changed { collection: place.0, id: place.1, before, after: now });
        }
        Ok(Ok(changed))
    }

    /// What the documents would be after some writes, if no precondition fails.
    pub(crate) fn stage(&self, writes: Vec<Write>) -> Result<Result<Staged, Conflict>, String> {
        if let Err(conflict) =
            self.collections.check(&writes).map_err(|wrong| format!("{wrong:#}"))?
        {
            return Ok(Err(conflict));
        }
        for write in &writes {
            if let Write::Replace(.., Version(seen)) | Write::Delete(_, Version(seen)) = write
                && seen.parse::<u64>().is_err()
            {
                return Err(format!("the version {seen:?} is of elsewhere"));
            }
        }
        if let Some(write) = writes.iter().find(|write| !self.permits(write)) {
            return Ok(Err(Conflict(write.key().clone())));
        }
        let mut staged = Staged::new();
        for write in writes {
            let key = write.key().clone();
            let place = (key.collection, key.id.clone());
            let after = match write {
                Write::Create(_, body) | Write::Replace(_, body, _) => Some(body),
                Write::Delete(..) => None,
            };
            let version = self.written.get(&place).map_or(1, |times| times + 1);
            let after = after.map(|body| Kept::new(version, body)).transpose()?;
            staged.insert(place, after);
        }
        Ok(Ok(staged))
    }

    /// Whether the precondition of a write holds.
    pub(crate) fn permits(&self, write: &Write) -> bool {
        let key = write.key();
        let standing = self.kept.get(&(key.collection, key.id.clone()));
        match write {
            Write::Create(..) => standing.is_none(),
            Write::Replace(.., Version(seen)) | Write::Delete(_, Version(seen)) => {
                standing.is_some_and(|kept| kept.version.to_string() == *seen)
            }
        }
    }

    /// Whether the precondition of a write can't ever hold any more.
    pub(crate) fn have_passed(&self, write: &Write) -> bool {
        let (Write::Replace(.., Version(seen)) | Write::Delete(_, Version(seen))) = write else {
            return false;
        };
        let Key { collection, id } = write.key().clone();
        let written = self.written.get(&(collection, id)).copied().unwrap_or_default();
        seen.parse().is_ok_and(|seen: u64| seen < written)
    }

    fn declared(&self, name: &str) -> Result<(), String> {
        self.collections.fields(name).map(drop).map_err(|wrong| wrong.to_string())
    }
}

impl Kept {
    fn new(version: u64, body: String) -> Result<Self, String> {
        let value: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        Ok(Self { version, body, value: Arc::new(value) })
    }

    fn record(&self, id: String) -> Record {
        let version = Version(self.version.to_string());
        Record { id, body: self.body.clone(), version }
    }
}

/// Whether a query finds a document, wherever it may begin and end.
pub(crate) fn finds(query: &Query, document: &Value) -> bool {
    let sorted = &document[query.order];
    let contains = query.contains.as_ref();
    !sorted.is_null()
        && query.equals.iter().all(|filter| document[filter.field] == filter.value)
        && contains.is_none_or(|filter| {
            let array = document[filter.field].as_array();
            array.is_some_and(|array| array.contains(&filter.value))
        })
        && query.at_most.as_ref().is_none_or(|most| compare(sorted, most).is_le())
        && query.at_least.as_ref().is_none_or(|least| compare(sorted, least).is_ge())
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => one.as_i64().cmp(&other.as_i64()),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use runtime::{
        Store,
        conformance::{self as must, COLLECTIONS, Given},
    };

    use super::*;

    /// The documents as a store, without a world around it.
    struct Plain(Mutex<Documents>);

    impl Plain {
        fn look<T>(
            &self,
            look: impl FnOnce(&mut Documents) -> Result<T, String>,
        ) -> anyhow::Result<T> {
            look(&mut self.0.lock().expect("no holder panics")).map_err(anyhow::Error::msg)
        }
    }

    #[async_trait]
    impl Store for Plain {
        async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
            self.look(|documents| documents.get(key))
        }

        async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
            self.look(|documents| documents.query(query))
        }

        async fn count(&self, query: &Query) -> anyhow::Result<u64> {
            self.look(|documents| documents.count(query))
        }

        async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
            self.look(|documents| Ok(documents.commit(writes)?.map(drop)))
        }
    }

    macro_rules! in_the_simulator {
        ($($rule:ident),+ $(,)?) => {$(
            #[tokio::test]
            async fn $rule() {
                let store = |name| Arc::new(Plain(Mutex::new(Documents::new(name, COLLECTIONS))));
                let (store, neighbor) = (store("first"), store("second"));
                must::$rule(&Given { store, neighbor, torn_reads: 0 }).await;
            }
        )+};
    }

    runtime::store_rules!(in_the_simulator);
}
