//! The documents of a collection in the order of an index.
//!
//! A listing runs from the smallest up and is read backwards too, so it serves
//! both directions. Mostly it's an index of the collection's table, which
//! SQLite keeps by itself. One that asks an array to contain a text is a table
//! of its own, with an entry for every text; it's kept here, in the same
//! transaction.

use runtime::Index;
use rusqlite::{Connection, ToSql};

use super::cell::Cell;

/// Documents in the order of an index.
#[derive(Debug)]
pub(super) struct Listing {
    /// Its name, which tells its shape: `domain/collection:tags[],state,rank`.
    pub name: String,
    /// The index that it was made for, or its twin in the other direction.
    pub index: Index,
    /// Where the cell of the array is.
    texts: Option<usize>,
    /// Where the cells are that it's sorted by.
    sorting: Vec<usize>,
    enter: String,
    leave: String,
}

/// The column of a field.
pub(super) fn column(field: &str) -> String {
    format!("\"body.{field}\"")
}

impl Listing {
    /// The listing of a table for an index, given where the cell of each field is.
    pub fn new(table: &str, index: Index, place: impl Fn(&str) -> usize) -> Self {
        let texts = index.contains.map(|field| format!("{field}[]"));
        let fields: Vec<_> = sorting(&index).collect();
        let shape = texts.as_deref().into_iter().chain(fields.iter().copied());
        let name = format!("{table}:{}", shape.collect::<Vec<_>>().join(","));
        let each = |what: &dyn Fn(usize, String) -> String| -> String {
            fields.iter().enumerate().map(|(at, field)| what(at + 3, column(field))).collect()
        };
        Self {
            texts: index.contains.map(&place),
            sorting: fields.iter().map(|field| place(field)).collect(),
            enter: format!(
                "INSERT INTO \"{name}\" (id, text{}) VALUES (?1, ?2{})",
                each(&|_, column| format!(", {column}")),
                each(&|at, _| format!(", ?{at}")),
            ),
            leave: format!(
                "DELETE FROM \"{name}\" WHERE id = ?1 AND text = ?2{}",
                each(&|at, column| format!(" AND {column} = ?{at}")),
            ),
            name,
            index,
        }
    }

    /// Whether it serves an index.
    pub fn serves(&self, index: &Index) -> bool {
        Index { direction: index.direction, ..self.index } == *index
    }

    /// Whether it's a table of its own.
    pub fn is_table(&self) -> bool {
        self.texts.is_some()
    }

    /// The statement that makes it.
    pub fn definition(&self, table: &str) -> String {
        let Self { name, index, .. } = self;
        let columns: Vec<_> = sorting(index).map(column).collect();
        let sorted = columns.join(", ");
        if self.is_table() {
            let columns = columns.join(" ANY NOT NULL, ");
            format!(
                "CREATE TABLE \"{name}\" (text TEXT NOT NULL, {columns} ANY NOT NULL, \
                 id TEXT NOT NULL, PRIMARY KEY (text, {sorted}, id)) STRICT, WITHOUT ROWID"
            )
        } else {
            let present = columns.join(" IS NOT NULL AND ");
            format!(
                "CREATE INDEX \"{name}\" ON \"{table}\" ({sorted}, id) WHERE {present} IS NOT NULL"
            )
        }
    }

    /// Enters a document, if it's a table of its own.
    pub fn enter(&self, connection: &Connection, id: &str, cells: &[Cell]) -> rusqlite::Result<()> {
        self.for_each_entry(connection, &self.enter, id, cells)
    }

    /// Takes a document out, if it's a table of its own.
    pub fn leave(&self, connection: &Connection, id: &str, cells: &[Cell]) -> rusqlite::Result<()> {
        self.for_each_entry(connection, &self.leave, id, cells)
    }

    fn for_each_entry(
        &self,
        connection: &Connection,
        statement: &str,
        id: &str,
        cells: &[Cell],
    ) -> rusqlite::Result<()> {
        let Some(Cell::Texts(texts)) = self.texts.map(|place| &cells[place]) else { return Ok(()) };
        let sorted: Vec<_> = self.sorting.iter().map(|place| &cells[*place]).collect();
        if sorted.contains(&&Cell::Absent) {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(statement)?;
        for text in texts {
            let mut entry: Vec<&dyn ToSql> = vec![&id, text];
            entry.extend(sorted.iter().map(|cell| *cell as &dyn ToSql));
            statement.execute(entry.as_slice())?;
        }
        Ok(())
    }
}

/// The fields that an index sorts by: first those that have to be equal.
fn sorting(index: &Index) -> impl Iterator<Item = &'static str> + use<> {
    index.equals.iter().copied().chain([index.order])
}
