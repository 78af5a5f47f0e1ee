//! Reading JSON in such a way that, where it isn't what a type wants, it's known which field is to
//! blame.
//!
//! It says what `serde_path_to_error` says. That has to read all over again, by code of its own
//! for every type; here what is read is what is followed, so there's one reading of each type
//! in a program instead of two.

use std::{
    borrow::Cow,
    cell::OnceCell,
    fmt::{self, Display},
};

use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{Bound, Texts};

/// The innermost field that couldn't be read, once one couldn't.
#[derive(Debug, Default)]
pub(super) struct Trail(OnceCell<String>);

impl Trail {
    /// The path of that field, such as `items[2].title`: empty if it's the whole.
    pub(super) fn path(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }

    /// Remembers a place. Those around it come later, and don't count.
    fn note(&self, place: &Place<'_>) {
        self.0.get_or_init(|| place.to_string());
    }
}

/// Where something stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// It's the whole.
    Whole,
    /// The member of this name, or the variant.
    Member(&'a Place<'a>, &'a str),
    /// The element of this number.
    Element(&'a Place<'a>, usize),
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole => Ok(()),
            Self::Member(Self::Whole, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Something that is read at a place: a deserializer, a visitor or a seed.
#[derive(Clone, Copy)]
pub(super) struct At<'a, T> {
    it: T,
    place: &'a Place<'a>,
    trail: &'a Trail,
}

impl<'a, T> At<'a, T> {
    fn with<U>(&self, it: U) -> At<'a, U> {
        At { it, place: self.place, trail: self.trail }
    }

    fn noted<R, E>(&self, read: Result<R, E>) -> Result<R, E> {
        read.inspect_err(|_| self.trail.note(self.place))
    }
}

macro_rules! deserialize {
    (as_it_is: $($plain:ident)+; followed: $($followed:ident)+) => {
        $(fn $plain<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.it.$plain(visitor)
        })+
        $(fn $followed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.with(visitor);
            self.it.$followed(visitor)
        })+
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for At<'_, D> {
    type Error = D::Error;

    deserialize! {
        as_it_is:
            deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
            deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
            deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
            deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
            deserialize_identifier deserialize_ignored_any;
        followed: deserialize_any deserialize_option deserialize_seq deserialize_map
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.it.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.it.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.it.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.it.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.it.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.it.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.it.is_human_readable()
    }
}

macro_rules! visit {
    ($($visit:ident: $type:ty),+ $(,)?) => {
        $(fn $visit<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.it.$visit(value)
        })+
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for At<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.it.expecting(f)
    }

    visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64,
        visit_i128: i128, visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64,
        visit_u128: u128, visit_f32: f32, visit_f64: f64, visit_char: char, visit_str: &str,
        visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.it.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.it.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, it: D) -> Result<V::Value, D::Error> {
        let it = self.with(it);
        self.it.visit_some(it)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, it: D) -> Result<V::Value, D::Error> {
        let it = self.with(it);
        self.it.visit_newtype_struct(it)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rest: A) -> Result<V::Value, A::Error> {
        let elements = Elements { rest: self.with(rest), index: 0 };
        self.it.visit_seq(elements)
    }

    fn visit_map<A: MapAccess<'de>>(self, rest: A) -> Result<V::Value, A::Error> {
        let members = Members::new(&[], rest, self.place, self.trail);
        self.it.visit_map(members)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, it: A) -> Result<V::Value, A::Error> {
        let it = self.with(it);
        self.it.visit_enum(it)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for At<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, it: D) -> Result<S::Value, D::Error> {
        let Self { place, trail, .. } = self;
        let it = self.with(it);
        self.it.deserialize(it).inspect_err(|_| trail.note(place))
    }
}

struct Elements<'a, A> {
    rest: At<'a, A>,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let place = Place::Element(self.rest.place, self.index);
        self.index += 1;
        self.rest.it.next_element_seed(At { it: seed, place: &place, trail: self.rest.trail })
    }

    fn size_hint(&self) -> Option<usize> {
        self.rest.it.size_hint()
    }
}

