//! The content of documents: JSON as Firestore's values, and back to the letter
//! of JSON (the order of members isn't kept, it's that of their names).
//!
//! - A text that is a time, written as the platform writes times, is kept as a
//!   timestamp, wherever it stands; but not in an indexed field that isn't one of
//!   times, because there it would sort before all texts.
//! - A whole number of 64 bits is an integer, any other number a double.
//! - An array that stands right in another is kept in an object with the one
//!   member `[]`, as Firestore refuses it bare. An object in an array whose one
//!   member is named `[]`, `[][]` and so on gets one `[]` more, so that it isn't
//!   taken for such an array.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use contracts::Timestamp;
use gcloud_sdk::{
    google::firestore::v1::{ArrayValue, MapValue, Value, value::ValueType},
    prost_types,
};
use runtime::{Field, Kind};
use serde_json::{Map, Value as Json};

use super::versions::COMMITS;

/// The name of the one member of an object that stands for an array.
const ARRAY: &str = "[]";

/// The fields of a document with this text, written by these commits.
pub(super) fn fields(
    body: &str,
    indexed: &[Field],
    commits: String,
) -> anyhow::Result<HashMap<String, Value>> {
    let members: Map<String, Json> = serde_json::from_str(body)?;
    let plain = |name: &str| indexed.iter().any(|it| it.name == name && it.kind != Kind::Time);
    let field = |(name, json): (String, Json)| {
        let value = if plain(&name) { indexed_value(json) } else { value(json) };
        (name, value)
    };
    let mut fields: HashMap<_, _> = members.into_iter().map(field).collect();
    fields.insert(COMMITS.to_owned(), of(ValueType::StringValue(commits)));
    Ok(fields)
}

/// The text of a document with these fields.
pub(super) fn body(mut fields: HashMap<String, Value>) -> anyhow::Result<String> {
    fields.remove(COMMITS);
    Ok(Json::Object(members(fields)?).to_string())
}

/// What is asked of an indexed field.
pub(super) fn asked(json: &Json, kind: Kind) -> Value {
    if kind == Kind::Time { value(json.clone()) } else { indexed_value(json.clone()) }
}

/// The text that stands in a field.
pub(super) fn text<'f>(fields: &'f HashMap<String, Value>, name: &str) -> Option<&'f str> {
    match fields.get(name)?.value_type.as_ref()? {
        ValueType::StringValue(text) => Some(text),
        _ => None,
    }
}

/// A value as JSON.
pub(super) fn json(value: Value) -> anyhow::Result<Json> {
    Ok(match value.value_type.context("it's no value at all")? {
        ValueType::NullValue(_) => Json::Null,
        ValueType::BooleanValue(it) => it.into(),
        ValueType::IntegerValue(it) => it.into(),
        ValueType::DoubleValue(it) => it.into(),
        ValueType::StringValue(it) => it.into(),
        ValueType::TimestampValue(it) => time(&it).to_string().into(),
        ValueType::MapValue(it) => Json::Object(members(it.fields)?),
        ValueType::ArrayValue(it) => {
            Json::Array(it.values.into_iter().map(item_json).collect::<anyhow::Result<_>>()?)
        }
        other => bail!("{other:?} isn't of here"),
    })
}

fn members(fields: HashMap<String, Value>) -> anyhow::Result<Map<String, Json>> {
    // A map of JSON keeps the order in which it's filled, if any crate of the program wants
    // that; so it's filled in order.
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    fields.into_iter().map(|(name, value)| Ok((name, json(value)?))).collect()
}

/// A value of JSON that stands in an indexed field that isn't one of times.
fn indexed_value(json: Json) -> Value {
    of(match json {
        Json::String(it) => ValueType::StringValue(it),
        Json::Array(items) => {
            let values = items.into_iter().map(indexed_value).collect();
            ValueType::ArrayValue(ArrayValue { values })
        }
        other => return value(other),
    })
}

