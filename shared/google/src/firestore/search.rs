//! A query, as Firestore is asked it.

use std::cmp::Ordering;

use gcloud_sdk::google::firestore::v1::{
    Cursor as Place, StructuredAggregationQuery, StructuredQuery, Value,
    structured_aggregation_query::{
        Aggregation, QueryType,
        aggregation::{Count, Operator as Aggregate},
    },
    structured_query::{
        CollectionSelector, CompositeFilter, Direction as Way, FieldFilter, FieldReference, Filter,
        Order, UnaryFilter, composite_filter, field_filter::Operator, filter::FilterType,
        unary_filter,
    },
    value::ValueType,
};
use runtime::{Cursor, Direction, Field, Kind, Query};
use serde_json::Value as Json;

use super::values;

/// What a count is called in its answer.
pub(super) const COUNT: &str = "count";

/// A query as Firestore is asked it, given the fields of its collection's
/// indexes and the path of the collection. None, if nothing can be found.
pub(super) fn structured(query: &Query, fields: &[Field], path: &str) -> Option<StructuredQuery> {
    let kind = |name: &str| {
        let field = fields.iter().find(|field| field.name == name);
        field.map_or(Kind::Scalar, |field| field.kind)
    };
    let value = |name: &str, json: &Json| values::asked(json, kind(name));
    let mut filters: Vec<Filter> = Vec::new();
    for filter in &query.equals {
        filters.push(compare(filter.field, Operator::Equal, value(filter.field, &filter.value)));
    }
    if let Some(filter) = &query.contains {
        let text = value(filter.field, &filter.value);
        filters.push(compare(filter.field, Operator::ArrayContains, text));
    }
    let bounds = [
        (&query.at_least, Operator::GreaterThanOrEqual),
        (&query.at_most, Operator::LessThanOrEqual),
    ];
    for (bound, operator) in bounds {
        let Some(bound) = bound else { continue };
        filters.push(compare(query.order, operator, value(query.order, bound)));
    }
    if query.at_least.is_none() && query.at_most.is_none() {
        // A comparison finds no null, but an order has a place for it.
        filters.push(is_not_null(query.order));
    }
    let way = match query.direction {
        Direction::Ascending => Way::Ascending,
        Direction::Descending => Way::Descending,
    };
    let order = |name: &str| Order { field: Some(field(name)), direction: way.into() };
    Some(StructuredQuery {
        from: vec![CollectionSelector {
            collection_id: query.collection.to_owned(),
            all_descendants: false,
        }],
        r#where: Some(all(filters)),
        order_by: vec![order(query.order), order("__name__")],
        start_at: match begin(query)? {
            Begin::First => None,
            Begin::Behind(Cursor { value: json, id }) => {
                Some(behind(value(query.order, json), id, query.direction, path))
            }
        },
        ..StructuredQuery::default()
    })
}

/// A count of what a query finds.
pub(super) fn count(query: StructuredQuery) -> StructuredAggregationQuery {
    let operator = Some(Aggregate::Count(Count { up_to: None }));
    StructuredAggregationQuery {
        aggregations: vec![Aggregation { alias: COUNT.to_owned(), operator }],
        query_type: Some(QueryType::StructuredQuery(query)),
    }
}

/// Where a query begins.
enum Begin<'q> {
    /// With the first that it finds.
    First,
    /// Behind a place.
    Behind(&'q Cursor),
}

/// Where a query begins; nothing, if its place is behind the last that it could find. A place
/// ahead of the first isn't told, so that it can't be at odds with the bound there.
fn begin(query: &Query) -> Option<Begin<'_>> {
    let Some(place) = &query.after else { return Some(Begin::First) };
    let (first, last, ahead, beyond) = match query.direction {
        Direction::Ascending => {
            (&query.at_least, &query.at_most, Ordering::Less, Ordering::Greater)
        }
        Direction::Descending => {
            (&query.at_most, &query.at_least, Ordering::Greater, Ordering::Less)
        }
    };
    let is = |bound: &Option<Json>, side| {
        bound.as_ref().is_some_and(|bound| compared(&place.value, bound) == Some(side))
    };
    if is(last, beyond) {
        return None;
    }
    Some(if is(first, ahead) { Begin::First } else { Begin::Behind(place) })
}

/// How two values of one type follow each other. Times are texts here, which sort the same.
fn compared(one: &Json, other: &Json) -> Option<Ordering> {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => Some(one.as_i64()?.cmp(&other.as_i64()?)),
        (Json::String(one), Json::String(other)) => Some(one.cmp(other)),
        (Json::Bool(one), Json::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// The place right behind a value and an id. No id at all is ahead of every one.
fn behind(value: Value, id: &str, direction: Direction, path: &str) -> Place {
    if id.is_empty() {
        let before = direction == Direction::Ascending;
        return Place { values: vec![value], before };
    }
    let name = ValueType::ReferenceValue(format!("{path}/{id}"));
    Place { values: vec![value, Value { value_type: Some(name) }], before: false }
}

fn field(name: &str) -> FieldReference {
    FieldReference { field_path: name.to_owned() }
}

fn compare(name: &str, operator: Operator, value: Value) -> Filter {
    let filter = FieldFilter { field: Some(field(name)), op: operator.into(), value: Some(value) };
    Filter { filter_type: Some(FilterType::FieldFilter(filter)) }
}

fn is_not_null(name: &str) -> Filter {
    let filter = UnaryFilter {
        op: unary_filter::Operator::IsNotNull.into(),
        operand_type: Some(unary_filter::OperandType::Field(field(name))),
    };
    Filter { filter_type: Some(FilterType::UnaryFilter(filter)) }
}

fn all(mut filters: Vec<Filter>) -> Filter {
    if filters.len() == 1 {
        return filters.remove(0);
    }
    let op = composite_filter::Operator::And.into();
    let filter = CompositeFilter { op, filters };
    Filter { filter_type: Some(FilterType::CompositeFilter(filter)) }
}
