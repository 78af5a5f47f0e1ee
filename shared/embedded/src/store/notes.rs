//! Notes: documents that were added and that nobody waits for. They go along with
//! the next transaction; until then they are found here.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use runtime::Conflict;

use super::{
    connections::hold,
    writer::{Change, Commit},
};

/// How long a note waits for a transaction that takes it along, before it gets its own.
pub(super) const MOMENT: Duration = Duration::from_millis(200);

/// The most documents that wait; beyond it, who adds one waits for the disk like
/// everybody else.
const MOST: usize = 4096;

/// The documents that aren't in the file yet.
#[derive(Default)]
pub(super) struct Notes {
    waiting: Mutex<Waiting>,
    /// How many there are, for those who'd only find out that there's none.
    count: AtomicUsize,
    /// Whether somebody will come for them.
    expected: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    /// What was added together is written together.
    commits: Vec<Commit>,
    /// The texts, by table and id.
    texts: HashMap<(String, String), String>,
}

/// What became of a note.
pub(super) enum Noted {
    /// It's found from now on.
    Kept,
    /// One of the documents is there already.
    Exists(Conflict),
    /// There are too many: it has to be committed.
    TooMany(Commit),
}

impl Notes {
    /// Adds some documents.
    pub fn add(&self, creates: Commit) -> Noted {
        let mut waiting = hold(&self.waiting);
        if waiting.texts.len() + creates.len() > MOST {
            return Noted::TooMany(creates);
        }
        let place = |it: &Change| (it.table.name.clone(), it.key.id.clone());
        if let Some(there) = creates.iter().find(|it| waiting.texts.contains_key(&place(it))) {
            return Noted::Exists(Conflict(there.key.clone()));
        }
        for change in &creates {
            let Some((body, _)) = &change.after else { continue };
            waiting.texts.insert(place(change), body.clone());
        }
        waiting.commits.push(creates);
        self.count.store(waiting.texts.len(), Ordering::Release);
        Noted::Kept
    }

    /// The text of a document, if it's one of them.
    pub fn find(&self, table: &str, id: &str) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        hold(&self.waiting).texts.get(&(table.to_owned(), id.to_owned())).cloned()
    }

    /// Takes what is to be written now. It's still found, until it's [forgotten](Self::forget).
    pub fn take(&self) -> Vec<Commit> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        std::mem::take(&mut hold(&self.waiting).commits)
    }

    /// Forgets what is in the file now.
    pub fn forget(&self, written: &[Change]) {
        let mut waiting = hold(&self.waiting);
        for change in written {
            waiting.texts.remove(&(change.table.name.clone(), change.key.id.clone()));
        }
        self.count.store(waiting.texts.len(), Ordering::Release);
    }

    /// Takes back what couldn't be written.
    pub fn put_back(&self, commit: Commit) {
        hold(&self.waiting).commits.push(commit);
    }

    /// Whether nobody was expected so far: who is told so sees to it that somebody comes.
    pub fn expect_one(&self) -> bool {
        !self.expected.swap(true, Ordering::AcqRel)
    }

    /// Somebody has come: the next note has to see to it again.
    pub fn has_come(&self) {
        self.expected.store(false, Ordering::Release);
    }
}
