//! What the documents say, on a small domain of things.

use contracts::{Endpoint, Event, Idempotency, Page, PageSize, Problem, Rate, Route};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::{Admin, Anyone, Context, Document, Index, Job, Need, Result, System, User};

/// Where a thing is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(default)]
    shelf: u32,
}

/// A thing. It is somewhere.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Thing {
    id: String,
    place: Option<Place>,
}

const TAKEN: Problem = Problem::conflict("taken", "It is taken.", "Está ocupado.");

/// Rename a thing. The old name is gone for good.
///
/// As [`Thing`] has it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RenameThing {
    /// Which one.
    thing_id: String,
    /// The new name.
    name: contracts::Line<1, 9>,
    place: Option<Place>,
    etag: Option<String>,
}

impl Endpoint for RenameThing {
    const OPERATION: &'static str = "things.rename";
    const ROUTE: Route = Route::update("/v1/things/{thing_id}");
    const PROBLEMS: &'static [Problem] = &[TAKEN];
    type Response = Thing;
}

/// List things.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListThings {
    /// The words to look for.
    q: Option<String>,
    #[serde(default)]
    page_size: PageSize,
    page_token: Option<String>,
}

impl Endpoint for ListThings {
    const OPERATION: &'static str = "things.list";
    const ROUTE: Route = Route::get("/v1/things");
    type Response = Page<Thing>;
}

/// Make a thing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakeThing {}

impl Endpoint for MakeThing {
    const OPERATION: &'static str = "things.make";
    const ROUTE: Route = Route::create("/v1/things");
    type Response = Thing;
}

/// Take a thing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TakeThing {
    thing_id: String,
}

impl Endpoint for TakeThing {
    const OPERATION: &'static str = "things.take";
    const ROUTE: Route = Route::accept("/v1/things/{thing_id}/take");
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    const RATE: Rate = Rate::Strict;
    type Response = ();
}

/// Count things, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct CountThings {}

impl Endpoint for CountThings {
    const OPERATION: &'static str = "things.count";
    const ROUTE: Route = Route::get("/internal/things/count");
    type Response = ();
}

/// Get the keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetKeys {}

impl Endpoint for GetKeys {
    const OPERATION: &'static str = "things.keys";
    const ROUTE: Route = Route::get("/.well-known/jwks.json");
    type Response = ();
}

/// A thing was taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Taken {
    thing: Thing,
}

impl Event for Taken {
    const TYPE: &'static str = "things.taken.v1";
    fn subject(&self) -> String {
        self.thing.id.clone()
    }
}

#[derive(Default)]
struct Tidy;

impl Job for Tidy {
    const NAME: &'static str = "things.tidy";
    const SCHEDULE: &'static str = "* * * * *";
}

impl Document for Thing {
    const COLLECTION: &'static str = "things";
    const INDEXES: &'static [Index] = &[
        Index::ascending("name"),
        Index::descending("made_at").equals(&["state"]).containing("tags"),
    ];
    fn key(&self) -> String {
        self.id.clone()
    }
}

async fn rename(_: Context<User>, _: RenameThing) -> Result<Thing> {
    Err(TAKEN.into())
}

async fn list(_: Context<Anyone>, _: ListThings) -> Result<Page<Thing>> {
    Ok(Page { items: Vec::new(), next_page_token: None })
}

async fn make(_: Context<User>, _: MakeThing) -> Result<Thing> {
    Err(TAKEN.into())
}

async fn take(_: Context<Admin>, _: TakeThing) -> Result<()> {
    Ok(())
}

async fn count(_: Context<System>, _: CountThings) -> Result<()> {
    Ok(())
}

async fn keys(_: Context<Anyone>, _: GetKeys) -> Result<()> {
    Ok(())
}

async fn on_taken(_: Context<System>, _: Taken) -> Result<()> {
    Ok(())
}

async fn tidy(_: Context<System>, _: Tidy) -> Result<()> {
    Ok(())
}

fn things() -> Vec<Domain> {
    vec![
        Domain::new("things")
            .collection::<Thing>()
            .event::<Taken>()
            .operation(rename)
            .operation(list)
            .operation(make)
            .operation(take)
            .operation(count)
            .operation(keys)
            .subscriber(on_taken)
            .job(tidy),
    ]
}

