//! Versions: when a document was written, and by which commits.
//!
//! A document keeps the ids of the last commits that wrote it, in its field
//! `_commit`. So nothing is ever written as it was (Firestore would let it keep
//! its version), and a commit is found in what it wrote though others have
//! written over it since. A [`Version`] carries both, as text: who replaces the
//! document knows by it whom to name as the one before.

use anyhow::Context as _;
use gcloud_sdk::{google::firestore::v1::Document, prost_types};
use runtime::{Random, Version};

use super::values;

/// The field that names the commits.
pub(super) const COMMITS: &str = "_commit";

/// How many commits a document remembers.
const REMEMBERED: usize = 8;

/// A new id for a commit: 60 random bits, to tell it from those of the same document.
pub(super) fn new_commit(random: &dyn Random) -> String {
    let mut id = random.id();
    id.truncate(12);
    id
}

/// A version, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    /// When: what a precondition asks for.
    pub time: prost_types::Timestamp,
    /// By which commits, the last one first.
    pub commits: Vec<String>,
}

impl Written {
    /// The version of a document as it was found.
    pub fn of(document: &Document) -> anyhow::Result<Self> {
        let time = document.update_time.context("a document has a time")?;
        let commits = values::text(&document.fields, COMMITS).unwrap_or_default();
        Ok(Self { time, commits: commits.split_whitespace().map(str::to_owned).collect() })
    }

    /// As it's handed out.
    pub fn version(&self) -> Version {
        let prost_types::Timestamp { seconds, nanos } = self.time;
        Version(format!("{seconds}.{nanos:09} {}", self.commits.join(" ")))
    }

    /// As it was handed out.
    pub fn read(version: &Version) -> anyhow::Result<Self> {
        let read = || {
            let (time, commits) = version.0.split_once(' ')?;
            let (seconds, nanos) = time.split_once('.')?;
            let time = prost_types::Timestamp {
                seconds: seconds.parse().ok()?,
                nanos: nanos.parse().ok()?,
            };
            Some(Self { time, commits: commits.split_whitespace().map(str::to_owned).collect() })
        };
        read().with_context(|| format!("the version {:?} isn't of here", version.0))
    }

    /// What a document says that this commit writes over it.
    pub fn followed_by(&self, commit: &str) -> String {
        let before = self.commits.iter().map(String::as_str).take(REMEMBERED - 1);
        std::iter::once(commit).chain(before).collect::<Vec<_>>().join(" ")
    }

    /// Whether this commit wrote the document, as far as it remembers.
    pub fn is_by(&self, commit: &str) -> bool {
        self.commits.iter().any(|it| it == commit)
    }

    /// Whether the document is still the one of an older version, or was changed right after
    /// it by a commit that's remembered: then that one came after it, and no other.
    pub fn follows(&self, older: &Self) -> bool {
        let last = older.commits.first();
        self.time == older.time || last.is_some_and(|last| self.is_by(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(nanos: i32, commits: &[&str]) -> Written {
        let commits = commits.iter().map(|&it| it.to_owned()).collect();
        Written { time: prost_types::Timestamp { seconds: 5, nanos }, commits }
    }

    #[test]
    fn a_version_is_read_as_it_was_handed_out() {
        for written in [written(7, &["b", "a"]), written(0, &[])] {
            assert_eq!(Written::read(&written.version()).unwrap(), written);
        }
        for text in ["", "5", "5.0", "5.x a", "5 a"] {
            assert!(Written::read(&Version(text.to_owned())).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_remembers_the_last_eight() {
        let mut commits = String::new();
        for commit in 0..20 {
            let older = Written {
                commits: commits.split(' ').map(str::to_owned).collect(),
                ..written(0, &[])
            };
            commits = older.followed_by(&commit.to_string());
        }
        assert_eq!(commits, "19 18 17 16 15 14 13 12");
    }

    #[test]
    fn a_version_follows_another_if_it_remembers_it() {
        let older = written(1, &["b", "a"]);
        assert!(older.follows(&older));
        assert!(written(2, &["d", "c", "b", "a"]).follows(&older));
        assert!(!written(2, &["d", "c"]).follows(&older));
        assert!(!written(2, &["d", "a"]).follows(&older));
        assert!(!written(2, &[]).follows(&written(1, &[])));
    }
}