/// An object's members, after some that come from elsewhere.
pub(super) struct Members<'a, 'de, A> {
    bound: std::slice::Iter<'a, Bound>,
    value: Option<&'a str>,
    key: Cow<'de, str>,
    rest: At<'a, A>,
}

impl<'a, A> Members<'a, '_, A> {
    pub(super) fn new(bound: &'a [Bound], rest: A, place: &'a Place<'a>, trail: &'a Trail) -> Self {
        let rest = At { it: rest, place, trail };
        Self { bound: bound.iter(), value: None, key: Cow::Borrowed(""), rest }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let At { place, trail, .. } = self.rest;
        self.key = if let Some((name, value)) = self.bound.next() {
            self.value = Some(value);
            name.clone()
        } else {
            let key = self.rest.it.next_key_seed(Name);
            match key.inspect_err(|_| trail.note(&Place::Member(place, "?")))? {
                Some(key) => key,
                None => return Ok(None),
            }
        };
        let key = named(seed, &self.key);
        key.map(Some).inspect_err(|_| trail.note(&Place::Member(place, &self.key)))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let place = Place::Member(self.rest.place, &self.key);
        let trail = self.rest.trail;
        match self.value.take() {
            Some(value) => named(seed, value).inspect_err(|_| trail.note(&place)),
            None => self.rest.it.next_value_seed(At { it: seed, place: &place, trail }),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.rest.it.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for At<'a, A> {
    type Error = A::Error;
    type Variant = Variant<'a, 'de, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let Self { place, trail, .. } = self;
        let (name, it) = self.it.variant_seed(Name)?;
        let read = named(seed, &name)?;
        Ok((read, Variant { it, name, place, trail }))
    }
}

