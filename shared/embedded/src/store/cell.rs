//! What an index holds of a document: the values of a few fields, read from
//! its text without building anything of the rest.

use std::{collections::BTreeSet, fmt};

use anyhow::Context as _;
use runtime::{Field, Kind};
use rusqlite::{
    ToSql,
    types::{FromSqlError, ToSqlOutput, ValueRef},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// What stands in the column of a field.
///
/// The order here is the order of the columns: SQLite sorts NULL, then
/// numbers, then texts byte by byte, then blobs. A boolean is kept as a blob of
/// one byte, so that it's never taken for the number 0 or 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cell {
    /// The field isn't there, or it's null: then the document isn't in the lists that need it.
    Absent,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// The texts of an array, each once. They are kept beside the document so
    /// that its entries can be found again when it changes.
    Texts(BTreeSet<String>),
}

impl Cell {
    /// The cell of a field with this value; nothing, if an index can't hold that.
    fn of(kind: Kind, value: Value) -> Option<Self> {
        Some(match (kind, value) {
            (_, Value::Null) => Self::Absent,
            (Kind::Scalar, Value::Bool(it)) => Self::Boolean(it),
            (Kind::Scalar, Value::Number(it)) => Self::Integer(it.as_i64()?),
            (Kind::Scalar, Value::String(it)) => Self::Text(it),
            (Kind::Time, Value::String(it)) => runtime::time(&it).map(|_| Self::Text(it))?,
            (Kind::Texts, Value::Array(items)) => {
                let text = |item| if let Value::String(it) = item { Some(it) } else { None };
                Self::Texts(items.into_iter().map(text).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// The cell that a query asks for.
    pub fn asked(value: &Value) -> anyhow::Result<Self> {
        let cell = Self::of(Kind::Scalar, value.clone()).filter(|cell| *cell != Self::Absent);
        cell.with_context(|| format!("a query can't ask for {value}: no index holds it"))
    }

    /// The cell as it was kept in a column.
    pub fn kept(kind: Kind, column: ValueRef<'_>) -> anyhow::Result<Self> {
        Ok(match (kind, column) {
            (_, ValueRef::Null) => Self::Absent,
            (Kind::Texts, column) => Self::Texts(serde_json::from_str(column.as_str()?)?),
            (_, ValueRef::Integer(it)) => Self::Integer(it),
            (_, ValueRef::Text(_)) => Self::Text(column.as_str()?.to_owned()),
            (_, ValueRef::Blob(it)) => Self::Boolean(it == TRUE),
            (_, ValueRef::Real(_)) => Err(FromSqlError::InvalidType)?,
        })
    }

    /// The value that a cursor carries.
    pub fn into_value(self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Integer(it) => it.into(),
            Self::Text(it) => it.into(),
            Self::Boolean(it) => it.into(),
            Self::Texts(it) => it.into_iter().collect(),
        }
    }
}

const FALSE: &[u8] = &[0];
const TRUE: &[u8] = &[1];

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Absent => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Integer(it) => ToSqlOutput::from(*it),
            Self::Text(it) => ToSqlOutput::from(it.as_str()),
            Self::Boolean(it) => {
                ToSqlOutput::Borrowed(ValueRef::Blob(if *it { TRUE } else { FALSE }))
            }
            Self::Texts(it) => {
                let texts = serde_json::to_string(it).expect("texts are JSON");
                ToSqlOutput::from(texts)
            }
        })
    }
}

/// The cells of a document, one a field. The text has to be a JSON object, all
/// of it: what can't be read back isn't stored.
pub(super) fn cells(body: &str, fields: &[Field]) -> anyhow::Result<Vec<Cell>> {
    let mut reader = serde_json::Deserializer::from_str(body);
    let cells = reader.deserialize_map(Members(fields))?;
    reader.end()?;
    Ok(cells)
}

/// Reads the members of a JSON object that are fields, and skips the others.
struct Members<'f>(&'f [Field]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Cell>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut cells = vec![Cell::Absent; self.0.len()];
        while let Some(place) = members.next_key_seed(Name(self.0))? {
            let Some(place) = place else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let Field { name, kind } = self.0[place];
            cells[place] = Cell::of(kind, members.next_value()?).ok_or_else(|| {
                A::Error::custom(format!("{name} is indexed, so it has to be {}", kind.expected()))
            })?;
        }
        Ok(cells)
    }
}

/// Reads the name of a member: which field it is, if it is one.
struct Name<'f>(&'f [Field]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|field| field.name == name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: &[Field] = &[
        Field { name: "rank", kind: Kind::Scalar },
        Field { name: "tags", kind: Kind::Texts },
        Field { name: "ends_at", kind: Kind::Time },
    ];

    fn read(body: &str) -> Result<Vec<Cell>, String> {
        cells(body, FIELDS).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_top_of_a_document_is_read() {
        let body = r#"{ "deep": { "rank": 1 }, "tags": ["b", "a", "b"], "r\u0061nk": true }"#;
        let texts = ["a", "b"].map(str::to_owned).into();
        let expected = vec![Cell::Boolean(true), Cell::Texts(texts), Cell::Absent];
        assert_eq!(read(body), Ok(expected));
    }

    #[test]
    fn what_an_index_cannot_hold_is_refused_by_name() {
        for (body, because) in [
            (r#"{ "rank": 0.5 }"#, "rank is indexed"),
            (r#"{ "rank": 9223372036854775808 }"#, "rank is indexed"),
            (r#"{ "rank": [1] }"#, "rank is indexed"),
            (r#"{ "tags": "a" }"#, "tags is indexed"),
            (r#"{ "tags": ["a", 1] }"#, "tags is indexed"),
            (r#"{ "ends_at": "2026-11-22T03:00:00Z" }"#, "ends_at is indexed"),
            (r#"{ "ends_at": 5 }"#, "ends_at is indexed"),
        ] {
            let said = read(body).unwrap_err();
            assert!(said.starts_with(because), "{body}: {said}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in ["", "[]", "1", "null", "{", "{} {}", r#"{ "x": tru }"#, "{\"x\": \"\n\"}"] {
            assert!(read(body).is_err(), "{body}");
        }
        assert!(read("{}").is_ok());
    }

    #[test]
    fn a_query_asks_for_a_text_a_whole_number_or_a_boolean() {
        assert_eq!(Cell::asked(&json!(i64::MIN)).unwrap(), Cell::Integer(i64::MIN));
        for value in [json!(null), json!(0.5), json!([]), json!({}), json!(u64::MAX)] {
            assert!(Cell::asked(&value).is_err(), "{value}");
        }
    }
}