fn names(parameters: &Value) -> Vec<String> {
    let name = |it: &Value| {
        it["name"].as_str().or_else(|| it["$ref"].as_str()?.rsplit('/').next()).map(str::to_owned)
    };
    parameters.as_array().into_iter().flatten().filter_map(name).collect()
}

#[test]
fn a_request_becomes_parameters_and_a_body() {
    let api = document("Things", &things());
    let rename = &api["paths"]["/v1/things/{thing_id}"]["patch"];
    assert_eq!(rename["operationId"], "things.rename");
    assert_eq!(rename["summary"], "Rename a thing");
    let description = rename["description"].as_str().unwrap();
    assert!(description.starts_with("The old name is gone for good.\n\nAs `Thing` has it."));
    assert_eq!(names(&rename["parameters"]), ["If-Match-required", "thing_id", "Accept-Language"]);
    assert_eq!(rename["parameters"][1]["description"], "Which one.");
    let body = &rename["requestBody"];
    assert_eq!(body["required"], true);
    let schema = &body["content"]["application/json"]["schema"];
    assert_eq!(schema["required"], json!(["name"]));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["name"]["maxLength"], 9);

    let list = &api["paths"]["/v1/things"]["get"];
    assert_eq!(list["security"], json!([{}, { "bearer": [] }]));
    let q = &list["parameters"][2];
    assert_eq!((&q["in"], &q["schema"]["type"]), (&json!("query"), &json!("string")));
    let take = &api["paths"]["/v1/things/{thing_id}/take"]["post"];
    assert_eq!(take["requestBody"], Value::Null);
    assert!(names(&take["parameters"]).contains(&"Idempotency-Key-required".to_owned()));
}

#[test]
fn what_is_made_links_to_what_can_be_done_with_it() {
    let api = document("Things", &things());
    let links = &api["paths"]["/v1/things"]["post"]["responses"]["201"]["links"];
    let to = |operation: &str| json!({ "operationId": operation, "parameters": { "thing_id": "$response.body#/id" } });
    let expected = json!({
        "things.rename": to("things.rename"), "things.take": to("things.take"),
    });
    assert_eq!(links, &expected);
}

#[test]
fn every_status_names_its_problems() {
    let api = document("Things", &things());
    let responses = &api["paths"]["/v1/things/{thing_id}"]["patch"]["responses"];
    let statuses: Vec<_> = responses.as_object().unwrap().keys().collect();
    let expected = [
        "200", "400", "401", "403", "404", "409", "412", "413", "415", "428", "429", "500", "503",
        "504",
    ];
    assert_eq!(statuses, expected);
    let schema = &responses["409"]["content"]["application/problem+json"]["schema"];
    assert_eq!(schema["properties"]["reason"]["enum"], json!(["taken", "try-again"]));
    assert_eq!(responses["415"]["$ref"], "#/components/responses/not-json");
    let take = &api["paths"]["/v1/things/{thing_id}/take"]["post"]["responses"];
    assert_eq!(take["202"]["content"], Value::Null);
    assert_eq!(take["422"]["$ref"], "#/components/responses/idempotency-key-reused");
}

#[test]
fn a_type_that_is_taken_otherwise_than_it_is_given_is_two_components() {
    let api = document("Things", &things());
    let schemas = &api["components"]["schemas"];
    assert_eq!(schemas["Place"]["required"], json!(["shelf"]));
    assert_eq!(schemas["PlaceInput"]["required"], Value::Null);
    assert_eq!(schemas["PlaceInput"]["additionalProperties"], false);
    assert!(schemas["RenameThing"].is_null(), "a request is no component");
}

#[test]
fn no_reference_dangles_and_nothing_internal_is_shown() {
    let api = document("Things", &things());
    for component in schemas::referred(&api, schemas::PLACE) {
        assert!(api["components"]["schemas"][&component].is_object(), "{component}");
    }
    assert!(!api.to_string().contains("/internal/"));
    let told = events("Things", &things());
    for component in schemas::referred(&told, schemas::PLACE) {
        assert!(told["components"]["schemas"][&component].is_object(), "{component}");
    }
}

#[test]
fn events_name_their_source_and_their_subscribers() {
    let told = events("Things", &things());
    let (send, receive) = (
        &told["operations"]["things.emit.things.taken.v1"],
        &told["operations"]["things.on_things_taken"],
    );
    assert_eq!((&send["action"], &receive["action"]), (&json!("send"), &json!("receive")));
    assert_eq!(send["channel"], receive["channel"]);
    assert_eq!(told["components"]["messages"]["things.taken.v1"]["summary"], "A thing was taken");
}

