//! The thread that writes, and the queue in front of it.

use std::{
    io,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context as _, bail};
use runtime::Conflict;
use tokio::sync::{mpsc, oneshot};

use super::{
    connections::{CLOSED, Shared, hold},
    notes::{MOMENT, Noted, Notes},
    writer::{Commit, Outcome, Writer},
};

/// Where commits wait for the thread that writes them. Who drops it waits until
/// all that was queued is written.
pub(super) struct Queue {
    sender: Mutex<Option<mpsc::Sender<Waiting>>>,
    closed: Mutex<Option<oneshot::Receiver<anyhow::Result<()>>>>,
    notes: Arc<Notes>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A commit, and who waits for what becomes of it.
struct Waiting {
    commit: Commit,
    answer: oneshot::Sender<Outcome>,
}

impl Queue {
    /// Starts the thread, which takes at most so many commits into a transaction.
    pub fn start(writer: Arc<Shared>, most: usize) -> io::Result<Self> {
        // Twice that: while one transaction is written the next fills up, and who comes
        // then has to wait outside.
        let (sender, receiver) = mpsc::channel(2 * most);
        let (done, closed) = oneshot::channel();
        let notes = Arc::new(Notes::default());
        let shared = Arc::clone(&notes);
        let work = move || {
            let _ = done.send(write_all(&writer, receiver, &shared, most));
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(work)?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            closed: Mutex::new(Some(closed)),
            notes,
            thread: Some(thread),
        })
    }

    /// Has a commit written. Once it's in the queue it doesn't matter whether anybody waits.
    pub async fn commit(&self, commit: Commit) -> Outcome {
        let sender = hold(&self.sender).clone().context(CLOSED)?;
        let (answer, answered) = oneshot::channel();
        // Either fails only if the thread has panicked.
        let gone = "the store's writer is gone";
        sender.send(Waiting { commit, answer }).await.ok().context(gone)?;
        answered.await.context(gone)?
    }

    /// Has documents written that nobody waits for, a moment later.
    pub async fn note(&self, creates: Commit) -> Outcome {
        match self.notes.add(creates) {
            Noted::NotKept(creates) => return self.commit(creates).await,
            Noted::Exists(conflict) => return Ok(Err(conflict)),
            Noted::Closed => bail!(CLOSED),
            Noted::Kept => {}
        }
        if self.notes.expect_one() {
            // Held weakly: what is noted is written when the queue closes, too.
            let sender = hold(&self.sender).as_ref().context(CLOSED)?.downgrade();
            runtime::spawn(async move {
                tokio::time::sleep(MOMENT).await;
                if let Some(sender) = sender.upgrade() {
                    let (answer, _) = oneshot::channel();
                    let _closed = sender.send(Waiting { commit: Vec::new(), answer }).await;
                }
            });
        }
        Ok(Ok(()))
    }

    /// What is noted.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Takes no more commits, and waits until those it has are written and the file is closed.
    pub async fn close(&self) -> anyhow::Result<()> {
        hold(&self.sender).take();
        let closed = hold(&self.closed).take();
        match closed {
            Some(closed) => closed.await.context("the store's writer is gone")?,
            None => Ok(()),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        hold(&self.sender).take();
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so.
            let _ = thread.join();
        }
    }
}

/// Writes what comes until nobody can send any more, then closes the file.
fn write_all(
    writer: &Shared,
    mut receiver: mpsc::Receiver<Waiting>,
    notes: &Notes,
    most: usize,
) -> anyhow::Result<()> {
    let mut waiting = Vec::with_capacity(most);
    while receiver.blocking_recv_many(&mut waiting, most) > 0 {
        // An empty one only says that it's time to write what is noted.
        if waiting.iter().any(|it| it.commit.is_empty()) {
            notes.are_due();
        }
        let commits = waiting.drain(..).filter(|it| !it.commit.is_empty());
        let (commits, answers): (Vec<_>, Vec<_>) =
            commits.map(|Waiting { commit, answer }| (commit, answer)).unzip();
        let mut writer = hold(writer);
        let writer = writer.as_mut().context(CLOSED)?;
        for (answer, outcome) in answers.into_iter().zip(write(writer, notes, commits)) {
            // Who has stopped waiting loses the answer, not the commit.
            let _ = answer.send(outcome);
        }
        writer.shorten_log();
    }
    let mut writer = hold(writer).take().context(CLOSED)?;
    notes.close();
    write(&mut writer, notes, Vec::new());
    writer.close()
}

