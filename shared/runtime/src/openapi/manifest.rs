//! The manifest: every function, topic and collection, for Terraform to lay out
//! with `for_each`; who may run each function, and how large it is.

use contracts::Rate;
use serde_json::{Map, Value, json};

use crate::{
    Access, Collection, Direction, Domain, Function, Index, Operation, Trigger, service_name,
};

/// The manifest of some domains.
pub fn manifest(domains: &[Domain]) -> Value {
    let (mut functions, mut topics, mut databases) = (Map::new(), Map::new(), Map::new());
    let mut accounts = Map::new();
    for domain in domains {
        for function in &domain.functions {
            let replaced =
                functions.insert(service_name(&function.id), laid_out(function, domains));
            assert!(replaced.is_none(), "{} is there twice", function.id);
        }
        for event in &domain.events {
            topics.insert(event.kind.to_owned(), json!({ "domain": domain.name }));
        }
        let collections = domain.collections.iter().map(|it| (it.name.to_owned(), described(it)));
        let collections: Map<_, _> = collections.collect();
        databases.insert(domain.name.to_owned(), json!({ "collections": collections }));
        let calls = domain.calls.iter().map(|id| ((*id).to_owned(), json!(service_name(id))));
        let needs: Vec<_> = domain.needs.iter().map(|need| need.as_str()).collect();
        let account = json!({ "calls": calls.collect::<Map<_, _>>(), "needs": needs });
        accounts.insert(domain.name.to_owned(), account);
    }
    json!({
        "functions": functions, "topics": topics, "databases": databases, "domains": accounts,
    })
}

/// A function as a service of its own.
fn laid_out(function: &Function, domains: &[Domain]) -> Value {
    let (domain, _) = function.id.split_once('.').expect("a function's id is domain.verb");
    let mut entry = json!({
        "domain": domain,
        "target": function.id,
        "access": function.access.as_str(),
        "invoker": invoker(function),
        "size": Size::of(function).described(),
    });
    match &function.trigger {
        Trigger::Http(operation) => {
            let route = operation.route;
            entry["kind"] = json!("operation");
            entry["http"] = json!({
                "method": route.method.as_str(),
                "path": route.path,
                "internal": route.is_internal(),
            });
            if route.is_internal() {
                let calls = |it: &&Domain| it.calls.contains(&function.id.as_str());
                let callers: Vec<_> = domains.iter().filter(calls).map(|it| it.name).collect();
                entry["callers"] = json!(callers);
            }
        }
        Trigger::Event(subscription) => {
            entry["kind"] = json!("subscriber");
            entry["topic"] = json!(subscription.kind);
        }
        Trigger::Schedule(schedule) => {
            entry["kind"] = json!("job");
            entry["schedule"] = json!(schedule.cron);
        }
    }
    entry
}

/// Whose account may run a function: exactly one kind of caller for each.
fn invoker(function: &Function) -> &'static str {
    match &function.trigger {
        Trigger::Http(operation) if operation.route.is_internal() => "domains",
        Trigger::Http(operation) if is_open(function, operation) => "everyone",
        Trigger::Http(_) => "gateway",
        Trigger::Event(_) => "push",
        Trigger::Schedule(_) => "scheduler",
    }
}

/// Whether an operation is a public document, which is read without the gateway.
pub(super) fn is_open(function: &Function, operation: &Operation) -> bool {
    function.access == Access::Anyone && operation.route.is_well_known()
}

/// How large a function's container is, and how long it may take. These are
/// what its kind needs; Terraform may say otherwise for one of them.
struct Size {
    memory: &'static str,
    concurrency: u16,
    timeout_seconds: u16,
    most_instances: u16,
}

impl Size {
    fn of(function: &Function) -> Self {
        match &function.trigger {
            // A password's hash fills 19 MiB and a processor: a few at once, more instances sooner.
            Trigger::Http(operation) if operation.rate == Rate::Strict => {
                Self { memory: "512Mi", concurrency: 8, ..Self::OPERATION }
            }
            Trigger::Http(_) => Self::OPERATION,
            // An answer must be there before the bus stops waiting, at 60 seconds.
            Trigger::Event(_) => {
                Self { memory: "256Mi", concurrency: 40, timeout_seconds: 55, most_instances: 10 }
            }
            // One sweep at a time: a second one would only fight with the first. A job gives up
            // after 170 seconds, and the scheduler stops waiting after 180.
            Trigger::Schedule(_) => {
                Self { memory: "256Mi", concurrency: 1, timeout_seconds: 175, most_instances: 1 }
            }
        }
    }

    /// The runtime gives up after 30 seconds and says so; the platform's own
    /// cut, which says nothing, comes after that.
    const OPERATION: Self =
        Self { memory: "256Mi", concurrency: 80, timeout_seconds: 35, most_instances: 20 };

    fn described(&self) -> Value {
        json!({
            "cpu": "1",
            "memory": self.memory,
            "concurrency": self.concurrency,
            "timeout_seconds": self.timeout_seconds,
            "min_instances": 0,
            "max_instances": self.most_instances,
        })
    }
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
    // Firestore may leave the field that says when a document goes out of its own
    // indexes, unless someone asks by it alone: a field that only ever grows is a hot spot.
    let alone = |it: &Index| it.equals.is_empty() && it.contains.is_none();
    let asked =
        collection.indexes.iter().any(|it| alone(it) && Some(it.order) == collection.expires);
    json!({ "indexes": indexes, "expires": collection.expires, "expires_is_asked_for": asked })
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