/// A value of JSON.
fn value(json: Json) -> Value {
    of(match json {
        Json::Null => ValueType::NullValue(0),
        Json::Bool(it) => ValueType::BooleanValue(it),
        Json::Number(it) => match it.as_i64() {
            Some(it) => ValueType::IntegerValue(it),
            None => ValueType::DoubleValue(it.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(it) => match runtime::time(&it) {
            Some(time) => ValueType::TimestampValue(timestamp(time)),
            None => ValueType::StringValue(it),
        },
        Json::Array(items) => {
            let values = items.into_iter().map(item).collect();
            ValueType::ArrayValue(ArrayValue { values })
        }
        Json::Object(members) => {
            let fields = members.into_iter().map(|(name, json)| (name, value(json))).collect();
            ValueType::MapValue(MapValue { fields })
        }
    })
}

/// An item of an array.
fn item(json: Json) -> Value {
    match json {
        Json::Array(_) => {
            let fields = HashMap::from([(ARRAY.to_owned(), value(json))]);
            of(ValueType::MapValue(MapValue { fields }))
        }
        Json::Object(members) if members.len() == 1 && members.keys().all(|it| is_alike(it)) => {
            value(members.into_iter().map(|(name, json)| (name + ARRAY, json)).collect())
        }
        other => value(other),
    }
}

/// An item of an array, as JSON.
fn item_json(value: Value) -> anyhow::Result<Json> {
    let mut members = match json(value)? {
        Json::Object(members) if members.len() == 1 && members.keys().all(|it| is_alike(it)) => {
            members.into_iter()
        }
        other => return Ok(other),
    };
    let (name, json) = members.next().context("it has one member")?;
    Ok(match name.strip_suffix(ARRAY) {
        Some("") | None => json,
        Some(name) => Json::Object(Map::from_iter([(name.to_owned(), json)])),
    })
}

/// Whether a name could be taken for that of an array.
fn is_alike(name: &str) -> bool {
    !name.is_empty() && name.replace(ARRAY, "").is_empty()
}

const fn of(value: ValueType) -> Value {
    Value { value_type: Some(value) }
}

/// A time as Firestore has it.
fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let millis = time.as_millis();
    let nanos = millis.rem_euclid(1000) * 1_000_000;
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// A time of Firestore, to the millisecond.
fn time(timestamp: &prost_types::Timestamp) -> Timestamp {
    let millis = timestamp.seconds.saturating_mul(1000);
    Timestamp::from_millis(millis.saturating_add(i64::from(timestamp.nanos / 1_000_000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INDEXED: &[Field] = &[
        Field { name: "name", kind: Kind::Scalar },
        Field { name: "tags", kind: Kind::Texts },
        Field { name: "made_at", kind: Kind::Time },
    ];

    const TIME: &str = "2026-11-22T03:00:00.001Z";

    fn stored(body: &Json) -> HashMap<String, Value> {
        fields(&body.to_string(), INDEXED, "b a".to_owned()).unwrap()
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for document in [
            json!({}),
            json!({ "a": [null, true, i64::MIN, i64::MAX, 0.1, -0.0, 1e300, "", {}, []] }),
            json!({ "name": TIME, "tags": [TIME], "made_at": TIME, "else": [[TIME]] }),
            json!({ "made_at": "1900-01-01T00:00:00.000Z", "b": "1969-12-31T23:59:59.999Z" }),
            json!({ "a": [[], [[]], { "[]": [] }, { "[][]": [[]] }, { "[]": 1, "a": 2 }, { "[": 1 }] }),
            json!({ "[]": [1], "a": { "[]": [[1]] } }),
        ] {
            assert_eq!(body(stored(&document)).unwrap(), document.to_string());
        }
    }

    #[test]
    fn a_time_is_stored_as_one_unless_its_index_is_one_of_texts() {
        let document =
            stored(&json!({ "name": TIME, "tags": [TIME], "made_at": TIME, "at": TIME }));
        let is_time =
            |name: &str| matches!(document[name].value_type, Some(ValueType::TimestampValue(_)));
        assert!(is_time("made_at") && is_time("at") && !is_time("name"));
        let Some(ValueType::ArrayValue(tags)) = &document["tags"].value_type else { panic!() };
        assert!(matches!(tags.values[0].value_type, Some(ValueType::StringValue(_))));
    }

    #[test]
    fn no_array_stands_right_in_another() {
        fn check(value: &Value, of_array: bool) {
            match value.value_type.as_ref().unwrap() {
                ValueType::ArrayValue(array) => {
                    assert!(!of_array);
                    for item in &array.values {
                        check(item, true);
                    }
                }
                ValueType::MapValue(map) => map.fields.values().for_each(|it| check(it, false)),
                _ => {}
            }
        }
        let document = stored(&json!({ "a": [[], [[], [[1]]], { "[]": [[]] }] }));
        for value in document.values() {
            check(value, false);
        }
    }

    #[test]
    fn a_document_tells_which_commits_wrote_it_and_hides_them() {
        let document = stored(&json!({ "a": 1 }));
        assert_eq!(text(&document, COMMITS), Some("b a"));
        assert_eq!(body(document).unwrap(), r#"{"a":1}"#);
    }
}
