//! Notes: documents that were added and that nobody waits for. They are written
//! together, a moment later; until then they are found here.
//!
//! They don't go along with each transaction that comes by: their ids are anywhere in
//! the index, so a few of them change as many of its pages as a thousand do.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
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

/// How long a note waits for others.
pub(super) const MOMENT: Duration = Duration::from_millis(200);

/// How many a commit takes along though the moment isn't over.
const MANY: usize = 1024;

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
    /// Whether the next transaction has to take them along.
    due: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    /// What was added together is written together.
    commits: Vec<Commit>,
    /// The texts, by table and id.
    texts: HashMap<String, HashMap<String, String>>,
    /// How many there are.
    count: usize,
    /// What those who wait for the disk add right now, by its hash: nobody finds it yet.
    being_added: HashSet<u64>,
    hasher: RandomState,
    /// Whether nobody writes them any more.
    is_closed: bool,
}

impl Waiting {
    /// Where a document's text is, if it waits.
    fn find(&self, table: &str, id: &str) -> Option<&String> {
        self.texts.get(table)?.get(id)
    }

    /// Whether somebody adds one of these right now. (Or something of the same hash: then a note
    /// waits for the disk in vain.)
    fn are_being_added(&self, creates: &[Change]) -> bool {
        let is = |it: &Change| self.being_added.contains(&self.hash(it));
        !self.being_added.is_empty() && creates.iter().any(is)
    }

    fn hash(&self, Change { table, key, .. }: &Change) -> u64 {
        self.hasher.hash_one((&table.name, &key.id))
    }

    fn keep(&mut self, table: &str, id: &str, text: &str) {
        let texts = match self.texts.get_mut(table) {
            Some(texts) => texts,
            None => self.texts.entry(table.to_owned()).or_default(),
        };
        let before = texts.insert(id.to_owned(), text.to_owned());
        self.count += usize::from(before.is_none());
    }

    fn forget(&mut self, table: &str, id: &str) {
        let text = self.texts.get_mut(table).and_then(|texts| texts.remove(id));
        self.count -= usize::from(text.is_some());
    }
}

/// What became of a note.
pub(super) enum Noted {
    /// It's found from now on.
    Kept,
    /// One of the documents is there already.
    Exists(Conflict),
    /// It has to be committed: there are too many, or somebody is adding the same.
    NotKept(Commit),
    /// Nobody writes it any more.
    Closed,
}

impl Notes {
    /// Adds some documents.
    pub fn add(&self, creates: Commit) -> Noted {
        let mut waiting = hold(&self.waiting);
        if waiting.is_closed {
            return Noted::Closed;
        }
        if waiting.count + creates.len() > MOST || waiting.are_being_added(&creates) {
            return Noted::NotKept(creates);
        }
        let waits = |it: &&Change| waiting.find(&it.table.name, &it.key.id).is_some();
        if let Some(there) = creates.iter().find(waits) {
            return Noted::Exists(Conflict(there.key.clone()));
        }
        for Change { table, key, after, .. } in &creates {
            let Some((body, _)) = after else { continue };
            waiting.keep(&table.name, &key.id, body);
        }
        waiting.commits.push(creates);
        self.count.store(waiting.count, Ordering::SeqCst);
        Noted::Kept
    }

    /// The text of a document, if it's one of them.
    pub fn find(&self, table: &str, id: &str) -> Option<String> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        hold(&self.waiting).find(table, id).cloned()
    }

    /// Takes what is to be written now. It's still found, until it's [forgotten](Self::forget).
    pub fn take(&self) -> Vec<Commit> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        std::mem::take(&mut hold(&self.waiting).commits)
    }

    /// Forgets what is in the file now.
    pub fn forget(&self, written: &[Change]) {
        let mut waiting = hold(&self.waiting);
        for Change { table, key, .. } in written {
            waiting.forget(&table.name, &key.id);
        }
        self.count.store(waiting.count, Ordering::SeqCst);
    }

    /// Takes back what couldn't be written, for the next transaction.
    pub fn put_back(&self, commit: Commit) {
        hold(&self.waiting).commits.push(commit);
        self.due.store(true, Ordering::SeqCst);
    }

    /// Whether the next transaction takes them along: because it's time, or because they
    /// are many.
    pub fn go_along(&self) -> bool {
        // The moment passes for those that are here, whether or not there are any left.
        let are_due = self.due.swap(false, Ordering::SeqCst);
        let count = self.count.load(Ordering::SeqCst);
        count > 0 && (are_due || count >= MANY)
    }

    /// From now on nobody notes what these commits add, until they are [written](Self::end):
    /// who noted it meanwhile would be told that it's kept, and it wouldn't be. Whether one of
    /// them adds what waits here already.
    pub fn begin(&self, commits: &[Commit]) -> bool {
        let mut waiting = hold(&self.waiting);
        let added = commits.iter().flatten().filter(|it| it.before.is_none());
        let hashes: Vec<_> = added.map(|it| waiting.hash(it)).collect();
        waiting.being_added.extend(hashes);
        drop(waiting);
        self.are_added_by(commits)
    }

    /// What was begun is written, or won't be.
    pub fn end(&self) {
        hold(&self.waiting).being_added.clear();
    }

    /// Whether one of these commits adds a document that waits here.
    pub fn are_added_by(&self, commits: &[Commit]) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let waiting = hold(&self.waiting);
        let waits = |it: &Change| waiting.find(&it.table.name, &it.key.id).is_some();
        commits.iter().flatten().any(|it| it.before.is_none() && waits(it))
    }

    /// Whether nobody was expected so far: who is told so sees to it that somebody comes.
    pub fn expect_one(&self) -> bool {
        !self.expected.swap(true, Ordering::SeqCst)
    }

    /// Takes none any more: those that are here are written now, or never.
    pub fn close(&self) {
        hold(&self.waiting).is_closed = true;
        self.are_due();
    }

    /// The moment is over: the next note has to see to it again.
    pub fn are_due(&self) {
        self.expected.store(false, Ordering::SeqCst);
        self.due.store(true, Ordering::SeqCst);
    }
}
