//! The thread that writes, and the queue in front of it.

use std::{
    io,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    connections::{CLOSED, Shared, hold},
    writer::{Commit, Outcome},
};

/// Where commits wait for the thread that writes them. Who drops it waits until
/// all that was queued is written.
pub(super) struct Queue {
    sender: Mutex<Option<mpsc::Sender<Waiting>>>,
    closed: Mutex<Option<oneshot::Receiver<anyhow::Result<()>>>>,
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
        let work = move || {
            let _ = done.send(write_all(&writer, receiver, most));
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(work)?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            closed: Mutex::new(Some(closed)),
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
    most: usize,
) -> anyhow::Result<()> {
    let mut waiting = Vec::with_capacity(most);
    while receiver.blocking_recv_many(&mut waiting, most) > 0 {
        let (commits, answers): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|Waiting { commit, answer }| (commit, answer)).unzip();
        let mut writer = hold(writer);
        let writer = writer.as_mut().context(CLOSED)?;
        for (answer, outcome) in answers.into_iter().zip(writer.write(&commits)) {
            // Who has stopped waiting loses the answer, not the commit.
            let _ = answer.send(outcome);
        }
        writer.shorten_log();
    }
    let writer = hold(writer).take();
    writer.context(CLOSED)?.close()
}
