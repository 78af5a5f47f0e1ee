//! The files that are generated from the declarations.

use runtime::openapi;
use serde_json::Value;

use crate::domains;

/// What the platform is called in its documents.
pub(crate) const TITLE: &str = "Aula";

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is, from the workspace's root.
    pub path: &'static str,
    /// What it holds.
    pub content: String,
}

/// Every generated file, as it should be.
pub fn generated() -> Vec<File> {
    let domains = domains();
    let json = |path, document: &Value| File { path, content: pretty(document) };
    vec![
        json("openapi/platform.json", &openapi::document(TITLE, &domains)),
        json("openapi/events.json", &openapi::events(TITLE, &domains)),
        json("openapi/gateway.json", &openapi::gateway(TITLE, &domains)),
        json("infra/terraform/manifest.json", &openapi::manifest(&domains)),
        File { path: "docs/functions.md", content: openapi::functions(&domains) },
    ]
}

/// JSON for people, its members in the order of their names: whether a map of
/// `serde_json` keeps another order depends on what else is compiled.
fn pretty(document: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    format!("{:#}\n", sorted(document))
}
