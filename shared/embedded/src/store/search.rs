//! A query as a statement that reads along one listing.
//!
//! The statement names its listing (`INDEXED BY`), so that the planner can't
//! choose another way: it's this one or an error. A page begins by comparing
//! with the place where the last one ended, and costs the same however far that
//! is from the start.

use std::cmp::Ordering::{self, Greater, Less};

use anyhow::{Context as _, ensure};
use runtime::{Cursor, Direction, Kind, Query, Rows};
use rusqlite::{Connection, params_from_iter};

use super::{
    cell::Cell,
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
    conditions: Vec<String>,
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
        let (direction, limit) = (query.direction, query.limit);
        let (conditions, values) = (Vec::new(), Vec::new());
        let mut search = Self { from, join, document, conditions, order, direction, limit, values };

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
        // A partial index may only be used where its condition is said, or follows.
        if !matches!(lower, Bound::At(_)) {
            search.conditions.push(format!("{} IS NOT NULL", search.order));
        }
        search.bound('>', lower);
        search.bound('<', upper);
        Ok(search)
    }

    /// Reads what is found.
    pub fn rows(mut self, connection: &Connection) -> anyhow::Result<Rows> {
        let statement = self.statement();
        let limit = usize::try_from(self.limit)?;
        let mut statement = connection.prepare_cached(&statement)?;
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

    /// The statement that reads one more than wanted, to know whether there is more.
    fn statement(&mut self) -> String {
        let limit = self.parameter(Cell::Integer(i64::from(self.limit) + 1));
        let Self { from, join, document, order, .. } = &self;
        let conditions = self.conditions.join(" AND ");
        let way = match self.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        format!(
            "SELECT {document}.id, {document}.version, {document}.body, {order} \
             FROM {from}{join} WHERE {conditions} \
             ORDER BY {order} {way}, place.id {way} LIMIT {limit}"
        )
    }

    /// Counts what would be found without the limit.
    pub fn count(&self, connection: &Connection) -> anyhow::Result<u64> {
        let conditions = self.conditions.join(" AND ");
        let statement = format!("SELECT count(*) FROM {} WHERE {conditions}", self.from);
        let mut statement = connection.prepare_cached(&statement)?;
        let count: i64 = statement.query_row(params_from_iter(&self.values), |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    fn equal(&mut self, column: &str, value: Cell) {
        let value = self.parameter(value);
        self.conditions.push(format!("place.{column} = {value}"));
    }

    fn bound(&mut self, side: char, bound: Bound) {
        let condition = match bound {
            Bound::Open => return,
            Bound::At(value) => {
                let value = self.parameter(value);
                format!("{} {side}= {value}", self.order)
            }
            Bound::Behind(value, id) => {
                let (value, id) = (self.parameter(value), self.parameter(Cell::Text(id)));
                format!("({}, place.id) {side} ({value}, {id})", self.order)
            }
        };
        self.conditions.push(condition);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime::{Filter, Index, conformance::COLLECTIONS};
    use serde_json::json;

    use super::*;
    use crate::store::{connection, schema};

    /// Every question that an index can be asked: with and without each bound, and from a place.
    fn questions(index: &Index) -> impl Iterator<Item = Query> {
        let filter = |field| Filter { field, value: json!("x") };
        let place = Cursor { value: json!(5), id: "x".to_owned() };
        (0..8).map(move |which| Query {
            collection: COLLECTIONS[0].name,
            equals: index.equals.iter().copied().map(filter).collect(),
            contains: index.contains.map(filter),
            order: index.order,
            direction: index.direction,
            at_most: (which & 1 > 0).then(|| json!(9)),
            at_least: (which & 2 > 0).then(|| json!(1)),
            limit: 20,
            after: (which & 4 > 0).then(|| place.clone()),
        })
    }

    /// How SQLite goes about it, step by step.
    fn plan(connection: &Connection, search: &mut Search) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {}", search.statement());
        let mut explain = connection.prepare(&explain).unwrap();
        let steps = explain.query_map(params_from_iter(&search.values), |step| step.get("detail"));
        steps.unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_query_seeks_its_place_and_sorts_nothing() {
        let table = Arc::new(Table::new("first", COLLECTIONS[0]).unwrap());
        let mut connection = connection::in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        schema::shape(&mut connection, &[Arc::clone(&table)]).unwrap();
        for query in COLLECTIONS[0].indexes.iter().flat_map(questions) {
            let plan = plan(&connection, &mut Search::new(&table, &query).unwrap());
            let told = || format!("{query:?}: {plan:?}");
            // One step along the listing and, if that's a table of its own, one to the document.
            assert_eq!(plan.len(), 1 + usize::from(query.contains.is_some()), "{}", told());
            assert!(plan[0].starts_with("SEARCH place USING "), "{}", told());
            let side = if query.direction == Direction::Ascending { '>' } else { '<' };
            let behind = format!("(body.{},id){side}(?,?)", query.order);
            assert_eq!(plan[0].contains(&behind), query.after.is_some(), "{}", told());
        }
    }
}
