//! A collection as SQLite keeps it: a table.
//!
//! A document is a row: its id, its version, its text, and a column for every
//! field that an index needs. The statements are written once, when the domain
//! is opened.

use std::fmt::Write as _;

use anyhow::Context as _;
use runtime::{Collection, Field, Index, Query, Record, Version};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::{
    cell::Cell,
    edition::Edition,
    listing::{Listing, column},
};

/// A collection's table, its listings, and the statements that work on them.
#[derive(Debug)]
pub(super) struct Table {
    /// `domain/collection`, so that no domain can name another's.
    pub name: String,
    /// What it was declared as.
    pub collection: Collection,
    /// The fields that have a column, in the order of their cells.
    pub fields: Vec<Field>,
    /// Its documents in the orders of its indexes.
    pub listings: Vec<Listing>,
    /// Which of its states it's in.
    pub edition: Edition,
    get: String,
    scan: String,
    standing: String,
    insert: String,
    rewrite: String,
    replace: String,
    delete: String,
}

/// What stands at an id, apart from the text.
pub(super) struct Standing {
    /// Which write it is.
    pub version: i64,
    /// What the indexes hold of it.
    pub cells: Vec<Cell>,
}

impl Table {
    /// The table of a domain's collection.
    pub fn new(domain: &str, collection: Collection) -> anyhow::Result<Self> {
        let name = format!("{domain}/{}", collection.name);
        let expiring = collection.expires.map(Index::ascending);
        let indexes: Vec<_> = collection.indexes.iter().copied().chain(expiring).collect();
        let fields = collection.fields().with_context(|| name.clone())?;

        let mut listings: Vec<Listing> = Vec::new();
        for index in indexes {
            if !listings.iter().any(|listing| listing.serves(&index)) {
                listings.push(Listing::new(&name, index, |wanted| {
                    let place = fields.iter().position(|field| field.name == wanted);
                    place.expect("every field of an index has a column")
                }));
            }
        }

        let (mut columns, mut values, mut settings) = (String::new(), String::new(), String::new());
        for (at, field) in (4..).zip(&fields) {
            let column = column(field.name);
            let _ = write!(columns, ", {column}");
            let _ = write!(values, ", ?{at}");
            let _ = write!(settings, ", {column} = ?{at}");
        }
        Ok(Self {
            get: format!("SELECT id, version, body FROM \"{name}\" WHERE id = ?1"),
            scan: format!(
                "SELECT id, version, body FROM \"{name}\" WHERE id > ?1 ORDER BY id LIMIT ?2"
            ),
            standing: format!("SELECT version{columns} FROM \"{name}\" WHERE id = ?1"),
            insert: format!(
                "INSERT INTO \"{name}\" (id, version, body{columns}) VALUES (?1, ?2, ?3{values}) \
                 ON CONFLICT (id) DO NOTHING"
            ),
            rewrite: format!("UPDATE \"{name}\" SET version = ?2, body = ?3 WHERE id = ?1"),
            replace: format!(
                "UPDATE \"{name}\" SET version = ?2, body = ?3{settings} WHERE id = ?1"
            ),
            delete: format!("DELETE FROM \"{name}\" WHERE id = ?1"),
            name,
            collection,
            fields,
            listings,
            edition: Edition::default(),
        })
    }

    /// The statement that makes it.
    pub fn definition(&self) -> String {
        let column = |field: &Field| column(field.name) + " ANY";
        let columns: Vec<_> = [
            vec!["id TEXT NOT NULL PRIMARY KEY".to_owned(), "version INTEGER NOT NULL".to_owned()],
            self.fields.iter().map(column).collect(),
            // It stands last: a long text spills over many pages, and to come to a column
            // behind it one has to leaf through them.
            vec!["body TEXT NOT NULL".to_owned()],
        ]
        .concat();
        // Not WITHOUT ROWID: documents are too large for it. Writing was twice as slow.
        format!("CREATE TABLE \"{}\" ({}) STRICT", self.name, columns.join(", "))
    }