#[test]
fn the_manifest_has_all_that_is_laid_out() {
    let manifest = manifest(&things());
    assert_eq!(
        manifest["functions"]["things-take"],
        json!({
            "domain": "things", "target": "things.take", "access": "admin",
            "kind": "operation", "invoker": "gateway",
            "http": { "method": "POST", "path": "/v1/things/{thing_id}/take", "internal": false },
            "size": {
                "cpu": "1", "memory": "512Mi", "concurrency": 8, "timeout_seconds": 35,
                "min_instances": 0, "max_instances": 20,
            },
        })
    );
    assert_eq!(manifest["functions"]["things-count"]["http"]["internal"], true);
    assert_eq!(manifest["functions"]["things-on-things-taken"]["topic"], "things.taken.v1");
    assert_eq!(manifest["functions"]["things-tidy"]["schedule"], "* * * * *");
    assert_eq!(manifest["topics"]["things.taken.v1"]["domain"], "things");
    let collections = &manifest["databases"]["things"]["collections"];
    assert_eq!(collections["inbox"]["expires"], "expires_at");
    assert_eq!(
        collections["things"]["indexes"],
        json!([[
            { "field_path": "state", "order": "ASCENDING" },
            { "field_path": "tags", "array_config": "CONTAINS" },
            { "field_path": "made_at", "order": "DESCENDING" },
        ]]),
        "an index of one field is there by itself"
    );
}

#[test]
fn each_function_has_one_kind_of_invoker_and_calls_name_their_callers() {
    let mut domains = things();
    domains.push(Domain::new("shops").calls::<CountThings>().needs(Need::Mail));
    let manifest = manifest(&domains);
    let functions = &manifest["functions"];
    for (function, invoker) in [
        ("things-take", "gateway"),
        ("things-list", "gateway"),
        ("things-keys", "everyone"),
        ("things-count", "domains"),
        ("things-on-things-taken", "push"),
        ("things-tidy", "scheduler"),
    ] {
        assert_eq!(functions[function]["invoker"], invoker, "{function}");
    }
    assert_eq!(functions["things-count"]["callers"], json!(["shops"]));
    assert_eq!(
        manifest["domains"]["shops"],
        json!({ "calls": { "things.count": "things-count" }, "needs": ["mail"] })
    );
}

#[test]
fn the_gateway_lets_anyone_in_only_where_anyone_may_ask() {
    let document = gateway("Things", &things());
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(
        paths.keys().collect::<Vec<_>>(),
        ["/v1/things", "/v1/things/{thing_id}", "/v1/things/{thing_id}/take"],
        "what is internal or read without the gateway isn't there"
    );
    assert_eq!(document["security"], json!([{ "aula": [] }]));
    assert_eq!(paths["/v1/things"]["get"]["security"], json!([]));
    assert_eq!(paths["/v1/things"]["post"]["security"], Value::Null);
    let options = &paths["/v1/things/{thing_id}"]["options"];
    assert_eq!(options["operationId"], "preflight_v1_things_thing_id");
    assert_eq!(options["security"], json!([]));
    let backends = &document["x-google-api-management"]["backends"];
    let address = "https://things-take-PROJECT_NUMBER.REGION.run.app";
    assert_eq!(backends["things-take"]["address"], address);
    assert_eq!(backends["things-take"]["jwtAudience"], address);
    let keys = &document["components"]["securitySchemes"]["aula"]["x-google-auth"]["jwksUri"];
    assert_eq!(keys, "https://things-keys-PROJECT_NUMBER.REGION.run.app/.well-known/jwks.json");
}

#[test]
fn the_table_lists_operations_subscribers_jobs_and_events() {
    let page = functions(&things());
    for row in [
        "| `things.rename` | `PATCH /v1/things/{thing_id}` | user | Rename a thing |",
        "| `things.on_things_taken` | `things.taken.v1` |",
        "| `things.tidy` | `* * * * *` |",
        "| `things.taken.v1` | A thing was taken |",
    ] {
        assert!(page.contains(row), "{page}");
    }
}

#[test]
fn a_summary_is_the_first_sentence() {
    assert_eq!(said("One thing.\nAnd two."), ("One thing".into(), "And two.".into()));
    assert_eq!(said("Of 1. or 2.\n\nMore."), ("Of 1. or 2".into(), "More.".into()));
}
