//! Who reads and who writes, for each kind of database.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use anyhow::{Context as _, bail, ensure};
use rusqlite::Connection;

use super::{
    Options, connection,
    notes::Notes,
    queue::Queue,
    schema,
    table::Table,
    writer::{Commit, Outcome, Writer},
};

/// What a closed database says.
pub(super) const CLOSED: &str = "the database is closed";

/// A writer that several reach, until it's closed.
pub(super) type Shared = Mutex<Option<Writer>>;

/// Holds what is behind a lock. Nobody panics who holds one.
pub(super) fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().expect("who held it didn't panic")
}

/// The connections to a database.
pub(super) enum Connections {
    /// In memory: one connection for all, one at a time. Commits run where they
    /// are made, so that a test takes the same course each time.
    Memory(Shared),
    /// To a file: readers run beside one another and beside the thread that writes.
    File {
        // In the order in which they have to go: who closes a file last tidies it up, which
        // readers can't.
        readers: Readers,
        queue: Queue,
        writer: Arc<Shared>,
    },
    /// To a file as it was at one moment, only to read.
    Moment(Mutex<Connection>),
}

impl Connections {
    /// Reads. It takes some microseconds, so it's done right here: another
    /// thread would cost more.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match self {
            Self::Memory(writer) => work(hold(writer).as_ref().context(CLOSED)?.connection()),
            Self::File { readers, .. } => readers.read(work),
            Self::Moment(connection) => work(&hold(connection)),
        }
    }

    /// Writes a commit, or nothing of it.
    pub async fn commit(&self, commit: Commit) -> Outcome {
        match self {
            Self::Memory(writer) => {
                let mut writer = hold(writer);
                let outcomes = writer.as_mut().context(CLOSED)?.write(&[commit]);
                outcomes.into_iter().next().context("a commit has an outcome")?
            }
            Self::File { queue, .. } => queue.commit(commit).await,
            Self::Moment(_) => bail!("the database was opened to be read only"),
        }
    }

    /// Adds documents that nobody waits for.
    pub async fn note(&self, creates: Commit) -> Outcome {
        match self {
            Self::File { queue, .. } => queue.note(creates).await,
            // There's no disk to wait for.
            Self::Memory(_) | Self::Moment(_) => self.commit(creates).await,
        }
    }

    /// What is noted, where there's a difference.
    pub fn notes(&self) -> Option<&Notes> {
        match self {
            Self::File { queue, .. } => Some(queue.notes()),
            Self::Memory(_) | Self::Moment(_) => None,
        }
    }

    /// Brings the tables of a domain into the shape that is declared, or finds them so.
    pub fn shape(&self, tables: &[Arc<Table>]) -> anyhow::Result<()> {
        match self {
            Self::Memory(writer) => hold(writer).as_mut().context(CLOSED)?.shape(tables),
            Self::File { writer, .. } => hold(writer).as_mut().context(CLOSED)?.shape(tables),
            Self::Moment(connection) => {
                let connection = hold(connection);
                for table in tables {
                    ensure!(
                        schema::stands(&connection, table)?,
                        "{} isn't as this program declares it: another version wrote it",
                        table.name
                    );
                }
                Ok(())
            }
        }
    }

    /// Writes the file anew, as [`Writer::rewrite`] does; who commits waits meanwhile.
    pub async fn rewrite(&self) -> anyhow::Result<bool> {
        match self {
            Self::File { writer, .. } => {
                let writer = Arc::clone(writer);
                let rewrite = move || hold(&writer).as_mut().context(CLOSED)?.rewrite();
                tokio::task::spawn_blocking(rewrite).await?
            }
            // What is gone with the process needs no care.
            Self::Memory(_) => Ok(true),
            Self::Moment(_) => bail!("the database was opened to be read only"),
        }
    }

    /// Lets go of the database, after all that was to be written.
    pub async fn close(&self) -> anyhow::Result<()> {
        match self {
            Self::Memory(writer) => hold(writer).take().map_or(Ok(()), Writer::close),
            Self::File { readers, queue, .. } => {
                readers.close();
                queue.close().await
            }
            Self::Moment(_) => Ok(()),
        }
    }
}

/// Connections that read a file, kept between reads.
pub(super) struct Readers {
    file: PathBuf,
    /// How much of the file is mapped into memory.
    mapped: u32,
    /// How many are kept.
    most: usize,
    /// The last one used is the next: its cache is warm, and the others may cool down.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    /// None yet.
    pub fn new(file: PathBuf, options: Options) -> Self {
        let Options { mapped, readers: most, .. } = options;
        Self { file, mapped, most, idle: Mutex::new(Some(Vec::new())) }
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let idle = hold(&self.idle).as_mut().context(CLOSED)?.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connection::to_read(&self.file, self.mapped)?,
        };
        let outcome = work(&connection);
        if let Some(idle) = hold(&self.idle).as_mut()
            && idle.len() < self.most
        {
            idle.push(connection);
        }
        outcome
    }

    fn close(&self) {
        hold(&self.idle).take();
    }
}
