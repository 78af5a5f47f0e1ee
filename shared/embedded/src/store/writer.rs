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
    edition::Turning,
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
    counters: Arc<Counters>,
    /// Nothing, if it writes to memory. It goes last: what's written to stays locked.
    home: Option<Home>,
}

/// Where a file is written.
pub(super) struct Home {
    /// The log, in which transactions stand before they are in the tables. A new
    /// one overwrites the old, and the file is cut to what it may be long: where
    /// it's longer, all of that is still needed.
    log: PathBuf,
    /// How long it gets before the next try to shorten it.
    shorten_at: u64,
    _lock: Lock,
}

impl Home {
    /// A file whose log is here, in a folder that is locked.
    pub const fn new(log: PathBuf, lock: Lock) -> Self {
        Self { log, shorten_at: LOG_LENGTH, _lock: lock }
    }
}

impl Writer {
    /// Begins to write, where nobody else does.
    pub fn new(
        mut connection: Connection,
        counters: Arc<Counters>,
        home: Option<Home>,
    ) -> anyhow::Result<Self> {
        schema::prepare(&mut connection)?;
        let versions = Versions::load(&connection)?;
        Ok(Self { connection, versions, counters, home })
    }

    /// The connection, for those who read where they write.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Brings the tables of a domain into the shape that is declared.
    pub fn shape(&mut self, tables: &[Arc<Table>]) -> anyhow::Result<()> {
        schema::shape(&mut self.connection, tables)?;
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
        let turning = Turning::begin(commits.iter().flatten().map(|change| &change.table.edition));
        transaction.commit()?;
        drop(turning);
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
        let Some(home) = &mut self.home else { return };
        let length = fs::metadata(&home.log).map_or(0, |log| log.len());
        if length <= home.shorten_at {
            return;
        }
        let restarted = restart_log(&self.connection);
        // Somebody still reads in it? Then it may grow by as much again until the next try.
        home.shorten_at = if matches!(restarted, Ok(true)) { 0 } else { length } + LOG_LENGTH;
        if let Err(error) = restarted {
            tracing::warn!(%error, "the store's log can't be shortened");
        }
    }

    /// Writes the file anew and empties its log, so that neither holds anything of
    /// what was deleted: until then it stands in parts that nobody uses. Says
    /// whether the log is empty, which it isn't while somebody reads in it.
    pub fn rewrite(&mut self) -> anyhow::Result<bool> {
        let Some(home) = &mut self.home else { return Ok(true) };
        // First, for the whole file goes into the log: while somebody reads there it
        // would only grow.
        if !empty_log_soon(&self.connection)? {
            return Ok(false);
        }
        self.connection.execute_batch("VACUUM")?;
        home.shorten_at = LOG_LENGTH;
        Ok(empty_log_soon(&self.connection)?)
    }

    /// Leaves a file that needs no log.
    pub fn close(self) -> anyhow::Result<()> {
        if self.home.is_some() {
            empty_log(&self.connection)?;
        }
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

/// Has the next transaction overwrite the log from its beginning, unless
/// somebody reads in it for longer than one should wait. Our own readers don't.
fn restart_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::from_millis(20))?;
    let restarted = connection
        .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| Ok(row.get::<_, i64>(0)? == 0));
    connection.busy_timeout(PATIENCE)?;
    restarted
}

/// Empties the log, unless somebody reads in it for longer than commits should wait.
fn empty_log_soon(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::from_millis(20))?;
    let emptied = empty_log(connection);
    connection.busy_timeout(PATIENCE)?;
    emptied
}

/// Writes all that is in the log into the tables, and leaves nothing in it,
/// unless somebody reads there.
fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    let emptied = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)? == 0);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], emptied)
}