    /// The listing that serves a query, if its shape was declared.
    pub fn listing_for(&self, query: &Query) -> anyhow::Result<&Listing> {
        let declared = self.collection.index_for(query);
        declared
            .and_then(|index| self.listings.iter().find(|listing| listing.serves(index)))
            .with_context(|| format!("{} has no listing for {query:?}", self.name))
    }

    /// The listing by the time at which documents expire, if they do.
    pub fn expiring(&self) -> Option<&Listing> {
        let index = Index::ascending(self.collection.expires?);
        self.listings.iter().find(|listing| listing.serves(&index))
    }

    /// Reads a document.
    pub fn get(&self, connection: &Connection, id: &str) -> rusqlite::Result<Option<Record>> {
        connection.prepare_cached(&self.get)?.query_row([id], record).optional()
    }

    /// Reads documents in the order of their ids, from after one of them.
    pub fn scan(
        &self,
        connection: &Connection,
        after: &str,
        limit: u32,
    ) -> rusqlite::Result<Vec<Record>> {
        connection.prepare_cached(&self.scan)?.query_map((after, limit), record)?.collect()
    }

    /// Reads what stands at an id.
    pub fn standing(&self, connection: &Connection, id: &str) -> anyhow::Result<Option<Standing>> {
        let mut statement = connection.prepare_cached(&self.standing)?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let kept = |(at, field): (usize, &Field)| Cell::kept(field.kind, row.get_ref(at)?);
        let cells = (1..).zip(&self.fields).map(kept).collect::<anyhow::Result<_>>()?;
        Ok(Some(Standing { version: row.get(0)?, cells }))
    }

    /// Adds a document, if none stands there; whether it did.
    pub fn insert(
        &self,
        connection: &Connection,
        row: (&str, i64, &str),
        cells: &[Cell],
    ) -> rusqlite::Result<bool> {
        if write(connection, &self.insert, row, cells)? == 0 {
            return Ok(false);
        }
        self.listings.iter().try_for_each(|listing| listing.enter(connection, row.0, cells))?;
        Ok(true)
    }

    /// Writes a document over another.
    pub fn replace(
        &self,
        connection: &Connection,
        row: (&str, i64, &str),
        cells: &[Cell],
        old: &[Cell],
    ) -> rusqlite::Result<()> {
        // Most changes move a document in no listing. SQLite doesn't see that: it would take
        // the document out of each and put it back in the same place.
        if cells == old {
            return write(connection, &self.rewrite, row, &[]).map(drop);
        }
        self.listings.iter().try_for_each(|listing| listing.leave(connection, row.0, old))?;
        write(connection, &self.replace, row, cells)?;
        self.listings.iter().try_for_each(|listing| listing.enter(connection, row.0, cells))
    }

    /// Removes a document.
    pub fn delete(&self, connection: &Connection, id: &str, old: &[Cell]) -> rusqlite::Result<()> {
        self.listings.iter().try_for_each(|listing| listing.leave(connection, id, old))?;
        connection.prepare_cached(&self.delete)?.execute([id])?;
        Ok(())
    }
}

/// The record of a row that begins with id, version and text.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let version: i64 = row.get(1)?;
    Ok(Record { id: row.get(0)?, body: row.get(2)?, version: Version(version.to_string()) })
}

/// Runs a statement that writes a row: its id, version and text, then its cells.
/// Gives back how many rows it has written.
fn write(
    connection: &Connection,
    statement: &str,
    (id, version, body): (&str, i64, &str),
    cells: &[Cell],
) -> rusqlite::Result<usize> {
    let mut values: Vec<&dyn ToSql> = vec![&id, &version, &body];
    values.extend(cells.iter().map(|cell| cell as &dyn ToSql));
    connection.prepare_cached(statement)?.execute(values.as_slice())
}