pub(super) struct Variant<'a, 'de, A> {
    it: A,
    name: Cow<'de, str>,
    place: &'a Place<'a>,
    trail: &'a Trail,
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Variant<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        let place = Place::Member(self.place, &self.name);
        At { it: (), place: &place, trail: self.trail }.noted(self.it.unit_variant())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let place = Place::Member(self.place, &self.name);
        let at = At { it: (), place: &place, trail: self.trail };
        at.noted(self.it.newtype_variant_seed(at.with(seed)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let place = Place::Member(self.place, &self.name);
        let at = At { it: (), place: &place, trail: self.trail };
        at.noted(self.it.tuple_variant(len, at.with(visitor)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let place = Place::Member(self.place, &self.name);
        let at = At { it: (), place: &place, trail: self.trail };
        at.noted(self.it.struct_variant(fields, at.with(visitor)))
    }
}

/// Reads what stands in a text: a name, or a value from elsewhere.
fn named<'de, S: DeserializeSeed<'de>, E: Error>(seed: S, text: &str) -> Result<S::Value, E> {
    seed.deserialize(Texts::of(&[Cow::Borrowed(text)])).map_err(E::custom)
}

/// A name, of a member or a variant, as it stands there.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, it: D) -> Result<Self::Value, D::Error> {
        it.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use contracts::{Line, PageSize, TimeZone, Timestamp};
    use serde::{Deserialize, de::DeserializeOwned};
    use serde_json::{Value, value::RawValue};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it's only read")]
    struct Whole {
        name: Line<1, 5>,
        size: Option<PageSize>,
        parts: Option<Vec<Part>>,
        by_name: Option<BTreeMap<String, Part>>,
        pair: Option<(u8, Line<1, 5>)>,
        kind: Option<Kind>,
        told: Option<Told>,
        raw: Option<Box<RawValue>>,
        any: Option<Value>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it's only read")]
    struct Part {
        at: Timestamp,
        zone: Option<TimeZone>,
        inner: Option<Box<Part>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "it's only read")]
    enum Kind {
        Plain,
        Of(Part),
        Both(u8, bool),
        Named { part: Part },
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "as", rename_all = "snake_case")]
    #[expect(dead_code, reason = "it's only read")]
    enum Told {
        Short { text: Line<1, 5> },
        Long { part: Part },
    }

    /// What is read, and the path and the message of what isn't.
    fn read<T: DeserializeOwned>(json: &str) -> Result<T, (String, String)> {
        let trail = Trail::default();
        let mut reader = serde_json::Deserializer::from_str(json);
        let read = T::deserialize(At { it: &mut reader, place: &Place::Whole, trail: &trail });
        read.map_err(|error| (trail.path().to_owned(), words(&error)))
    }

    /// The same by the crate that is for it.
    fn read_by_the_crate<T: DeserializeOwned>(json: &str) -> Result<T, (String, String)> {
        let mut reader = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            (if path == "." { String::new() } else { path }, words(error.inner()))
        })
    }

    fn words(error: &serde_json::Error) -> String {
        let words = error.to_string();
        words.split(" at line ").next().unwrap_or_default().to_owned()
    }

    const GOOD: &str = r#"{"name":"a","size":5,
        "parts":[{"at":"2026-01-02T03:04:05.000Z","zone":"Europe/Paris",
            "inner":{"at":"2026-01-02T03:04:05.000Z"}}, {"at":"2026-01-02T03:04:05.000Z"}],
        "by_name":{"one":{"at":"2026-01-02T03:04:05.000Z","zone":"UTC"}},
        "pair":[1,"b"],
        "kind":{"named":{"part":{"at":"2026-01-02T03:04:05.000Z"}}},
        "told":{"as":"short","text":"c"},"raw":{"x":[1]},"any":{"y":[null,1.5]}}"#;

    #[test]
    fn what_is_good_is_read() {
        let whole: Whole = read(GOOD).expect("it's good");
        let by_the_crate: Whole = read_by_the_crate(GOOD).expect("it's good");
        assert_eq!(format!("{whole:?}"), format!("{by_the_crate:?}"));
    }

    #[test]
    fn whatever_breaks_the_same_field_is_blamed_as_by_the_crate_that_is_for_it() {
        let mut broken = Vec::new();
        // Every value becomes another, every name another, and every end of a text the end.
        let instead =
            ["7", "-1", "\"x\"", "null", "true", "[]", "{}", "[[1]]", "1e999", "\"\\ud800\""];
        for (start, end) in tokens(GOOD) {
            for other in instead {
                broken.push(format!("{}{other}{}", &GOOD[..start], &GOOD[end..]));
            }
            broken.push(format!("{}{}", &GOOD[..start], &GOOD[end..]));
            broken.push(GOOD[..start].to_owned());
        }
        for kind in [
            "\"plain\"",
            "\"of\"",
            "{\"of\":{}}",
            "{\"both\":[1,2]}",
            "{\"plain\":1}",
            "{}",
            "\"?\"",
        ] {
            broken.push(format!(r#"{{"name":"a","kind":{kind}}}"#));
            broken.push(format!(r#"{{"name":"a","told":{kind}}}"#));
        }
        let mut blamed = std::collections::BTreeSet::new();
        for json in &broken {
            let ours = read::<Whole>(json).map_err(|(path, words)| {
                blamed.insert(path.clone());
                (path, words)
            });
            let theirs = read_by_the_crate::<Whole>(json);
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{json}");
        }
        for path in
            ["name", "parts[0].inner.at", "by_name.one.zone", "pair[1]", "kind.named.part.at"]
        {
            assert!(blamed.contains(path), "{path} of {blamed:?}");
        }
    }

    /// Where texts and other words begin and end.
    fn tokens(json: &str) -> Vec<(usize, usize)> {
        let (mut all, mut start, mut in_text) = (Vec::new(), None, false);
        for (at, byte) in json.bytes().enumerate() {
            let is_word = in_text || byte.is_ascii_alphanumeric() || byte == b'.';
            match (byte, start) {
                (b'"', Some(begin)) if in_text => {
                    all.push((begin, at + 1));
                    (start, in_text) = (None, false);
                }
                (b'"', _) => (start, in_text) = (Some(at), true),
                (_, None) if is_word => start = Some(at),
                (_, Some(begin)) if !is_word => {
                    all.push((begin, at));
                    start = None;
                }
                _ => {}
            }
        }
        all
    }
}