/// Writes a commit, or nothing of it.
///
/// What it changes is looked at first. What it creates is just written, for that
/// finds out by itself whether the place is taken; then it's taken back.
fn write(
    connection: &Connection,
    versions: &mut Versions,
    commit: &Commit,
) -> anyhow::Result<Result<(), Conflict>> {
    let mut standing = Vec::new();
    for Change { table, key, before, after } in commit {
        let Some(before) = before else { continue };
        match table.standing(connection, &key.id)? {
            Some(found) if found.version == *before => standing.push((table, key, after, found)),
            _ => return Ok(Err(Conflict(key.clone()))),
        }
    }
    let version = versions.next(connection)?;
    for (at, Change { table, key, before, after }) in commit.iter().enumerate() {
        let (None, Some((body, cells))) = (before, after) else { continue };
        if !table.insert(connection, (&key.id, version, body), cells)? {
            take_back(connection, &commit[..at])?;
            return Ok(Err(Conflict(key.clone())));
        }
    }
    for (table, key, after, old) in standing {
        match after {
            Some((body, cells)) => {
                table.replace(connection, (&key.id, version, body), cells, &old.cells)?;
            }
            None => table.delete(connection, &key.id, &old.cells)?,
        }
    }
    Ok(Ok(()))
}

/// Removes what these changes have created just now.
fn take_back(connection: &Connection, changes: &[Change]) -> anyhow::Result<()> {
    for Change { table, key, before, after } in changes {
        if let (None, Some((_, cells))) = (before, after) {
            table.delete(connection, &key.id, cells)?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use runtime::conformance::COLLECTIONS;
    use serde_json::json;

    use super::*;
    use crate::store::{cell, connection};

    fn create(table: &Arc<Table>, id: &str, length: usize) -> Commit {
        let body = json!({ "rank": 1, "text": "x".repeat(length) }).to_string();
        let cells = cell::cells(&body, &table.fields).unwrap();
        let key = Key { collection: table.collection.name, id: id.to_owned() };
        vec![Change { table: Arc::clone(table), key, before: None, after: Some((body, cells)) }]
    }

    #[test]
    fn when_the_disk_is_full_nobody_is_told_that_it_went_well_and_the_store_goes_on() {
        let counters = Arc::new(Counters::default());
        let connection = connection::in_memory().unwrap();
        connection.execute_batch("PRAGMA max_page_count = 100").unwrap();
        let mut writer = Writer::new(connection, Arc::clone(&counters), None).unwrap();
        let table = Arc::new(Table::new("first", COLLECTIONS[0]).unwrap());
        writer.shape(&[Arc::clone(&table)]).unwrap();

        let small = create(&table, "small", 10);
        let group = [small, create(&table, "large", 900_000), create(&table, "small", 10)];
        for outcome in writer.write(&group) {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("full"), "{error}");
        }
        assert!(table.standing(writer.connection(), "small").unwrap().is_none());

        let group = [create(&table, "small", 10), create(&table, "small", 20)];
        let outcomes: Vec<_> = writer.write(&group).into_iter().map(Result::unwrap).collect();
        let conflict = Conflict(Key { collection: "things", id: "small".to_owned() });
        assert_eq!(outcomes, [Ok(()), Err(conflict)]);
        assert_eq!(counters.read().failures, 3);
        assert_eq!(counters.read().commits, 1);
    }

    #[test]
    fn a_version_whose_reservation_was_undone_is_reserved_again() {
        let connection = connection::in_memory().unwrap();
        connection.execute_batch("PRAGMA max_page_count = 100").unwrap();
        let mut writer = Writer::new(connection, Arc::default(), None).unwrap();
        let table = Arc::new(Table::new("first", COLLECTIONS[0]).unwrap());
        writer.shape(&[Arc::clone(&table)]).unwrap();
        let reserved = |writer: &Writer| Versions::load(writer.connection()).unwrap().reserved;

        let group = [create(&table, "small", 10), create(&table, "large", 900_000)];
        assert!(writer.write(&group).iter().all(Result::is_err));
        assert_eq!(reserved(&writer), 0);
        writer.write(&[create(&table, "small", 10)]).remove(0).unwrap().unwrap();
        let standing = table.standing(writer.connection(), "small").unwrap().unwrap();
        assert!(standing.version <= reserved(&writer));
    }
}
