//! Bringing a file into the shape that a domain declares.
//!
//! For each collection the file remembers how its table was made. While a
//! domain declares the same, opening it costs one small query. Otherwise the
//! table is made anew and its documents are written into it again, by the code
//! that writes them always: so there's one way into an index, not two.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{cell, table::Table};

/// What the tables of this program look like; a file with another number was
/// made by another program.
const FORMAT: i64 = 1;

/// Makes an empty file ready for collections, and refuses what isn't ours.
pub(super) fn prepare(connection: &mut Connection) -> anyhow::Result<()> {
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format == 0 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(&format!(
            "CREATE TABLE collections (name TEXT NOT NULL PRIMARY KEY, definition TEXT NOT NULL)
                 STRICT, WITHOUT ROWID;
             CREATE TABLE versions (reserved INTEGER NOT NULL) STRICT;
             INSERT INTO versions VALUES (0);
             PRAGMA user_version = {FORMAT};"
        ))?;
        transaction.commit()?;
        return Ok(());
    }
    ensure!(format == FORMAT, "it has format {format}, and this program writes {FORMAT}");
    Ok(())
}

/// Whether a table is as declared.
pub(super) fn stands(connection: &Connection, table: &Table) -> anyhow::Result<bool> {
    let mut known =
        connection.prepare_cached("SELECT definition = ?2 FROM collections WHERE name = ?1")?;
    let same = known.query_row((&table.name, definition(table)), |row| row.get(0)).optional()?;
    Ok(same.unwrap_or(false))
}

/// Brings tables into the shape that is declared: all of them, or none.
pub(super) fn shape(connection: &mut Connection, tables: &[Arc<Table>]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for table in tables {
        if !stands(connection, table)? {
            missing.push(table);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // A crash may undo this, as the next opening does it again: so it needn't wait for the
    // disk. The first commit, which may not be undone, flushes the log that holds this too.
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    let made = make_all(connection, &missing);
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    made
}

fn make_all(connection: &mut Connection, tables: &[&Arc<Table>]) -> anyhow::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in tables {
        make(&transaction, table).with_context(|| format!("making {}", table.name))?;
    }
    Ok(transaction.commit()?)
}

/// Makes a table and its listings, and moves in the documents that stood in an older one.
fn make(connection: &Connection, table: &Table) -> anyhow::Result<()> {
    let name = &table.name;
    for (kind, listing) in listings(connection, name)? {
        connection.execute_batch(&format!("DROP {kind} \"{listing}\""))?;
    }
    let older = connection.table_exists(None, name.as_str())?;
    if older {
        connection.execute_batch(&format!("ALTER TABLE \"{name}\" RENAME TO \"{name}:older\""))?;
    }
    // Indexes are made when the documents are in: sorting once is faster than inserting.
    let (first, last): (Vec<_>, Vec<_>) = table.listings.iter().partition(|it| it.is_table());
    connection.execute_batch(&table.definition())?;
    for listing in first {
        connection.execute_batch(&listing.definition(name))?;
    }
    if older {
        move_in(connection, table)?;
        connection.execute_batch(&format!("DROP TABLE \"{name}:older\""))?;
    }
    for listing in last {
        connection.execute_batch(&listing.definition(name))?;
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO collections (name, definition) VALUES (?1, ?2)")?
        .execute((name, definition(table)))?;
    Ok(())
}

/// The listings that a table has, of this or any earlier shape.
fn listings(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare("SELECT type, name FROM sqlite_schema WHERE substr(name, 1, length(?1)) = ?1")?
        .query_map([format!("{table}:")], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn move_in(connection: &Connection, table: &Table) -> anyhow::Result<()> {
    let older = format!("SELECT id, version, body FROM \"{}:older\"", table.name);
    let mut older = connection.prepare(&older)?;
    let mut rows = older.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        let body = row.get_ref(2)?.as_str()?;
        let cells = cell::cells(body, &table.fields).with_context(|| id.to_owned())?;
        table.insert(connection, (id, row.get(1)?, body), &cells)?;
    }
    Ok(())
}

/// How a table and its listings are made, as one text.
fn definition(table: &Table) -> String {
    let listings = table.listings.iter().map(|listing| listing.definition(&table.name));
    std::iter::once(table.definition()).chain(listings).collect::<Vec<_>>().join(";\n")
}
