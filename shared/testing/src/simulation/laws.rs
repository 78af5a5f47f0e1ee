//! What must hold in a world, and what those who check it may look at.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use contracts::Timestamp;
use runtime::Record;
use serde_json::Value;

use super::{documents::Changed, service::Served};

/// What people have said to laws, in words that only those understand.
pub type Word = Arc<dyn Any + Send + Sync>;

/// What must hold in a world. Laws are checked from outside: they see what is
/// stored, and what people were told.
pub trait Laws {
    /// Looks at what a commit has changed, and at everything that is stored now.
    fn committed(&mut self, commit: &Commit<'_>) -> Result<(), String>;
    /// Looks at everything once nothing happens any more.
    fn at_rest(&mut self, stores: &Stores<'_>) -> Result<(), String>;
    /// A law that was broken elsewhere: in what people were told, say.
    fn broken(&self) -> Option<String> {
        None
    }
    /// All that it goes by, in one number, but for what is stored: two worlds in which
    /// that's alike too come to rest alike. Nothing: there's no telling.
    fn memory(&self) -> Option<u64> {
        None
    }
    /// A copy, for a world that goes another way from here. Nothing: it can't be copied.
    fn copied(&self) -> Option<Box<dyn Laws>> {
        None
    }
    /// What people have said to it since this was asked last.
    fn said(&mut self) -> Vec<Word> {
        Vec::new()
    }
    /// All that people may look at when it's their turn to touch what is played, and the
    /// same in one number.
    fn board(&self) -> Option<(u64, Word)> {
        None
    }
    /// Is told what was said to a copy of it, or what is on that one's board.
    fn hear(&mut self, _word: &Word) {}
    /// What was seen to happen, and how often.
    fn seen(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

/// A commit that has just been made.
pub struct Commit<'w> {
    /// The domain.
    pub domain: &'static str,
    /// What it has changed.
    pub changes: &'w [Changed],
    /// Everything that is stored now.
    pub stores: Stores<'w>,
}

/// Everything that is stored.
pub struct Stores<'w> {
    pub(crate) served: &'w [Served],
    pub(crate) mail: &'w [String],
    pub(crate) now: Timestamp,
}

impl<'w> Stores<'w> {
    /// The time in the world.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The messages that the mail provider has, each by its `Message-ID`.
    pub const fn mail(&self) -> &'w [String] {
        self.mail
    }

    /// All documents of a collection, as stores have them.
    pub fn records(&self, domain: &str, collection: &'static str) -> Vec<Record> {
        let served = self.served.iter().find(|served| served.name == domain);
        served.map(|served| served.documents.records(collection)).unwrap_or_default()
    }

    /// All documents of a collection, by their ids.
    pub fn all(
        &self,
        domain: &str,
        collection: &'static str,
    ) -> impl Iterator<Item = (&'w str, &'w Value)> {
        let served = self.served.iter().find(|served| served.name == domain);
        served.into_iter().flat_map(move |served| served.documents.all(collection))
    }
}
