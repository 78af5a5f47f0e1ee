//! What a document weighs, counted as Firestore counts it, and whether it can
//! be stored at all. The text is walked through once; nothing is built of it
//! but what stands in its indexes.

use std::fmt;

use anyhow::ensure;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{
    Key,
    collections::{Field, is_reserved},
};

/// The most that a document may weigh.
const DOCUMENT_MOST: u64 = 1 << 20;

/// The most bytes of one text.
const TEXT_MOST: usize = (1 << 20) - 89;

/// The most bytes of a member's name.
const NAME_MOST: usize = 1500;

/// How deep arrays and objects may stand in one another.
const LEVELS_MOST: u8 = 20;

/// What Firestore counts for a document beside its name and its members, and
/// what its adapter adds: the member `_commit` with eight ids of twelve letters.
const OWN: u64 = 16 + 32 + 8 + 8 * 13;

/// What a document with this text weighs, if it can be stored.
pub(super) fn of(key: &Key, body: &str, fields: &[Field]) -> anyhow::Result<u64> {
    let name = key.collection.len() + key.id.len() + 2;
    let mut reader = serde_json::Deserializer::from_str(body);
    let weight = reader.deserialize_map(Document(fields))? + name as u64 + OWN;
    reader.end()?;
    ensure!(weight <= DOCUMENT_MOST, "it weighs {weight} bytes, which is over {DOCUMENT_MOST}");
    Ok(weight)
}

/// The members of a document.
struct Document<'f>(&'f [Field]);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut weight = 0;
        while let Some((name, field)) = members.next_key_seed(Name { fields: self.0, top: true })? {
            weight += name;
            let Some(Field { name, kind }) = field else {
                weight += members.next_value_seed(Inside { levels: 0, of_array: false })?;
                continue;
            };
            let value: Value = members.next_value()?;
            if !kind.takes(&value) {
                let expected = kind.expected();
                let told = format!("{name} is indexed, so it has to be {expected}");
                return Err(A::Error::custom(told));
            }
            let inside = Inside { levels: 0, of_array: false };
            weight += inside.deserialize(&value).map_err(A::Error::custom)?;
        }
        Ok(weight)
    }
}

/// The name of a member: what it weighs and, at the top of a document, which indexed field it is.
struct Name<'f> {
    fields: &'f [Field],
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = (u64, Option<Field>);

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = (u64, Option<Field>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let told = |because: &str| Err(E::custom(format!("no member can be named so: {because}")));
        if name.is_empty() {
            return told("it's empty");
        }
        if name.len() > NAME_MOST {
            return told("it's over 1500 bytes");
        }
        if is_reserved(name) || (self.top && name.starts_with('_')) {
            return told("the store keeps such names for itself");
        }
        let field = self.fields.iter().find(|field| field.name == name).copied();
        Ok((name.len() as u64 + 1, field))
    }
}

/// A value within a document, so many levels deep.
#[derive(Clone, Copy)]
struct Inside {
    levels: u8,
    /// Whether it's an item of an array: an array there is kept in an object, see
    /// the Firestore adapter, and that costs a level and three bytes.
    of_array: bool,
}

impl Inside {
    fn enter<E: Error>(self, levels: u8, of_array: bool) -> Result<Self, E> {
        let levels = self.levels + levels;
        if levels > LEVELS_MOST {
            return Err(E::custom("arrays and objects stand in one another over 20 levels deep"));
        }
        Ok(Self { levels, of_array })
    }
}

impl<'de> DeserializeSeed<'de> for Inside {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<u64, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(1)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u64, E> {
        Ok(8)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        match i64::try_from(number) {
            Ok(_) => Ok(8),
            Err(_) => Err(E::custom(format!("{number} has more than 64 bits with its sign"))),
        }
    }

    fn visit_f64<E>(self, _: f64) -> Result<u64, E> {
        Ok(8)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        if text.len() > TEXT_MOST {
            return Err(E::custom(format!("a text is over {TEXT_MOST} bytes")));
        }
        Ok(text.len() as u64 + 1)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let (levels, mut weight) = if self.of_array { (2, 3) } else { (1, 0) };
        let inside = self.enter(levels, true)?;
        while let Some(item) = items.next_element_seed(inside)? {
            weight += item;
        }
        Ok(weight)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let inside = self.enter(1, false)?;
        let mut weight = 0;
        while let Some((name, _)) = members.next_key_seed(Name { fields: &[], top: false })? {
            weight += name + members.next_value_seed(inside)?;
        }
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::collections::Kind;

    const FIELDS: &[Field] = &[Field { name: "rank", kind: Kind::Scalar }];

    fn weigh(body: &str) -> Result<u64, String> {
        let key = Key { collection: "things", id: "a".to_owned() };
        let bare = of(&key, "{}", FIELDS).unwrap();
        of(&key, body, FIELDS).map(|weight| weight - bare).map_err(|error| error.to_string())
    }

    #[test]
    fn a_document_weighs_what_firestore_counts() {
        assert_eq!(weigh(r#"{ "a": null, "bc": true }"#), Ok(2 + 1 + 3 + 1));
        assert_eq!(weigh(r#"{ "a": 1, "b": -1, "c": 0.5 }"#), Ok(3 * (2 + 8)));
        assert_eq!(weigh(r#"{ "a": "ü", "b": "\u00fc" }"#), Ok(2 * (2 + 3)));
        assert_eq!(weigh(r#"{ "a": { "b": [1, 2, "c"] } }"#), Ok(2 + 2 + 8 + 8 + 2));
        assert_eq!(weigh(r#"{ "a": [[1]] }"#), Ok(2 + 3 + 8));
        assert_eq!(weigh(r#"{ "rank": 1 }"#), Ok(5 + 8));
    }

    #[test]
    fn what_cannot_be_stored_says_why() {
        for (body, because) in [
            (r#"{ "": 1 }"#, "it's empty"),
            (r#"{ "a": { "__b__": 1 } }"#, "for itself"),
            (r#"{ "_commit": 1 }"#, "for itself"),
            (r#"{ "a": [18446744073709551615] }"#, "more than 64 bits"),
            (r#"{ "rank": 0.5 }"#, "rank is indexed"),
            (r#"{ "a": 1 } {}"#, "trailing"),
        ] {
            let said = weigh(body).unwrap_err();
            assert!(said.contains(because), "{body}: {said}");
        }
        assert!(weigh(r#"{ "a": { "_b": 1 } }"#).is_ok());
    }

    #[test]
    fn twenty_levels_are_the_most() {
        let objects = |levels| format!("{}{{}}{}", r#"{ "a":"#.repeat(levels), "}".repeat(levels));
        assert!(weigh(&objects(20)).is_ok());
        assert!(weigh(&objects(21)).unwrap_err().contains("20 levels"));
        let arrays = |levels| format!(r#"{{ "a": {}{} }}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(weigh(&arrays(10)).is_ok());
        assert!(weigh(&arrays(11)).unwrap_err().contains("20 levels"));
    }
}
