//! The collections of a domain: what they take, and what may be asked of them.
//!
//! Every adapter asks here before it does anything, so that all refuse the
//! same: what Firestore refuses, which is the strictest of them. Its limits are
//! counted as it counts them, with what its adapter adds to a document.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use contracts::Timestamp;
use serde_json::Value;

use super::{Collection, Conflict, Cursor, Index, Key, Query, Write, weight};

/// A field that an index needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, at the top of the document.
    pub name: &'static str,
    /// What stands in it.
    pub kind: Kind,
}

/// What may stand in a field that an index needs. Null is as if it weren't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What lists are sorted by and what they ask to be equal.
    Scalar,
    /// The same, and a time: its name ends in `_at`, `_since` or `_until`, or
    /// documents expire by it. It's written in the one way in which texts sort
    /// as times do, which is how [`Timestamp`] writes it.
    Time,
    /// What lists ask to contain a text.
    Texts,
}

impl Kind {
    /// What a field of this kind has to be, for those who gave something else.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Scalar => "a text of at most 1499 bytes, a whole number of 64 bits or a boolean",
            Self::Time => "a time in UTC with three decimals",
            Self::Texts => "an array of at most 5000 texts of at most 1499 bytes",
        }
    }

    /// Whether a value may stand in a field of this kind.
    pub(super) fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) | (Self::Scalar, Value::Bool(_)) => true,
            (Self::Scalar, Value::Number(it)) => it.is_i64(),
            (Self::Scalar, Value::String(it)) => it.len() <= TEXT_MOST,
            (Self::Time, Value::String(it)) => time(it).is_some(),
            (Self::Texts, Value::Array(items)) => {
                let fits = |it: &Value| it.as_str().is_some_and(|it| it.len() <= TEXT_MOST);
                items.len() <= TEXTS_MOST && items.iter().all(fits)
            }
            _ => false,
        }
    }
}

/// The most bytes of an indexed text: Firestore cuts a longer one and finds it by what is left,
/// and its emulator can't be asked for one of 1500.
const TEXT_MOST: usize = 1499;

/// The most texts of an indexed array: each is an entry in every index that contains it, and a
/// document has 40,000 of them at most.
const TEXTS_MOST: usize = 5000;

/// The most documents that a commit may write.
const WRITES_MOST: usize = 500;

/// The most that the documents of a commit may weigh: a request may have 10 MiB, but only 4 at
/// the emulator, and on its way a document is longer than what is counted of it.
const COMMIT_MOST: u64 = 3 << 20;

/// The time that a text is, if it's written as [`Timestamp`] writes times.
pub fn time(text: &str) -> Option<Timestamp> {
    // Most texts aren't times, and this sees it at once.
    let looks_like_one = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let time: Timestamp = looks_like_one.then(|| text.parse().ok()).flatten()?;
    (time.to_string() == text).then_some(time)
}

/// Whether a name means the same everywhere: to Firestore, and in a statement of SQLite, which
/// takes capital letters for small ones.
pub fn is_plain(name: &str) -> bool {
    let plain = |it| matches!(it, 'a'..='z' | '0'..='9' | '_');
    !name.is_empty() && !is_reserved(name) && name.chars().all(plain)
}

/// Whether Firestore keeps a name for itself.
pub(super) fn is_reserved(name: &str) -> bool {
    name.strip_prefix("__").is_some_and(|rest| rest.ends_with("__"))
}

impl Key {
    /// Whether a document can have such an id. One that can't be isn't there.
    pub fn is_possible(&self) -> bool {
        is_possible(&self.id)
    }
}

fn is_possible(id: &str) -> bool {
    let a_path = matches!(id, "" | "." | "..") || id.contains('/');
    !is_reserved(id) && !a_path && id.len() <= 1500
}

impl Collection {
    /// The fields that its indexes need, each once.
    pub fn fields(&self) -> anyhow::Result<Vec<Field>> {
        ensure!(is_plain(self.name), "{:?} can't name a collection", self.name);
        let expiring = self.expires.map(Index::ascending);
        let mut fields: Vec<Field> = Vec::new();
        for index in self.indexes.iter().copied().chain(expiring) {
            let scalar = |name| Field { name, kind: self.scalar(name) };
            let sorting = index.equals.iter().copied().chain([index.order]).map(scalar);
            let texts = index.contains.map(|name| Field { name, kind: Kind::Texts });
            for field in sorting.chain(texts) {
                let Field { name, kind } = field;
                ensure!(is_plain(name), "{name:?} can't name a field of an index");
                match fields.iter().find(|field| field.name == name) {
                    None => fields.push(field),
                    Some(known) => ensure!(
                        known.kind == kind,
                        "{name} can't be an array in one index and a single value in another"
                    ),
                }
            }
            let repeated = |name| index.equals.iter().filter(|it| *it == name).count() > 1;
            ensure!(
                !index.equals.contains(&index.order) && !index.equals.iter().any(repeated),
                "an index names a field twice: {index:?}"
            );
        }
        Ok(fields)
    }

    /// What stands in a field that isn't an array.
    fn scalar(&self, name: &str) -> Kind {
        let named = ["_at", "_since", "_until"].iter().any(|end| name.ends_with(end));
        if named || self.expires == Some(name) { Kind::Time } else { Kind::Scalar }
    }
}

