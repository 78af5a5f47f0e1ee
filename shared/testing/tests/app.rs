//! What a test of a domain may rely on, shown with a domain of two functions.

use contracts::{Event, Idempotency, Language};
use runtime::{
    Domain, FileName, Need,
    files::{Download, Link, MediaType, Upload},
    mail::{MailError, Message, Taken},
    prelude::*,
};
use testing::{App, json};

const THING_NOT_FOUND: Problem = Problem::not_found("thing-not-found", "None.", "Ninguna.");
const NO_CONTACT: Problem = Problem::not_found("no-contact", "None.", "Ninguno.");

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Thing {
    id: String,
    name: String,
    revision: u64,
    made_at: Timestamp,
}

impl Document for Thing {
    const COLLECTION: &'static str = "things";
    const INDEXES: &'static [Index] = &[Index::ascending("made_at")];
    fn key(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Made {
    id: String,
}

impl Event for Made {
    const TYPE: &'static str = "things.made.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Wrapped {
    id: String,
}

impl Event for Wrapped {
    const TYPE: &'static str = "things.wrapped.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    name: Line<1, 10>,
}

impl Endpoint for Make {
    const OPERATION: &'static str = "things.make";
    const ROUTE: Route = Route::create("/v1/things");
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = Thing;
}

async fn make(cx: Context<Instructor>, request: Make) -> Result<Thing> {
    let (id, name) = (cx.random().id(), request.name.to_string());
    let thing = Thing { id: id.clone(), name, revision: 1, made_at: cx.now };
    cx.answer(Changes::new().create(&thing).emit(&Made { id }), thing).await
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rename {
    thing_id: String,
    name: Option<Line<1, 10>>,
    etag: Option<String>,
}

impl Endpoint for Rename {
    const OPERATION: &'static str = "things.rename";
    const ROUTE: Route = Route::update("/v1/things/{thing_id}");
    const PROBLEMS: &'static [Problem] = &[THING_NOT_FOUND];
    type Response = Thing;
}

async fn rename(cx: Context<User>, request: Rename) -> Result<Thing> {
    let thing = cx.get::<Thing>(&request.thing_id).await?;
    let mut thing = thing.ok_or(THING_NOT_FOUND)?;
    cx.expect_etag(&thing.revision.to_string(), request.etag.as_deref())?;
    thing.name = request.name.map_or_else(String::new, |name| name.to_string());
    thing.revision += 1;
    cx.commit(Changes::new().save(&thing)).await?;
    Ok(thing.into_inner())
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    user_id: String,
}

impl Endpoint for Ask {
    const OPERATION: &'static str = "people.ask";
    const ROUTE: Route = Route::get("/internal/people/{user_id}");
    const PROBLEMS: &'static [Problem] = &[NO_CONTACT];
    type Response = String;
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Look {
    thing_id: String,
    loud: Option<bool>,
}

impl Endpoint for Look {
    const OPERATION: &'static str = "things.look";
    const ROUTE: Route = Route::get("/internal/things/{thing_id}");
    const PROBLEMS: &'static [Problem] = &[NO_CONTACT];
    type Response = String;
}

async fn look(cx: Context<System>, request: Look) -> Result<String> {
    let name = cx.call(Ask { user_id: request.thing_id }).await?;
    Ok(if request.loud == Some(true) { name.to_uppercase() } else { name })
}

async fn on_made(cx: Context<System>, event: Made) -> Result<()> {
    let thing = cx.get::<Thing>(&event.id).await?;
    let mut thing = thing.ok_or_else(|| anyhow::anyhow!("no thing {}", event.id))?;
    thing.name.push('!');
    cx.commit(Changes::new().save(&thing).emit(&Wrapped { id: event.id })).await
}

#[derive(Default)]
struct Write;

impl Job for Write {
    const NAME: &'static str = "things.write";
    const SCHEDULE: &'static str = "* * * * *";
}

async fn write(cx: Context<System>, _: Write) -> Result<()> {
    let message = Message {
        message_id: "one@aula".to_owned(),
        to: "ada@example.com".to_owned(),
        to_name: "Ada".to_owned(),
        subject: cx.now.to_string(),
        text: String::new(),
        html: String::new(),
        headers: Vec::new(),
        attachments: Vec::new(),
    };
    cx.mail().send(&message).await.map_err(|error| anyhow::Error::from(error).into())
}

fn things() -> Domain {
    Domain::new("things")
        .collection::<Thing>()
        .event::<Made>()
        .event::<Wrapped>()
        .calls::<Ask>()
        .operation(make)
        .operation(rename)
        .operation(look)
        .subscriber(on_made)
        .job(write)
}

#[tokio::test]
async fn callers_are_known_by_real_tokens() {
    let app = App::of(things);
    let thing = json!({ "name": "cup" });
    app.anyone().post("/v1/things", &thing).await.is(runtime::problems::UNAUTHENTICATED);
    app.bearer("a.b.c").post("/v1/things", &thing).await.is(runtime::problems::UNAUTHENTICATED);
    app.user("ada").post("/v1/things", &thing).await.is(runtime::problems::FORBIDDEN);
    assert_eq!(app.admin("root").post("/v1/things", &thing).await.status, 201);
    let token = app.token("ines", &[contracts::identity::Role::Instructor], "s").await;
    assert_eq!(app.bearer(&token).post("/v1/things", &thing).await.status, 201);
    app.advance_minutes(16);
    app.bearer(&token).post("/v1/things", &thing).await.is(runtime::problems::UNAUTHENTICATED);
    assert_eq!(app.instructor("ines").post("/v1/things", &thing).await.status, 201);
}

#[tokio::test]
async fn refusals_can_be_told_apart() {
    let app = App::of(things);
    let ines = app.instructor("ines");
    ines.post("/v1/things", json!({ "name": "" })).await.blames("name", "empty");
    ines.post("/v1/things", json!({})).await.blames("name", "missing");
    let keyless = ines.post_without_key("/v1/things", json!({ "name": "cup" })).await;
    keyless.is(runtime::problems::IDEMPOTENCY_KEY_REQUIRED);
    let spanish = ines.clone().in_language("es").post("/v1/things", json!({})).await;
    assert_eq!(spanish.body["title"], "La solicitud no es válida.");
    let broken = ines.send("POST", "/v1/things", &[("content-type", "text/plain")], vec![0]).await;
    broken.is(runtime::problems::NOT_JSON);
    app.anyone().get("/internal/things/t1").await.is(runtime::problems::NO_SUCH_PATH);
}

#[tokio::test]
async fn a_key_is_fresh_each_time_unless_it_is_given() {
    let app = App::of(things);
    let (ines, cup) = (app.instructor("ines"), json!({ "name": "cup" }));
    let (first, second) =
        (ines.post("/v1/things", &cup).await, ines.post("/v1/things", &cup).await);
    assert_ne!(first.ok()["id"], second.ok()["id"]);
    let first = ines.post_with_key("/v1/things", &cup, "k").await;
    let again = ines.post_with_key("/v1/things", &cup, "k").await;
    assert_eq!((first.ok(), again.header("idempotency-replayed")), (again.ok(), "true"));
}

#[tokio::test]
async fn a_patch_says_which_version_it_has_seen() {
    let app = App::of(things);
    let thing: Thing =
        app.instructor("ines").post("/v1/things", json!({ "name": "cup" })).await.read();
    let (uri, mug) = (format!("/v1/things/{}", thing.id), json!({ "name": "mug" }));
    let ada = app.user("ada");
    ada.patch_without_etag(&uri, &mug).await.is(runtime::problems::ETAG_REQUIRED);
    ada.patch(&uri, &mug, "9").await.is(runtime::problems::STALE_ETAG);
    assert_eq!(ada.patch(&uri, &mug, "1").await.ok()["name"], "mug");
    ada.patch("/v1/things/none", &mug, "1").await.is(THING_NOT_FOUND);
}

#[tokio::test]
async fn the_platform_calls_what_is_internal_and_peers_are_played() {
    let app = App::of(things).answering::<Ask>(|request| Ok(format!("I am {}", request.user_id)));
    let answer = app.platform().get("/internal/things/ada?loud=true").await;
    assert_eq!(answer.ok(), "I AM ADA");
    app.now_answering::<Ask>(|_| Err(NO_CONTACT));
    app.platform().get("/internal/things/ada").await.is(NO_CONTACT);
}

#[tokio::test]
async fn a_peer_that_is_not_played_is_a_fault() {
    let app = App::of(things);
    app.platform().get("/internal/things/ada").await.is(runtime::problems::INTERNAL);
}

#[tokio::test]
async fn events_are_seen_relayed_and_handled_once() {
    let app = App::of(things);
    let made = app.instructor("ines").post("/v1/things", json!({ "name": "cup" })).await;
    let id = made.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.emitted::<Made>().await.len(), 1);
    assert_eq!((app.commits(), app.emitted::<Wrapped>().await.len()), (1, 0));
    app.settle().await;
    app.settle().await;
    assert_eq!((app.commits(), app.emitted::<Wrapped>().await.len()), (2, 1));

    app.deliver(&Made { id: id.clone() }).await;
    app.deliver_again().await;
    let cx = app.context();
    assert_eq!(cx.get::<Thing>(&id).await.unwrap().unwrap().name, "cup!!");
    let (all, _) = cx.query::<Thing>(&Query::ascending::<Thing>("made_at")).await.unwrap();
    assert_eq!((all.len(), cx.language), (1, Language::En));
}

#[tokio::test]
async fn what_a_subscriber_could_not_take_is_delivered_again() {
    let app = App::of(things);
    assert!(app.try_deliver(&Made { id: "none".to_owned() }).await.is_err());
    let cx = app.context();
    cx.commit(Changes::new().emit(&Made { id: "t1".to_owned() })).await.unwrap();
    let said = app.try_settle().await.unwrap_err();
    assert_eq!(said, "things.on_things_made of things.made.v1: no thing t1");
    let thing = Thing { id: "t1".to_owned(), name: String::new(), revision: 1, made_at: cx.now };
    cx.commit(Changes::new().create(&thing)).await.unwrap();
    app.settle().await;
    assert_eq!(cx.get::<Thing>("t1").await.unwrap().unwrap().name, "!");
    assert_eq!(app.commits(), 1, "what a test does beside the functions isn't counted");
}

#[tokio::test]
async fn mail_is_taken_unless_the_test_says_otherwise() {
    let app = App::of(things);
    app.run_job("things.write").await;
    app.advance_seconds(1);
    app.mail_answers(|_| Err(MailError::Unavailable("not now".to_owned())));
    assert!(app.try_run_job("things.write").await.is_err());
    let mail = app.mail();
    assert_eq!(mail.len(), 1);
    assert_eq!(mail[0].subject, "2026-03-02T12:00:00.000Z");
    let cx = app.context();
    assert_eq!(cx.mail().taken("one@aula").await.unwrap(), Taken::Yes);
    assert_eq!(cx.mail().taken("two@aula").await.unwrap(), Taken::No);
}

#[tokio::test]
async fn two_apps_are_alike() {
    let (one, other) = (App::of(things), App::of(things));
    let cup = json!({ "name": "cup" });
    let one = one.instructor("ines").post("/v1/things", &cup).await;
    assert_eq!(one.ok(), other.instructor("ines").post("/v1/things", &cup).await.ok());
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Illustrate {
    id: String,
}

impl Endpoint for Illustrate {
    const OPERATION: &'static str = "things.illustrate";
    const ROUTE: Route = Route::get("/v1/things/{id}/picture");
    const PROBLEMS: &'static [Problem] = &[runtime::files::INVALID_FILE];
    type Response = Vec<Link>;
}

/// Links to send a picture and to fetch it.
async fn illustrate(cx: Context<Anyone>, request: Illustrate) -> Result<Vec<Link>> {
    let name = FileName::parse(format!("pictures/{}", request.id))?;
    let upload = Upload::new(name.clone(), MediaType::parse("image/png")?, 1..=4_000_000, 60)?;
    let download = Download::new(name, 60)?;
    Ok(vec![cx.files().upload_link(&upload).await?, cx.files().download_link(&download).await?])
}

fn pictures() -> Domain {
    Domain::new("things").needs(Need::Files).operation(illustrate)
}

fn without_need() -> Domain {
    Domain::new("things").operation(illustrate)
}

#[tokio::test]
async fn a_function_gives_links_to_files_of_its_domain() {
    let app = App::of(pictures);
    let answer = app.anyone().get("/v1/things/a/picture").await.ok();
    let [upload, download]: [Link; 2] = serde_json::from_value(answer).unwrap();
    assert!(upload.url.contains("/local/files/things/pictures/a?"), "{}", upload.url);
    assert_eq!(app.fetch_file(&download).await, None);
    // Larger than any request may be.
    let picture = vec![7; 3_000_000];
    assert_eq!(app.send_file(&upload, picture.clone()).await, 200);
    assert_eq!(app.fetch_file(&download).await.unwrap(), picture);
    let files = &app.ports().files;
    let info = files.info(&FileName::parse("pictures/a").unwrap()).await.unwrap();
    assert_eq!((info.name.as_str(), info.size), ("pictures/a", 3_000_000));
    assert_eq!(files.list("pictures/", 10, None).await.unwrap().items, [info]);
    app.advance_seconds(61);
    assert_eq!(app.fetch_file(&download).await, None);
    assert_eq!(app.send_file(&upload, picture).await, 403);
}

#[tokio::test]
async fn a_domain_that_does_not_say_so_has_no_files() {
    let app = App::of(without_need);
    app.anyone().get("/v1/things/a/picture").await.is(runtime::problems::UNAVAILABLE);
}
