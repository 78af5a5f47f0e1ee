//! HTTP transcoding: between a request's fields and path, query and body.
//!
//! A field named in the path template is read from the path; the others from
//! the JSON body, or from the query where a method has no body or an endpoint
//! takes its body as it was sent. They are read once, straight into the
//! request's type, by a reader that knows which field is to blame where that
//! fails: a second one would be another reading of every type in the program.

use std::{borrow::Cow, fmt::Write as _};

use anyhow::Context as _;
use contracts::{Endpoint, Route};
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::{
    Error, Result,
    client::Outgoing,
    error::{Said, invalid_field},
};

/// The deepest that JSON may nest.
const DEEPEST: usize = 32;

/// A request's fields as they arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// The fields that aren't in the body or the query: those of the path and
    /// of headers, a body that counts as it was sent, and at last `If-Match`.
    pub(crate) bound: &'a [(Cow<'static, str>, String)],
    /// The query, still encoded.
    pub(crate) query: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// Reads a request from its parts.
///
/// Clients may send `If-Match` with anything; where the request has no `etag`
/// it means nothing.
pub(crate) fn decode<E: Endpoint>(parts: Parts<'_>) -> Result<E> {
    let decoded = decode_strictly(parts);
    match parts.bound.split_last() {
        Some(((name, _), bound)) if decoded.is_err() && name == "etag" => {
            decode_strictly(Parts { bound, ..parts }).or(decoded)
        }
        _ => decoded,
    }
}

fn decode_strictly<E: Endpoint>(parts: Parts<'_>) -> Result<E> {
    if E::ROUTE.method.has_body() && E::BODY == contracts::Body::Json {
        let body = parts.json()?;
        let mut json = serde_json::Deserializer::from_slice(body);
        let fields = Body { bound: parts.bound, json: &mut json };
        // What serde_json says of a wrong type it sometimes says of broken JSON too.
        let is_json = || serde_json::from_slice::<IgnoredAny>(body).is_ok();
        let request: E = serde_path_to_error::deserialize(fields)
            .map_err(|error| blame(error.path(), error.inner(), is_json()))?;
        json.end().map_err(|error| explain(".", &error.to_string(), is_json()))?;
        Ok(request)
    } else {
        serde_path_to_error::deserialize(&Values::of(parts))
            .map_err(|error| blame(error.path(), error.inner(), true))
    }
}

impl<'a> Parts<'a> {
    /// The body, if it may be read as JSON, and nothing is where it doesn't belong.
    fn json(&self) -> Result<&'a [u8]> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { self.body };
        if is_too_deep(body) {
            let said = Said::new(
                format!("JSON may nest {DEEPEST} levels deep"),
                format!("el JSON puede anidar {DEEPEST} niveles"),
            );
            return Err(invalid_field(None, "too-deep", said).into());
        }
        if !self.query.is_empty() {
            return Err(no_query_here(self.query));
        }
        Ok(body)
    }
}

/// Says which field is to blame.
fn blame(path: &serde_path_to_error::Path, error: &dyn std::fmt::Display, is_json: bool) -> Error {
    explain(&path.to_string(), &error.to_string(), is_json)
}

/// A method with a body takes its fields there, so that nothing is overlooked.
fn no_query_here(query: &str) -> Error {
    let name = form(query).next().map(|(name, _)| name.into_owned());
    let said = Said::new(
        "it belongs into the JSON body, not into the query",
        "va en el cuerpo JSON, no en la consulta",
    );
    invalid_field(name, "not-in-the-query", said).into()
}

/// Whether JSON nests deeper than it may.
fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Turns what serde says into what a person can mend.
fn explain(path: &str, message: &str, is_json: bool) -> Error {
    let message = message.split(" at line ").next().unwrap_or(message);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| match path {
        "." | "" => Some(name.to_owned()),
        // The path ends with the field itself where serde knows it.
        _ if path == name || path.ends_with(&format!(".{name}")) => Some(path.to_owned()),
        _ => Some(format!("{path}.{name}")),
    };
    let at_path = || (path != "." && !path.is_empty()).then(|| path.to_owned());
    let (field, reason, said) = if message.starts_with("missing field") {
        (inside(quoted), "missing", Said::new("it is required", "es obligatorio"))
    } else if message.starts_with("unknown field") {
        let expected = message.split_once(", ").map_or("", |(_, expected)| expected);
        let said = Said::new(
            format!("there is no such field here; {expected}"),
            format!("no existe ese campo aquí; {expected}"),
        );
        (inside(quoted), "unknown-field", said)
    } else if message.starts_with("duplicate field") {
        (inside(quoted), "duplicate-field", Said::new("it is given twice", "se da dos veces"))
    } else if message.starts_with("unknown variant") {
        let expected = message.split_once(", ").map_or("", |(_, expected)| expected);
        (at_path(), "unknown-value", Said::new(expected, expected))
    } else if message.starts_with("invalid type") || message.starts_with("invalid value") {
        (at_path(), "wrong-type", Said::new(message, message))
    } else if let Some((reason, detail)) = reasoned(message) {
        (at_path(), reason, Said::new(detail, detail))
    } else if is_json {
        (at_path(), "wrong-type", Said::new("it must be something else", "debe ser otra cosa"))
    } else {
        let said =
            Said::new(format!("malformed JSON: {message}"), format!("JSON mal formado: {message}"));
        (None, "malformed-json", said)
    };
    invalid_field(field, reason, said).into()
}

