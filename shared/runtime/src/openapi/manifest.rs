//! The manifest: every function, topic and collection, for Terraform to lay out
//! with `for_each`.

use serde_json::{Map, Value, json};

use crate::{Collection, Direction, Domain, Index, Trigger};

/// The longest name that a Cloud Run service may have.
const NAME_MOST: usize = 49;

/// The manifest of some domains.
pub fn manifest(domains: &[Domain]) -> Value {
    let (mut functions, mut topics, mut databases) = (Map::new(), Map::new(), Map::new());
    for domain in domains {
        for function in &domain.functions {
            let mut entry = json!({
                "domain": domain.name,
                "target": function.id,
                "access": function.access.as_str(),
            });
            match &function.trigger {
                Trigger::Http(operation) => {
                    let route = operation.route;
                    entry["http"] = json!({
                        "method": route.method.as_str(),
                        "path": route.path,
                        "internal": route.is_internal(),
                    });
                }
                Trigger::Event(subscription) => entry["topic"] = json!(subscription.kind),
                Trigger::Schedule(schedule) => entry["schedule"] = json!(schedule.cron),
            }
            let replaced = functions.insert(service_name(&function.id), entry);
            assert!(replaced.is_none(), "{} is there twice", function.id);
        }
        for event in &domain.events {
            topics.insert(event.kind.to_owned(), json!({ "domain": domain.name }));
        }
        let collections = domain.collections.iter().map(|it| (it.name.to_owned(), described(it)));
        let collections: Map<_, _> = collections.collect();
        databases.insert(domain.name.to_owned(), json!({ "collections": collections }));
    }
    json!({ "functions": functions, "topics": topics, "databases": databases })
}

/// The Cloud Run service of a function: `courses.list_sections` is `courses-list-sections`.
pub fn service_name(id: &str) -> String {
    let name = id.replace(['.', '_'], "-");
    assert!(name.len() <= NAME_MOST, "{name} is too long for a service's name");
    name
}

fn described(collection: &Collection) -> Value {
    let mut indexes: Vec<Value> = Vec::new();
    for index in collection.indexes {
        let fields = composite(index);
        // Firestore has an index of each single field by itself.
        if fields.len() > 1 && !indexes.contains(&json!(fields)) {
            indexes.push(json!(fields));
        }
    }
    json!({ "indexes": indexes, "expires": collection.expires })
}

/// The fields of a composite index; the document's name, which sorts what is
/// equal, Firestore adds by itself.
fn composite(index: &Index) -> Vec<Value> {
    let equals = index.equals.iter();
    let equals = equals.map(|field| json!({ "field_path": field, "order": "ASCENDING" }));
    let contains = index.contains.iter();
    let contains = contains.map(|field| json!({ "field_path": field, "array_config": "CONTAINS" }));
    let order = match index.direction {
        Direction::Ascending => "ASCENDING",
        Direction::Descending => "DESCENDING",
    };
    let sorts = json!({ "field_path": index.order, "order": order });
    equals.chain(contains).chain([sorts]).collect()
}
