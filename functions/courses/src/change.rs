//! What a `PATCH` says of a field: nothing, or what it is to be.

use std::borrow::Cow;

use runtime::prelude::*;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserializer, Serializer};

/// What a `PATCH` says of a field. A field that is absent stays as it is; one
/// that may be empty, a `Change<Option<_>>`, is emptied by null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It's to be this.
    To(T),
}

impl<T> Change<T> {
    /// Whether the field stays as it is.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// What the field is to be, if it's to change.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::To(value) => Some(value),
        }
    }

    /// What the field is to be, turned into something else.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Change<U> {
        self.value().map(turn).into()
    }

    /// Makes the change.
    pub fn apply(self, field: &mut T) {
        if let Self::To(value) = self {
            *field = value;
        }
    }
}

impl<T> From<Option<T>> for Change<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::To)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::To)
    }
}

impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => serializer.serialize_none(),
            Self::To(value) => value.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Patch {
        #[serde(default, skip_serializing_if = "Change::is_keep")]
        name: Change<Line<1, 9>>,
        #[serde(default, skip_serializing_if = "Change::is_keep")]
        #[schemars(range(min = 1, max = 5))]
        most: Change<Option<u32>>,
    }

    fn read(json: serde_json::Value) -> serde_json::Result<Patch> {
        serde_json::from_value(json)
    }

    #[test]
    fn absent_is_unchanged_and_null_empties_only_what_may_be_empty() {
        let nothing = read(json!({})).unwrap();
        assert_eq!(nothing, Patch { name: Change::Keep, most: Change::Keep });
        assert_eq!(serde_json::to_value(&nothing).unwrap(), json!({}));
        assert_eq!(read(json!({ "most": null })).unwrap().most, Change::To(None));
        assert_eq!(read(json!({ "most": 3 })).unwrap().most, Change::To(Some(3)));
        assert!(read(json!({ "name": null })).is_err());
    }

    #[test]
    fn the_schema_says_what_may_be_null_and_requires_nothing() {
        let schema = serde_json::to_value(schemars::schema_for!(Patch)).unwrap();
        assert_eq!(schema["properties"]["name"]["type"], "string");
        let most = &schema["properties"]["most"];
        assert_eq!(most["type"], json!(["integer", "null"]));
        assert_eq!((&most["minimum"], &most["maximum"]), (&json!(1), &json!(5)));
        assert_eq!((schema.get("required"), most.get("default")), (None, None));
    }
}
