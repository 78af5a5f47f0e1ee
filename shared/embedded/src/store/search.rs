//! A query as a statement that reads along one listing.
//!
//! The statement names its listing (`INDEXED BY`), so that the planner can't
//! choose another way: it's this one or an error. A page begins by comparing
//! with the place where the last one ended, and costs the same however far that
//! is from the start.

use std::{
    cmp::Ordering::{self, Greater, Less},
    fmt::Write as _,
};

use anyhow::{Context as _, ensure};
use runtime::{Cursor, Direction, Query, Rows};
use rusqlite::{Connection, params_from_iter};

use super::{
    cell::{Cell, Kind},
    listing::{Listing, column},
    table::{Table, record},
};

/// A query, translated.
pub(super) struct Search {
    /// What is read: `place` walks along the listing.
    from: String,
    /// How the document is found from its place, and what it's called then.
    join: String,
    document: &'static str,
    condition: String,
    /// The column that sorts.
    order: String,
    direction: Direction,
    limit: u32,
    /// What the statement's parameters stand for.
    values: Vec<Cell>,
}

/// Where the places of a query begin or end.
enum Bound {
    /// Nowhere in particular.
    Open,
    /// At a value.
    At(Cell),
    /// Right behind the place of a document.
    Behind(Cell, String),
}

impl Search {
    /// Translates a query; it's refused if no index was declared for it.
    pub fn new(table: &Table, query: &Query) -> anyhow::Result<Self> {
        Self::along(table, table.listing_for(query)?, query)
    }

    /// Translates a query that a listing serves.
    pub fn along(table: &Table, listing: &Listing, query: &Query) -> anyhow::Result<Self> {
        let (from, join, document) = if listing.is_table() {
            let from = format!("\"{}\" AS place", listing.name);
            // CROSS JOIN is SQLite's way to say: in this order.
            let join =
                format!(" CROSS JOIN \"{}\" AS document ON document.id = place.id", table.name);
            (from, join, "document")
        } else {
            let from = format!("\"{}\" AS place INDEXED BY \"{}\"", table.name, listing.name);
            (from, String::new(), "place")
        };
        let order = format!("place.{}", column(query.order));
        // A partial index may only be used by a statement that says its condition too.
        let condition = format!("{order} IS NOT NULL");
        let (direction, limit, values) = (query.direction, query.limit, Vec::new());
        let mut search = Self { from, join, document, condition, order, direction, limit, values };

        if let Some(filter) = &query.contains {
            ensure!(filter.value.is_string(), "an array is asked for a text, not {}", filter.value);
            search.equal("text", Cell::asked(&filter.value)?);
        }
        for field in listing.index.equals {
            let filter = query.equals.iter().find(|filter| filter.field == *field);
            let filter = filter.with_context(|| format!("the query has no value for {field}"))?;
            search.equal(&column(field), Cell::asked(&filter.value)?);
        }
        let (lower, upper) = bounds(query)?;
        search.bound('>', lower);
        search.bound('<', upper);
        Ok(search)
    }

    /// Reads what is found.
    pub fn rows(mut self, connection: &Connection) -> anyhow::Result<Rows> {
        // One more, to know whether there is more.
        let limit = self.parameter(Cell::Integer(i64::from(self.limit) + 1));
        let Self { from, join, document, condition, order, .. } = &self;
        let way = match self.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {document}.id, {document}.version, {document}.body, {order} \
             FROM {from}{join} WHERE {condition} \
             ORDER BY {order} {way}, place.id {way} LIMIT {limit}"
        ))?;
        let limit = usize::try_from(self.limit)?;
        let mut rows = statement.query(params_from_iter(&self.values))?;
        let (mut records, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            if records.len() == limit {
                return Ok(Rows { records, next: last });
            }
            let record = record(row)?;
            if records.len() + 1 == limit {
                let value = Cell::kept(Kind::Scalar, row.get_ref(3)?)?.into_value();
                last = Some(Cursor { value, id: record.id.clone() });
            }
            records.push(record);
        }
        Ok(Rows { records, next: None })
    }

    /// Counts what would be found without the limit.
    pub fn count(&self, connection: &Connection) -> anyhow::Result<u64> {
        let Self { from, condition, .. } = self;
        let mut statement =
            connection.prepare_cached(&format!("SELECT count(*) FROM {from} WHERE {condition}"))?;
        let count: i64 = statement.query_row(params_from_iter(&self.values), |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    fn equal(&mut self, column: &str, value: Cell) {
        let value = self.parameter(value);
        let _ = write!(self.condition, " AND place.{column} = {value}");
    }

    fn bound(&mut self, side: char, bound: Bound) {
        let _ = match bound {
            Bound::Open => Ok(()),
            Bound::At(value) => {
                let value = self.parameter(value);
                write!(self.condition, " AND {} {side}= {value}", self.order)
            }
            Bound::Behind(value, id) => {
                let (value, id) = (self.parameter(value), self.parameter(Cell::Text(id)));
                write!(self.condition, " AND ({}, place.id) {side} ({value}, {id})", self.order)
            }
        };
    }

    /// How the statement writes a value.
    fn parameter(&mut self, value: Cell) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }
}

/// The lower and the upper bound of a query.
fn bounds(query: &Query) -> anyhow::Result<(Bound, Bound)> {
    let at = |value: &Option<_>| value.as_ref().map(Cell::asked).transpose();
    let (lowest, highest) = (at(&query.at_least)?, at(&query.at_most)?);
    let after = match &query.after {
        Some(Cursor { value, id }) => Some((Cell::asked(value)?, id.clone())),
        None => None,
    };
    Ok(match query.direction {
        Direction::Ascending => (tighter(lowest, after, Greater), tighter(highest, None, Less)),
        Direction::Descending => (tighter(lowest, None, Greater), tighter(highest, after, Less)),
    })
}

/// Of a bound and the place after which to go on, the one that leaves less. With both in
/// the statement SQLite would seek one of them and skip over what the other excludes.
fn tighter(bound: Option<Cell>, after: Option<(Cell, String)>, inside: Ordering) -> Bound {
    match (bound, after) {
        (Some(bound), Some((value, _))) if bound.cmp(&value) == inside => Bound::At(bound),
        (_, Some((value, id))) => Bound::Behind(value, id),
        (Some(bound), None) => Bound::At(bound),
        (None, None) => Bound::Open,
    }
}
