//! The store in one process: documents in one SQLite file.
//!
//! A [`Database`] is the file, for all domains; a [`DomainStore`] is what one of
//! them sees of it. A commit that was answered is on the disk. What Firestore
//! would refuse is refused here too, so that what runs on a laptop runs there.
//!
//! Inside, a `table` is a collection and a `listing` its documents in the order
//! of an index, made by the `schema`; a `cell` is what an index holds of a
//! document, and a `search` is a query on its way along a listing. Readers run
//! where they are called, on `connections` of their own; commits go through a
//! `queue` to the one `writer`, which takes all that wait into one transaction;
//! `notes` are what nobody waits for.

mod cell;
mod connection;
mod connections;
mod domain;
mod edition;
mod listing;
mod lock;
mod notes;
mod queue;
mod schema;
mod search;
mod statistics;
mod table;
mod writer;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context as _, ensure};
use runtime::Collection;

use self::{
    connections::{Connections, Readers, hold},
    lock::Lock,
    queue::Queue,
    statistics::Counters,
    writer::{Home, Writer},
};
pub use self::{domain::DomainStore, statistics::Statistics};

/// The documents of all domains.
///
/// When it and its domains' stores are dropped, what was queued is written and
/// the file is closed; [`close`](Self::close) does it earlier and tells whether
/// it went well.
pub struct Database {
    connections: Arc<Connections>,
    counters: Arc<Counters>,
    opened: Mutex<BTreeSet<String>>,
}

/// How a database works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most commits that share a transaction. More at once cost less each,
    /// but the first of them waits for the last.
    pub group: usize,
    /// How many connections that read are kept. Each keeps up to 2 MiB in memory.
    pub readers: usize,
    /// How many bytes of the file are mapped into memory to be read: a list
    /// takes half the time there. They come in as they are used, and count as
    /// the process's memory although the system can have them back. A disk that
    /// fails there ends the process, not the reading.
    pub mapped: u32,
}

impl Default for Options {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(2, Into::into);
        Self { group: 512, readers: threads, mapped: 32 << 20 }
    }
}

/// The file's name in its folder.
const FILE: &str = "documents.sqlite";

impl Database {
    /// Opens the database in a folder, alone: no other process may use the
    /// folder meanwhile. What isn't there is made.
    pub fn open(folder: &Path, options: Options) -> anyhow::Result<Self> {
        let lock = Lock::take(folder)?;
        let file = folder.join(FILE);
        let opening = || format!("opening {}", file.display());
        let counters = Arc::new(Counters::default());
        let connection = connection::to_write(&file).with_context(opening)?;
        let home = Home::new(folder.join(format!("{FILE}-wal")), lock);
        let writer = Writer::new(connection, Arc::clone(&counters), Some(home));
        let writer = Arc::new(Mutex::new(Some(writer.with_context(opening)?)));
        let queue = Queue::start(Arc::clone(&writer), options.group.max(1))?;
        let readers = Readers::new(file, options);
        Ok(Self::with(Connections::File { readers, queue, writer }, counters))
    }

    /// Opens a database that is gone when it's dropped.
    pub fn in_memory() -> anyhow::Result<Self> {
        let counters = Arc::new(Counters::default());
        let writer = Writer::new(connection::in_memory()?, Arc::clone(&counters), None)?;
        Ok(Self::with(Connections::Memory(Mutex::new(Some(writer))), counters))
    }

    /// Opens the database in a folder as it is now, to be read: beside the
    /// process that writes it, if there's one. All that is read is of this
    /// moment, however long it takes; the log can't be shortened meanwhile.
    pub fn open_read_only(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        let opening = || format!("opening {}", file.display());
        let connection = connection::to_read(&file, 0).with_context(opening)?;
        // The moment begins with the first thing that is read.
        let moment = "BEGIN; SELECT count(*) FROM sqlite_schema";
        connection.execute_batch(moment).with_context(opening)?;
        Ok(Self::with(Connections::Moment(Mutex::new(connection)), Arc::default()))
    }

    fn with(connections: Connections, counters: Arc<Counters>) -> Self {
        Self { connections: Arc::new(connections), counters, opened: Mutex::default() }
    }

    /// Opens the part of a domain, once. Its tables are brought into the shape
    /// that its collections declare.
    pub fn domain(
        &self,
        name: &str,
        collections: &[Collection],
    ) -> anyhow::Result<Arc<DomainStore>> {
        // Held until it's open: a second opening could give the tables another shape.
        let mut opened = hold(&self.opened);
        ensure!(!opened.contains(name), "{name} is open already");
        let connections = Arc::clone(&self.connections);
        let counters = Arc::clone(&self.counters);
        let store = DomainStore::open(name, collections, connections, counters)?;
        opened.insert(name.to_owned());
        Ok(Arc::new(store))
    }

    /// What it has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.counters.read()
    }

    /// Writes the file anew, without anything of what was deleted: otherwise that
    /// stands in unused parts of it until something else is written there. Who
    /// commits waits meanwhile; who reads doesn't. Says whether it's done: not
    /// while somebody reads as of an earlier moment.
    pub async fn rewrite(&self) -> anyhow::Result<bool> {
        self.connections.rewrite().await
    }

    /// Takes no more commits, writes those that wait, and closes the file.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.connections.close().await
    }
}
