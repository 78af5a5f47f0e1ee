//! Schemas of requests and answers, and how the two become one set of components.
//!
//! The same type may be taken in one shape and given in another: a field with a
//! default needn't be sent, but it is always answered. So there are two
//! generators; where their schemas of a type differ, the request's is renamed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::Operation;

/// Where components stand.
pub(super) const PLACE: &str = "#/components/schemas/";

/// A generator whose components stand where these documents have them.
pub(super) fn generator(settings: SchemaSettings) -> SchemaGenerator {
    let settings = settings.with(|it| {
        it.definitions_path = "/components/schemas".into();
        it.meta_schema = None;
    });
    settings.into_generator()
}

/// What a request's type says of it.
pub(super) struct Request {
    pub(super) description: String,
    /// The fields' schemas.
    pub(super) fields: BTreeMap<String, Value>,
    required: BTreeSet<String>,
}

impl Request {
    pub(super) fn is_required(&self, field: &str) -> bool {
        self.required.contains(field)
    }
}

/// The schema of an operation's request, taken apart.
pub(super) fn request(generator: &mut SchemaGenerator, operation: &Operation) -> Request {
    let schema = operation.request.schema(generator).to_value();
    let schema = resolved(&schema, generator.definitions()).clone();
    let description = schema["description"].as_str().map(plain).unwrap_or_default();
    let required = schema["required"].as_array().into_iter().flatten();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    Request {
        description,
        required: required.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        fields: fields
            .into_iter()
            .map(|(name, mut field)| {
                make_plain(&mut field);
                (name, field)
            })
            .collect(),
    }
}

/// What a reference means, or the schema itself.
pub(super) fn resolved<'a>(schema: &'a Value, definitions: &'a Map<String, Value>) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|it| it.strip_prefix(PLACE));
    name.and_then(|name| definitions.get(name)).unwrap_or(schema)
}

/// What a schema's type says of itself.
pub(super) fn description(schema: &Value, definitions: &Map<String, Value>) -> String {
    resolved(schema, definitions)["description"].as_str().map(plain).unwrap_or_default()
}

/// A doc comment's first sentence, without its period, and the rest.
pub(super) fn said(text: &str) -> (String, String) {
    let (paragraph, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = |at: &usize| {
        paragraph[at + 2..].chars().next().is_some_and(|next| next.is_uppercase() || next == '`')
    };
    let end = paragraph.match_indices(". ").map(|(at, _)| at).find(ends);
    let (sentence, more) =
        end.map_or((paragraph.as_str(), ""), |at| (&paragraph[..at], paragraph[at + 2..].trim()));
    let details = [more, rest.trim()].join("\n\n");
    (sentence.trim_end_matches('.').to_owned(), details.trim().to_owned())
}

/// A doc comment without links into the code: outside they lead nowhere.
fn plain(text: &str) -> String {
    text.replace("[`", "`").replace("`]", "`")
}

pub(super) fn make_plain(schema: &mut Value) {
    each_member(schema, &mut |name, value| {
        if let ("description", Value::String(text)) = (name, value) {
            *text = plain(text);
        }
    });
}

/// Takes the possibility of being nothing out of a schema.
pub(super) fn without_null(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.retain(|name, value| !(name == "default" && value.is_null()));
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|it| !it.is_null());
    }
    let choices = members.get("anyOf").and_then(Value::as_array).cloned();
    let some = choices.into_iter().flatten().filter(|it| it["type"] != "null").collect::<Vec<_>>();
    if let [only] = &some[..] {
        members.remove("anyOf");
        members.extend(only.as_object().cloned().unwrap_or_default());
    }
}

/// One set of components for what is taken and what is given: the requests
/// with their references put right, and the components that are referred to.
pub(super) fn join(
    mut asking: Value,
    mut taken: SchemaGenerator,
    mut given: SchemaGenerator,
) -> (Value, Map<String, Value>) {
    let (taken, mut components) = (taken.take_definitions(true), given.take_definitions(true));
    let mut renamed: BTreeSet<String> = BTreeSet::new();
    loop {
        // Whatever refers to something renamed is another thing too.
        let differs = |(name, schema): &(&String, &Value)| {
            let other = components.get(*name).is_some_and(|it| it != *schema);
            let refers = referred(schema, PLACE).iter().any(|it| renamed.contains(it));
            !renamed.contains(*name) && (other || (refers && components.contains_key(*name)))
        };
        let more: Vec<_> = taken.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            break;
        }
        renamed.extend(more);
    }
    // Requests themselves aren't components: their fields are parameters and bodies.
    let mut wanted = referred(&asking, PLACE);
    let mut done = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        let Some(schema) = taken.get(&name) else { continue };
        wanted.extend(
            referred(schema, PLACE).into_iter().filter(|it| !done.contains(it) && *it != name),
        );
        let mut schema = schema.clone();
        rename(&mut schema, &renamed);
        components.insert(input_name(&name, &renamed), schema);
        done.insert(name);
    }
    rename(&mut asking, &renamed);
    components.values_mut().for_each(make_plain);
    (asking, components)
}

fn input_name(name: &str, renamed: &BTreeSet<String>) -> String {
    if renamed.contains(name) { format!("{name}Input") } else { name.to_owned() }
}

fn rename(value: &mut Value, renamed: &BTreeSet<String>) {
    each_member(value, &mut |name, value| {
        if let ("$ref", Value::String(reference)) = (name, value)
            && let Some(component) = reference.strip_prefix(PLACE)
        {
            *reference = format!("{PLACE}{}", input_name(component, renamed));
        }
    });
}

/// The components of a place that something refers to.
pub(super) fn referred(value: &Value, place: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each_member(&mut value.clone(), &mut |name, value| {
        let component = value.as_str().and_then(|it| it.strip_prefix(place));
        found.extend(component.filter(|_| name == "$ref").map(str::to_owned));
    });
    found
}

/// Visits every member of every object in a value.
fn each_member(value: &mut Value, visit: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                visit(name, member);
                each_member(member, visit);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_member(item, visit)),
        _ => {}
    }
}
