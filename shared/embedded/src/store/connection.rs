//! Connections to SQLite, and their settings.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

/// How long the log of a file may get before it's written into the tables. It's
/// read when the file is opened after a crash, so it bounds that too.
pub(super) const LOG_LENGTH: u64 = 8 << 20;

/// How long to wait for another program that writes the file, such as the `sqlite3` of an operator.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a file to write, and makes it if it isn't there.
pub(super) fn to_write(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = set(Connection::open_with_flags(file, flags | UNSHARED)?)?;
    // Readers go on while this writes, and a commit costs one flush of the log. FULL makes
    // it wait for that flush: what is answered is on the disk. The writer shortens the log
    // itself, when nobody waits for an answer.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -8192;
         PRAGMA journal_size_limit = {LOG_LENGTH};"
    ))?;
    Ok(connection)
}

/// Opens a file to read, with its beginning mapped into memory.
///
/// Every commit empties the cache of a connection that reads; what's mapped needs none.
pub(super) fn to_read(file: &Path, mapped: u32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = set(Connection::open_with_flags(file, flags | UNSHARED)?)?;
    connection.execute_batch(&format!("PRAGMA mmap_size = {mapped}"))?;
    Ok(connection)
}

/// Opens a database that is gone with its connection.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    set(Connection::open_in_memory_with_flags(flags | UNSHARED)?)
}

/// A connection has one user at a time, who is known here already: no need for
/// SQLite's own locks.
const UNSHARED: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

fn set(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    // Without it the bundled SQLite, which has STAT4, plans a kept statement again whenever
    // its values change: a third of the cost of a list.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // All that the platform asks, with room: a dozen for each collection.
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process, sync::Arc};

    use runtime::{Collection, Index, conformance::COLLECTIONS};

    use super::*;
    use crate::store::{cell, schema, table::Table};

    fn setting<T: rusqlite::types::FromSql>(connection: &Connection, pragma: &str) -> T {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_commit_waits_for_the_disk_whatever_was_done_before() {
        const FULL: i64 = 2;
        let folder = env::temp_dir().join(format!("aula-connection-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut connection = to_write(&folder.join("file")).unwrap();
        assert_eq!(setting::<String>(&connection, "journal_mode"), "wal");
        assert_eq!(setting::<i64>(&connection, "synchronous"), FULL);

        // Making tables doesn't wait; after it, and after failing at it, commits do again.
        schema::prepare(&mut connection).unwrap();
        let table = Arc::new(Table::new("first", COLLECTIONS[0]).unwrap());
        schema::shape(&mut connection, &[Arc::clone(&table)]).unwrap();
        assert_eq!(setting::<i64>(&connection, "synchronous"), FULL);
        let body = r#"{ "price": 0.5 }"#;
        let cells = cell::cells(body, &table.fields).unwrap();
        table.insert(&connection, ("a", 1, body), &cells).unwrap();
        let by_price =
            Collection { indexes: const { &[Index::ascending("price")] }, ..COLLECTIONS[0] };
        let by_price = Arc::new(Table::new("first", by_price).unwrap());
        assert!(schema::shape(&mut connection, &[by_price]).is_err());
        assert_eq!(setting::<i64>(&connection, "synchronous"), FULL);
        fs::remove_dir_all(&folder).unwrap();
    }
}