/// The collections of a domain, as its documents declare them.
#[derive(Clone, Debug)]
pub struct Collections {
    domain: String,
    declared: BTreeMap<&'static str, (Collection, Vec<Field>)>,
}

impl Collections {
    /// The collections of a domain, unless what they declare makes no sense.
    pub fn of(domain: &str, collections: &[Collection]) -> anyhow::Result<Self> {
        let mut declared = BTreeMap::new();
        for collection in collections {
            let fields = collection.fields().with_context(|| domain.to_owned())?;
            let twice = declared.insert(collection.name, (*collection, fields));
            ensure!(twice.is_none(), "{domain} declares {} twice", collection.name);
        }
        Ok(Self { domain: domain.to_owned(), declared })
    }

    /// The domain that declares them.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The fields that the indexes of a collection need.
    pub fn fields(&self, collection: &str) -> anyhow::Result<&[Field]> {
        Ok(&self.get(collection)?.1)
    }

    fn get(&self, collection: &str) -> anyhow::Result<&(Collection, Vec<Field>)> {
        let declared = self.declared.get(collection);
        declared.with_context(|| format!("{} has no collection {collection}", self.domain))
    }

    /// Checks all that can be wrong with a commit, apart from what is stored already. One
    /// that writes a document as it was at two moments is a conflict whatever is stored: it
    /// was changed while it was read.
    pub fn check(&self, writes: &[Write]) -> anyhow::Result<Result<(), Conflict>> {
        ensure!(
            writes.len() <= WRITES_MOST,
            "a commit of {} writes is over {WRITES_MOST}",
            writes.len()
        );
        let mut seen = HashMap::with_capacity(writes.len());
        let (mut weight, mut outcome) = (0, Ok(()));
        for write in writes {
            let key @ Key { collection, id } = write.key();
            let told = || format!("{collection}/{id} can't be written");
            let (_, fields) = self.get(collection)?;
            if let Some(other) = seen.insert((collection, id), write) {
                ensure!(write.is_torn_from(other), "a commit writes {collection}/{id} twice");
                outcome = Err(Conflict(key.clone()));
            }
            ensure!(key.is_possible(), "{}: no document can have such an id", told());
            if let Write::Create(_, body) | Write::Replace(_, body, _) = write {
                weight += weight::of(key, body, fields).with_context(told)?;
            }
        }
        ensure!(weight <= COMMIT_MOST, "a commit of {weight} bytes is over {COMMIT_MOST}");
        Ok(outcome)
    }

    /// Checks that an index serves a query, and that it asks for what the index can hold.
    pub fn check_query(&self, query: &Query) -> anyhow::Result<()> {
        let (collection, fields) = self.get(query.collection)?;
        collection.index_for(query).with_context(|| {
            let equals: Vec<_> = query.equals.iter().map(|filter| filter.field).collect();
            let contains = query.contains.as_ref().map(|filter| filter.field);
            format!(
                "{}/{} has no index for this query; it would have to declare equals {equals:?}, \
                 contains {contains:?}, order {:?}, {:?}",
                self.domain, query.collection, query.order, query.direction
            )
        })?;
        let asks = |name: &str, value: &Value| {
            let field = fields.iter().find(|field| field.name == name);
            let holds = match field.map(|field| field.kind) {
                // It's asked for one of its texts.
                Some(Kind::Texts) => value.is_string() && Kind::Scalar.takes(value),
                Some(kind) => !value.is_null() && kind.takes(value),
                None => false,
            };
            ensure!(holds, "a query can't ask {name} for {value}: no index holds it");
            Ok(())
        };
        for filter in query.equals.iter().chain(&query.contains) {
            asks(filter.field, &filter.value)?;
        }
        for bound in query.at_least.iter().chain(&query.at_most) {
            asks(query.order, bound)?;
        }
        if let Some(Cursor { value, id }) = &query.after {
            asks(query.order, value)?;
            // Before all documents of a value there's a place too.
            ensure!(id.is_empty() || is_possible(id), "a query can't go on behind the id {id:?}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_one_way() {
        let written = "2026-11-22T03:00:00.000Z";
        assert_eq!(time(written).unwrap().to_string(), written);
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T03:00:00Z",
            "2026-11-22t03:00:00.000Z",
            "2026-13-22T03:00:00.000Z",
            "2026-11-22T03:00:60.000Z",
            "2026-11-22T03:00:00.00Zé",
            "it's T long, 24 bytes  Z",
            "0001-11-22T03:00:00.000Z",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_is_a_time_by_its_name_or_because_documents_expire_by_it() {
        const INDEXES: &[Index] =
            &[Index::ascending("made_at").equals(&["state"]).containing("tags")];
        let things = Collection { name: "things", indexes: INDEXES, expires: Some("end") };
        let fields = things.fields().unwrap().into_iter().map(|field| (field.name, field.kind));
        let expected = [
            ("state", Kind::Scalar),
            ("made_at", Kind::Time),
            ("tags", Kind::Texts),
            ("end", Kind::Time),
        ];
        assert_eq!(fields.collect::<Vec<_>>(), expected);
    }
}