/// Writes commits, and what is noted along with them if it has to be.
fn write(writer: &mut Writer, notes: &Notes, commits: Vec<Commit>) -> Vec<Outcome> {
    let add_noted = notes.begin(&commits);
    let outcomes = write_begun(writer, notes, commits, add_noted);
    notes.end();
    outcomes
}

fn write_begun(
    writer: &mut Writer,
    notes: &Notes,
    commits: Vec<Commit>,
    add_noted: bool,
) -> Vec<Outcome> {
    if add_noted {
        // Before those who add the same, so that they find it there.
        write_notes(writer, notes, notes.take());
    }
    let mut all = if notes.go_along() { notes.take() } else { Vec::new() };
    let count = all.len();
    all.extend(commits);
    if all.is_empty() {
        return Vec::new();
    }
    let mut outcomes = writer.write(&all);
    let answers = outcomes.split_off(count);
    let commits = all.split_off(count);
    let has_failed = outcomes.iter().all(Result::is_err);
    settle(writer, notes, all, outcomes);
    if count > 0 && has_failed && !commits.is_empty() && !notes.are_added_by(&commits) {
        // What nobody waits for is in nobody's way: there may be room for those who wait. But
        // who would add what is noted comes after it, here as elsewhere.
        return writer.write(&commits);
    }
    answers
}

/// Forgets the notes that are in the file, and goes on with those that aren't.
fn settle(writer: &mut Writer, notes: &Notes, written: Vec<Commit>, outcomes: Vec<Outcome>) {
    let (mut again, mut failed) = (Vec::new(), None);
    for (mut commit, outcome) in written.into_iter().zip(outcomes) {
        match outcome {
            Ok(Ok(())) => notes.forget(&commit),
            // One was there already: it stays as it is, and the others go in without it.
            Ok(Err(Conflict(there))) => {
                let (there, rest): (Commit, Commit) =
                    commit.drain(..).partition(|it| it.key == there);
                notes.forget(&there);
                again.push(rest);
            }
            // Nothing could be written now; the next transaction tries again.
            Err(error) => {
                notes.put_back(commit);
                failed = Some(error);
            }
        }
    }
    if let Some(error) = failed {
        tracing::warn!(error = format!("{error:#}"), "what is noted can't be written");
    }
    again.retain(|commit: &Commit| !commit.is_empty());
    write_notes(writer, notes, again);
}

/// Writes what is noted, as far as it isn't there already.
fn write_notes(writer: &mut Writer, notes: &Notes, commits: Vec<Commit>) {
    if !commits.is_empty() {
        let outcomes = writer.write(&commits);
        settle(writer, notes, commits, outcomes);
    }
}

#[cfg(test)]
mod tests {
    use runtime::{Key, conformance::COLLECTIONS};

    use super::*;
    use crate::store::{cell, connection, statistics::Counters, table::Table, writer::Change};

    /// What writes to memory, and what waits for it.
    struct Desk {
        writer: Writer,
        notes: Notes,
        counters: Arc<Counters>,
        table: Arc<Table>,
    }

    impl Desk {
        fn new() -> Self {
            let counters = Arc::new(Counters::default());
            let connection = connection::in_memory().unwrap();
            connection.execute_batch("PRAGMA max_page_count = 200").unwrap();
            let mut writer = Writer::new(connection, Arc::clone(&counters), None).unwrap();
            let table = Arc::new(Table::new("first", COLLECTIONS[0]).unwrap());
            writer.shape(&[Arc::clone(&table)]).unwrap();
            Self { writer, notes: Notes::default(), counters, table }
        }

        fn create(&self, id: &str) -> Commit {
            self.create_long(id, 0)
        }

