//! The one connection that writes: many commits, one transaction.
//!
//! A transaction waits for the disk once, however many commits are in it; so
//! those that come while one is being written share the next. Each commit is
//! still decided by itself: its preconditions are checked against all that came
//! before it, and where one fails nothing of this commit is written.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::anyhow;
use runtime::{Conflict, Key};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    cell::Cell,
    connection::{LOG_LENGTH, PATIENCE},
    lock::Lock,
    schema,
    statistics::Counters,
    table::Table,
};

/// What a commit changes.
pub(super) type Commit = Vec<Change>;

/// What became of a commit.
pub(super) type Outcome = anyhow::Result<Result<(), Conflict>>;

/// One document, before and after.
pub(super) struct Change {
    /// Where its collection is kept.
    pub table: Arc<Table>,
    /// Which it is.
    pub key: Key,
    /// The version that it has to have; none, if it mustn't be there.
    pub before: Option<i64>,
    /// Its new text, with what the indexes hold of it; none, to remove it.
    pub after: Option<(String, Vec<Cell>)>,
}

/// The one connection that writes.
pub(super) struct Writer {
    connection: Connection,
    versions: Versions,
    log: Option<Log>,
    counters: Arc<Counters>,
    // Stands last, to be let go of last.
    _lock: Option<Lock>,
}

impl Writer {
    /// Writes to a database that nobody else can reach.
    pub fn to_memory(mut connection: Connection, counters: Arc<Counters>) -> anyhow::Result<Self> {
        schema::prepare(&mut connection)?;
        let versions = Versions::load(&connection)?;
        Ok(Self { connection, versions, log: None, counters, _lock: None })
    }

    /// Writes to a file, in a folder that is locked.
    pub fn to_file(
        mut connection: Connection,
        counters: Arc<Counters>,
        (log, lock): (PathBuf, Lock),
    ) -> anyhow::Result<Self> {
        schema::prepare(&mut connection)?;
        let versions = Versions::load(&connection)?;
        let log = Some(Log { path: log, shorten_at: LOG_LENGTH });
        Ok(Self { connection, versions, log, counters, _lock: Some(lock) })
    }

    /// The connection, for those who read where they write.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Brings the tables of a domain to the shape that is declared.
    pub fn bring(&mut self, tables: &[Arc<Table>]) -> anyhow::Result<()> {
        schema::bring(&mut self.connection, tables)?;
        self.shorten_log();
        Ok(())
    }

    /// Writes some commits in one transaction, in their order. When this
    /// returns, what it says is so, even if the power fails now.
    pub fn write(&mut self, commits: &[Commit]) -> Vec<Outcome> {
        match self.transact(commits) {
            Ok(outcomes) => {
                self.count(commits, &outcomes);
                outcomes.into_iter().map(Ok).collect()
            }
            // A conflict may be with a commit that is undone now, so it can't be told either.
            Err(error) => {
                self.versions.reserve_anew();
                self.counters.failures.many(commits.len());
                let failed = |_| Err(anyhow!("the transaction failed: {error:#}"));
                commits.iter().map(failed).collect()
            }
        }
    }

    fn transact(&mut self, commits: &[Commit]) -> anyhow::Result<Vec<Result<(), Conflict>>> {
        let Self { connection, versions, .. } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcomes = commits.iter().map(|commit| write(&transaction, versions, commit));
        let outcomes = outcomes.collect::<anyhow::Result<_>>()?;
        transaction.commit()?;
        Ok(outcomes)
    }

    fn count(&self, commits: &[Commit], outcomes: &[Result<(), Conflict>]) {
        let kept = || commits.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
        let count = kept().count();
        self.counters.commits.many(count);
        self.counters.writes.many(kept().map(|(commit, _)| commit.len()).sum());
        self.counters.conflicts.many(commits.len() - count);
        // One that wrote nothing hasn't waited for the disk.
        self.counters.transactions.many(usize::from(count > 0));
    }

    /// Writes what is in the log into the tables, if there's much of it.
    pub fn shorten_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        let length = fs::metadata(&log.path).map_or(0, |file| file.len());
        if length <= log.shorten_at {
            return;
        }
        // RESTART lets the log begin anew, so it waits for those who still read in it. Ours
        // are done in no time. Others may not be: then the log grows until the next try.
        let restarted = self.connection.busy_timeout(Duration::from_millis(20)).and_then(|()| {
            let pragma = "PRAGMA wal_checkpoint(RESTART)";
            self.connection.query_row(pragma, [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        log.shorten_at = if matches!(restarted, Ok(true)) { 0 } else { length } + LOG_LENGTH;
        if let Err(error) = restarted.and(self.connection.busy_timeout(PATIENCE)) {
            tracing::warn!(%error, "the store's log can't be shortened");
        }
    }

    /// Leaves a file that needs no log.
    pub fn close(self) -> anyhow::Result<()> {
        if self.log.is_some() {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

/// The log of a file, in which transactions stand before they are in the tables.
/// A new one overwrites the old, so a file that is longer than allowed is long
/// with what's needed.
struct Log {
    path: PathBuf,
    shorten_at: u64,
}

/// Writes a commit, or nothing of it.
fn write(
    connection: &Connection,
    versions: &mut Versions,
    commit: &Commit,
) -> anyhow::Result<Result<(), Conflict>> {
    let mut standing = Vec::with_capacity(commit.len());
    for Change { table, key, before, .. } in commit {
        let found = table.standing(connection, &key.id)?;
        if found.as_ref().map(|it| it.version) != *before {
            return Ok(Err(Conflict(key.clone())));
        }
        standing.push(found);
    }
    let version = versions.next(connection)?;
    for (Change { table, key, after, .. }, standing) in commit.iter().zip(standing) {
        match (after, standing) {
            (Some((body, cells)), None) => {
                table.insert(connection, (&key.id, version, body), cells)?;
            }
            (Some((body, cells)), Some(old)) => {
                table.replace(connection, (&key.id, version, body), cells, &old.cells)?;
            }
            (None, Some(old)) => table.delete(connection, &key.id, &old.cells)?,
            (None, None) => {}
        }
    }
    Ok(Ok(()))
}

/// Hands out versions: numbers of which no two commits of a file get the same,
/// so that a document that was deleted and created again has a new one.
///
/// The file doesn't remember the last one but up to where they are reserved:
/// that is written once in a million commits. A new process begins behind it.
struct Versions {
    last: i64,
    reserved: i64,
}

impl Versions {
    const RESERVE: i64 = 1 << 20;

    fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let reserved =
            connection.query_row("SELECT reserved FROM versions", [], |row| row.get(0))?;
        Ok(Self { last: reserved, reserved })
    }

    fn next(&mut self, connection: &Connection) -> rusqlite::Result<i64> {
        if self.last == self.reserved {
            self.reserved += Self::RESERVE;
            connection.execute("UPDATE versions SET reserved = ?1", [self.reserved])?;
        }
        self.last += 1;
        Ok(self.last)
    }

    /// The transaction is undone, and what it reserved with it.
    fn reserve_anew(&mut self) {
        self.reserved = self.last;
    }
}