/// The parts of a message of our own types: `reason: explanation`.
fn reasoned(message: &str) -> Option<(&str, &str)> {
    let (reason, detail) = message.split_once(": ")?;
    let named = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (named && !reason.is_empty()).then_some((reason, detail))
}

/// A JSON object's members after some that come from elsewhere.
struct Body<'a, 'de> {
    bound: &'a [(Cow<'static, str>, String)],
    json: &'a mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
}

impl<'de> Deserializer<'de> for Body<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.json.deserialize_map(Joined { bound: self.bound, visitor })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct Joined<'a, V> {
    bound: &'a [(Cow<'static, str>, String)],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Joined<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, rest: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(BoundThenRest { bound: self.bound.iter(), value: None, rest })
    }
}

struct BoundThenRest<'a, A> {
    bound: std::slice::Iter<'a, (Cow<'static, str>, String)>,
    value: Option<&'a str>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for BoundThenRest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.bound.next() {
            Some((name, value)) => {
                self.value = Some(value);
                let name: StrDeserializer<'_, A::Error> = name.as_ref().into_deserializer();
                seed.deserialize(name).map(Some)
            }
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.value.take() {
            Some(value) => {
                seed.deserialize(Texts(&[Cow::Borrowed(value)])).map_err(A::Error::custom)
            }
            None => self.rest.next_value_seed(seed),
        }
    }
}

/// Fields as texts, each with all the values that it was given.
struct Values<'a>(Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>);

impl<'a> Values<'a> {
    fn of(parts: Parts<'a>) -> Self {
        let mut fields: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)> = Vec::new();
        let bound = parts.bound.iter();
        let bound = bound.map(|(name, value)| (name.clone(), Cow::Borrowed(value.as_str())));
        for (name, value) in bound.chain(form(parts.query)) {
            match fields.iter_mut().find(|field| field.0 == name) {
                Some(field) => field.1.push(value),
                None => fields.push((name, vec![value])),
            }
        }
        Self(fields)
    }
}

/// The pairs of an encoded query.
fn form(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(name), decode_form(value))
    })
}

fn decode_form(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

impl<'de> Deserializer<'de> for &Values<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(ValuesAccess { fields: self.0.iter(), values: &[] })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct ValuesAccess<'a> {
    fields: std::slice::Iter<'a, (Cow<'a, str>, Vec<Cow<'a, str>>)>,
    values: &'a [Cow<'a, str>],
}

impl<'de> MapAccess<'de> for ValuesAccess<'_> {
    type Error = serde::de::value::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, values)) = self.fields.next() else { return Ok(None) };
        self.values = values;
        seed.deserialize(name.as_ref().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        seed.deserialize(Texts(self.values))
    }
}

/// The values of one field, to be read as whatever the field is.
#[derive(Clone, Copy)]
struct Texts<'a>(&'a [Cow<'a, str>]);

impl Texts<'_> {
    fn one(&self) -> Result<&str, serde::de::value::Error> {
        match self.0 {
            [value] => Ok(value),
            _ => Err(serde::de::Error::custom("given-twice: it may be given once")),
        }
    }
}

macro_rules! parsed {
    ($($method:ident => $visit:ident: $expected:literal),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let value = self.one()?.parse().map_err(|_| {
                Self::Error::custom(concat!("wrong-type: it must be ", $expected))
            })?;
            visitor.$visit(value)
        }
    )+};
}