        fn create_long(&self, id: &str, length: usize) -> Commit {
            let key = Key { collection: self.table.collection.name, id: id.to_owned() };
            let body = serde_json::json!({ "text": "x".repeat(length) }).to_string();
            let cells = cell::cells(&body, &self.table.fields).unwrap();
            let after = Some((body, cells));
            vec![Change { table: Arc::clone(&self.table), key, before: None, after }]
        }

        fn note(&self, id: &str) {
            assert!(matches!(self.notes.add(self.create(id)), Noted::Kept));
        }

        /// Commits a document; how many were written with it.
        fn commit(&mut self, id: &str) -> u64 {
            let before = self.counters.read().writes;
            let commits = vec![self.create(id)];
            let outcomes = write(&mut self.writer, &self.notes, commits);
            assert!(matches!(outcomes[..], [Ok(Ok(()))]));
            self.counters.read().writes - before
        }
    }

    #[test]
    fn what_is_being_added_is_not_noted_meanwhile() {
        let desk = Desk::new();
        desk.note("before");
        let commits = [desk.create("before"), desk.create("now")];
        assert!(desk.notes.begin(&commits), "one of them waits there");
        assert!(matches!(desk.notes.add(desk.create("now")), Noted::NotKept(_)));
        desk.note("other");
        desk.notes.end();
        assert!(!desk.notes.begin(&[desk.create("later")]));
        desk.notes.end();
        desk.note("now");
        desk.note("later");
    }

    #[test]
    fn a_commit_takes_notes_along_only_when_they_are_many_or_their_moment_is_over() {
        let mut desk = Desk::new();
        (0..1023).for_each(|number| desk.note(&number.to_string()));
        assert_eq!(desk.commit("a"), 1);
        desk.note("1023");
        assert_eq!(desk.commit("b"), 1024 + 1);

        desk.note("1024");
        desk.notes.are_due();
        assert_eq!(desk.commit("c"), 1 + 1);
        // A moment that passes when none is left doesn't count for those that come later.
        desk.notes.are_due();
        assert_eq!(desk.commit("d"), 1);
        desk.note("1025");
        assert_eq!(desk.commit("e"), 1);
    }

    #[test]
    fn a_note_that_finds_no_room_takes_none_from_those_who_wait() {
        let mut desk = Desk::new();
        assert!(matches!(desk.notes.add(desk.create_long("long", 900_000)), Noted::Kept));
        for id in ["a", "b"] {
            desk.notes.are_due();
            assert_eq!(desk.commit(id), 1);
        }
        assert!(desk.notes.find(&desk.table.name, "long").is_some(), "it's tried again");
    }

    #[test]
    fn nobody_overtakes_a_note_for_which_there_is_no_room() {
        let mut desk = Desk::new();
        assert!(matches!(desk.notes.add(desk.create_long("a", 900_000)), Noted::Kept));
        let commits = vec![desk.create("a")];
        let outcomes = write(&mut desk.writer, &desk.notes, commits);
        assert!(matches!(outcomes[..], [Err(_)]));
        assert!(desk.table.standing(desk.writer.connection(), "a").unwrap().is_none());
        assert!(desk.notes.find(&desk.table.name, "a").is_some_and(|it| it.len() > 900_000));
    }

    #[test]
    fn what_is_closed_takes_no_note() {
        let mut desk = Desk::new();
        desk.note("a");
        desk.notes.close();
        assert!(matches!(desk.notes.add(desk.create("b")), Noted::Closed));
        assert!(write(&mut desk.writer, &desk.notes, Vec::new()).is_empty());
        assert_eq!(desk.counters.read().writes, 1);
    }

    #[test]
    fn nobody_overtakes_a_note_though_another_of_its_commit_stands_already() {
        let mut desk = Desk::new();
        desk.commit("b");
        let noted = ["a", "b", "c"].into_iter().flat_map(|id| desk.create(id)).collect();
        assert!(matches!(desk.notes.add(noted), Noted::Kept));
        let commits = vec![desk.create("a")];
        let outcomes = write(&mut desk.writer, &desk.notes, commits);
        assert!(matches!(&outcomes[..], [Ok(Err(Conflict(there)))] if there.id == "a"));
        let stands = |id| desk.table.standing(desk.writer.connection(), id).unwrap().is_some();
        assert!(["a", "b", "c"].into_iter().all(stands));
    }
}
