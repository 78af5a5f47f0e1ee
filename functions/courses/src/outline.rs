//! A course's outline: its modules, and what each is made of.

use runtime::prelude::*;

use crate::{forms::WebAddress, ids::Ids};

/// The most modules that an outline has.
const MODULES: usize = 50;
/// The most items that a module has.
const ITEMS: usize = 100;
/// The most items that an outline has: with everything else they fit into a
/// document of 1 MiB, the most that Firestore takes.
const ITEMS_IN_ALL: usize = 300;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Something to read.
    Document,
    /// A page elsewhere.
    Link,
    /// Something to watch.
    Video,
    /// A gathering.
    Meeting,
}

/// A part of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Module {
    /// Made by the platform; it stays when the module is changed.
    pub id: String,
    /// What the part is called.
    pub title: String,
    /// What it's made of, in order.
    pub items: Vec<Item>,
}

/// One thing of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// Made by the platform; it stays when the item is changed or moved.
    pub id: String,
    /// What it's called.
    pub title: String,
    /// What it is.
    pub kind: ItemKind,
    /// Where it is; shown to the course's instructors alone.
    pub url: Option<String>,
    /// Whether the course is completed only with it.
    #[serde(default = "unless_said")]
    pub required: bool,
}

/// An item is required unless it's said not to be.
const fn unless_said() -> bool {
    true
}

/// A module of a new course.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModule {
    /// What the part is called.
    title: Line<1, 200>,
    /// What it's made of, in order: at most 100, and 300 in the whole outline.
    #[serde(default)]
    #[schemars(length(max = 100))]
    items: Vec<NewItem>,
}

/// An item of a new course.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// What it's called.
    title: Line<1, 200>,
    /// What it is.
    kind: ItemKind,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<WebAddress>,
    /// Whether the course is completed only with it: so unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
}

/// A module as it's to be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisedModule {
    /// The module that is changed; a new one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What the part is called.
    title: Line<1, 200>,
    /// What it's made of, in order: at most 100, and 300 in the whole outline.
    #[serde(default)]
    #[schemars(length(max = 100))]
    items: Vec<RevisedItem>,
}

/// An item as it's to be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisedItem {
    /// The item that is changed or moved; a new one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What it's called.
    title: Line<1, 200>,
    /// What it is.
    kind: ItemKind,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<WebAddress>,
    /// Whether the course is completed only with it: so unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
}

impl From<NewModule> for RevisedModule {
    fn from(NewModule { title, items }: NewModule) -> Self {
        let item = |NewItem { title, kind, url, required }| RevisedItem {
            id: None,
            title,
            kind,
            url,
            required,
        };
        Self { id: None, title, items: items.into_iter().map(item).collect() }
    }
}

/// Revises an outline: what is sent with an id keeps it, what is new gets one.
pub fn revise(
    old: &[Module],
    sent: Vec<RevisedModule>,
    faults: &mut Faults,
    mut new_id: impl FnMut() -> String,
) -> Vec<Module> {
    check_size(&sent, faults);
    let mut modules = Ids::of(old.iter().map(|module| module.id.as_str()));
    let items = old.iter().flat_map(|module| &module.items);
    let mut items = Ids::of(items.map(|item| item.id.as_str()));
    let revised = sent.into_iter().enumerate().map(|(at, module)| {
        let field = format!("outline[{at}]");
        Module {
            id: modules.keep(module.id, &field, faults).unwrap_or_else(&mut new_id),
            title: module.title.into(),
            items: module
                .items
                .into_iter()
                .enumerate()
                .map(|(at, item)| Item {
                    id: items
                        .keep(item.id, &format!("{field}.items[{at}]"), faults)
                        .unwrap_or_else(&mut new_id),
                    title: item.title.into(),
                    kind: item.kind,
                    url: item.url.map(|url| url.to_string()),
                    required: item.required.unwrap_or_else(unless_said),
                })
                .collect(),
        }
    });
    revised.collect()
}

fn check_size(sent: &[RevisedModule], faults: &mut Faults) {
    faults.unless(
        sent.len() <= MODULES,
        "outline",
        "too-many",
        "An outline has at most 50 modules.",
        "Un temario tiene como máximo 50 módulos.",
    );
    for (at, module) in sent.iter().enumerate() {
        faults.unless(
            module.items.len() <= ITEMS,
            &format!("outline[{at}].items"),
            "too-many",
            "A module has at most 100 items.",
            "Un módulo tiene como máximo 100 elementos.",
        );
    }
    faults.unless(
        sent.iter().map(|module| module.items.len()).sum::<usize>() <= ITEMS_IN_ALL,
        "outline",
        "too-many-items",
        "An outline has at most 300 items in all.",
        "Un temario tiene como máximo 300 elementos en total.",
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn revised(old: &[Module], sent: &Value) -> (Vec<Module>, Faults) {
        let sent: Vec<RevisedModule> = serde_json::from_value(sent.clone()).unwrap();
        let (mut faults, mut last) = (Faults::new(), old.len() * 10);
        let new_id = || {
            last += 1;
            format!("n{last}")
        };
        let modules = revise(old, sent, &mut faults, new_id);
        (modules, faults)
    }

    #[test]
    fn ids_stay_when_things_are_changed_and_moved() {
        let sent = json!([
            { "title": "One", "items": [{ "title": "a", "kind": "video" }, { "title": "b", "kind": "link" }] },
            { "title": "Two" },
        ]);
        let (old, faults) = revised(&[], &sent);
        assert!(faults.is_empty());
        let ids = |modules: &[Module]| -> Vec<String> {
            let all = modules.iter().flat_map(|module| {
                std::iter::once(&module.id).chain(module.items.iter().map(|item| &item.id))
            });
            all.cloned().collect()
        };
        assert_eq!(ids(&old), ["n1", "n2", "n3", "n4"]);
        let sent = json!([
            { "id": "n4", "title": "Two", "items": [{ "id": "n2", "title": "A", "kind": "video" }] },
            { "title": "Three", "items": [{ "title": "c", "kind": "document" }] },
            { "id": "n1", "title": "One" },
        ]);
        let (new, faults) = revised(&old, &sent);
        assert!(faults.is_empty());
        assert_eq!(ids(&new), ["n4", "n2", "n21", "n22", "n1"]);
    }

    #[test]
    fn a_foreign_id_and_one_given_twice_are_refused() {
        let (old, _) = revised(&[], &json!([{ "title": "One" }]));
        let sent = json!([{ "id": "n1", "title": "a" }, { "id": "n1", "title": "b" }]);
        assert!(!revised(&old, &sent).1.is_empty());
        assert!(!revised(&old, &json!([{ "id": "n9", "title": "a" }])).1.is_empty());
        assert!(!revised(&[], &json!([{ "id": "n1", "title": "a" }])).1.is_empty());
    }

    #[test]
    fn an_outline_is_bounded() {
        let items = |number| json!({ "title": "m", "items": vec![json!({ "title": "i", "kind": "link" }); number] });
        let fine = |sent| revised(&[], &sent).1.is_empty();
        assert!(fine(json!([items(100), items(100), items(100)])));
        assert!(!fine(json!([items(101)])));
        assert!(!fine(json!([items(100), items(100), items(100), items(1)])));
        assert!(fine(json!(vec![items(0); 50])));
        assert!(!fine(json!(vec![items(0); 51])));
    }
}