impl<'de> Deserializer<'de> for Texts<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.one()?)
    }

    parsed! {
        deserialize_bool => visit_bool: "true or false",
        deserialize_i32 => visit_i32: "a whole number",
        deserialize_i64 => visit_i64: "a whole number",
        deserialize_u8 => visit_u8: "a small whole number from 0 on",
        deserialize_u16 => visit_u16: "a whole number from 0 on",
        deserialize_u32 => visit_u32: "a whole number from 0 on",
        deserialize_u64 => visit_u64: "a whole number from 0 on",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.iter().map(AsRef::<str>::as_ref)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let value: StrDeserializer<'_, Self::Error> = self.one()?.into_deserializer();
        value.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Writes a request as its parts.
pub(crate) fn encode<E: Endpoint>(request: &E) -> anyhow::Result<Outgoing> {
    outgoing(E::OPERATION, E::ROUTE, serde_json::to_value(request)?)
}

fn outgoing(operation: &'static str, route: Route, request: Value) -> anyhow::Result<Outgoing> {
    let Value::Object(mut fields) = request else {
        anyhow::bail!("{operation} isn't a struct with fields");
    };
    let mut path = Vec::new();
    for name in route.path_fields() {
        let value = fields.remove(name);
        let value = value.as_ref().and_then(Value::as_str);
        let value = value.with_context(|| format!("{operation}: no text {name}"))?;
        path.push((Cow::Borrowed(name), value.to_owned()));
    }
    let (mut query, mut body) = (String::new(), Vec::new());
    if route.method.has_body() {
        body = serde_json::to_vec(&fields)?;
    } else {
        for (name, value) in fields {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            let value =
                percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let separator = if query.is_empty() { "" } else { "&" };
            write!(query, "{separator}{name}={value}").context("strings grow")?;
        }
    }
    Ok(Outgoing { operation, route, path, query, body: body.into() })
}

#[cfg(test)]
mod tests {
    use contracts::{Language, PageSize, Route};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Rename {
        thing_id: String,
        name: contracts::Line<1, 5>,
        tags: Option<Vec<String>>,
    }

    impl Endpoint for Rename {
        const OPERATION: &'static str = "things.rename";
        const ROUTE: Route = Route::update("/v1/things/{thing_id}");
        type Response = ();
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct List {
        #[serde(default)]
        page_size: PageSize,
        tag: Option<String>,
        full: Option<bool>,
    }

    impl Endpoint for List {
        const OPERATION: &'static str = "things.list";
        const ROUTE: Route = Route::get("/v1/things");
        type Response = ();
    }

    fn rename(body: &str) -> Result<Rename> {
        let bound = [(Cow::Borrowed("thing_id"), "t1".to_owned())];
        decode(Parts { bound: &bound, query: "", body: body.as_bytes() })
    }

    fn list(query: &str) -> Result<List> {
        decode(Parts { bound: &[], query, body: b"" })
    }

    fn blamed<T: std::fmt::Debug>(result: Result<T>) -> (Option<String>, String) {
        let details = result.unwrap_err().into_refusal().into_details(Language::En, "");
        let error = &details.errors[0];
        (error.field.clone(), error.reason.clone())
    }

    #[test]
    fn path_and_body_make_one_request() {
        let request = rename(r#"{"name":"new","tags":["a"]}"#).unwrap();
        assert_eq!((request.thing_id.as_str(), &*request.name), ("t1", "new"));
        let outgoing = encode(&request).unwrap();
        assert_eq!(&*outgoing.body, br#"{"name":"new","tags":["a"]}"#);
    }

    #[test]
    fn the_field_to_blame_is_named() {
        let cases = [
            (r#"{"name":"too long"}"#, Some("name"), "too-long"),
            (r#"{"name":7}"#, Some("name"), "wrong-type"),
            (r#"{"tags":[]}"#, Some("name"), "missing"),
            (r#"{"name":"a","tags":[1]}"#, Some("tags[0]"), "wrong-type"),
            (r#"{"name":"a","nome":"b"}"#, Some("nome"), "unknown-field"),
            (r#"{"name":"a","name":"b"}"#, Some("name"), "duplicate-field"),
            (r#"{"name":"a","thing_id":"t2"}"#, Some("thing_id"), "duplicate-field"),
            (r#"{"name":"a""#, None, "malformed-json"),
            (r#"{"name":"a"} x"#, None, "malformed-json"),
        ];
        for (body, field, reason) in cases {
            let expected = (field.map(str::to_owned), reason.to_owned());
            assert_eq!(blamed(rename(body)), expected, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        assert_eq!(blamed(rename(&deep)), (None, "too-deep".to_owned()));
    }

    #[test]
    fn an_etag_that_is_not_asked_for_means_nothing() {
        let bound = [("thing_id", "t1"), ("etag", "7")];
        let bound = bound.map(|(name, value)| (Cow::Borrowed(name), value.to_owned()));
        let read = |body: &[u8]| decode::<Rename>(Parts { bound: &bound, query: "", body });
        assert_eq!(read(br#"{"name":"new"}"#).unwrap().thing_id, "t1");
        assert!(read(br#"{"name":7}"#).is_err());
    }

    #[test]
    fn a_query_is_read_by_its_fields_types() {
        let request = list("page_size=5&tag=a%20b+c&full=true").unwrap();
        assert_eq!((request.page_size.get(), request.full), (5, Some(true)));
        assert_eq!(request.tag.as_deref(), Some("a b c"));
        assert_eq!(list("").unwrap().page_size.get(), 20);
        let cases = [
            ("page_size=0", "page_size", "out-of-range"),
            ("page_size=x", "page_size", "wrong-type"),
            ("full=maybe", "full", "wrong-type"),
            ("tag=a&tag=b", "tag", "given-twice"),
            ("color=red", "color", "unknown-field"),
        ];
        for (query, field, reason) in cases {
            assert_eq!(blamed(list(query)), (Some(field.to_owned()), reason.to_owned()), "{query}");
        }
    }
}
