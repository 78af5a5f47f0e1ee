//! A domain that can tell whether each of its events took effect once, and
//! whether facts ever gave way to older ones, whatever the bus did to them.
//!
//! A request moves goods onto a rack, which is told. The domain hears itself: it
//! adds up what was moved, keeps what is newest of each rack as other domains keep
//! facts, by its revision, and tells that it has; and it hears that too.

use std::{sync::Arc, time::Duration};

use google::{DeadLetters, Names, Platform, lay_out};
use runtime::{
    Anyone, Domain, Envelope, Parked, Ports, Query,
    prelude::{
        Changes, Context, Document, Endpoint, Event, JsonSchema, Result, Route, Stored, System,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use testing::emulators::Emulator;

use crate::serving::{Answer, Container, environment, store};

/// What its containers' topics begin with.
pub const PREFIX: &str = "test-";

/// How long anything may take that isn't promised: the machine may have much to do.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it's looked whether something has come about.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Moves goods onto a rack.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    pub rack: String,
    pub count: u64,
}

impl Endpoint for Move {
    const OPERATION: &'static str = "stock.move";
    const ROUTE: Route = Route::act("/v1/racks/{rack}/move");
    type Response = Rack;
}

/// A rack, and what lies on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rack {
    pub name: String,
    /// How often goods were moved.
    pub revision: u64,
    pub goods: u64,
}

impl Document for Rack {
    const COLLECTION: &'static str = "racks";
    fn key(&self) -> String {
        self.name.clone()
    }
}

/// Goods were moved.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    pub rack: String,
    pub revision: u64,
    /// How many were moved.
    pub count: u64,
    /// How many lie there since.
    pub goods: u64,
}

impl Event for Moved {
    const TYPE: &'static str = "stock.moved.v1";
    fn subject(&self) -> String {
        self.rack.clone()
    }
}

/// It is known that goods were moved.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    pub rack: String,
    pub revision: u64,
}

impl Event for Noted {
    const TYPE: &'static str = "stock.noted.v1";
    fn subject(&self) -> String {
        self.rack.clone()
    }
}

/// What is known of a rack by what was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    rack: String,
    /// The newest that was heard.
    pub revision: u64,
    pub goods: u64,
    /// How often it took effect that goods were moved, and how many were by that.
    pub times: u64,
    pub moved: u64,
    /// How often what was heard was older than what was known.
    pub outdated: u64,
}

impl Document for Heard {
    const COLLECTION: &'static str = "heard";
    fn key(&self) -> String {
        self.rack.clone()
    }
}

/// What was noted of a rack, in the order in which it took effect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    rack: String,
    pub revisions: Vec<u64>,
}

impl Document for Notes {
    const COLLECTION: &'static str = "notes";
    fn key(&self) -> String {
        self.rack.clone()
    }
}

/// The domain.
pub fn stock() -> Domain {
    Domain::new("stock")
        .collection::<Rack>()
        .collection::<Heard>()
        .collection::<Notes>()
        .event::<Moved>()
        .event::<Noted>()
        .operation(move_goods)
        .subscriber(on_moved)
        .subscriber(on_noted)
}

async fn move_goods(cx: Context<Anyone>, request: Move) -> Result<Rack> {
    let Move { rack, count } = request;
    let new = || Stored::new(Rack { name: rack.clone(), ..Rack::default() });
    let mut stored = cx.get::<Rack>(&rack).await?.unwrap_or_else(new);
    stored.revision += 1;
    stored.goods += count;
    let Rack { revision, goods, .. } = *stored;
    let changes = Changes::new().save(&stored);
    cx.answer(changes.emit(&Moved { rack, revision, count, goods }), stored.into_inner()).await
}

async fn on_moved(cx: Context<System>, event: Moved) -> Result<()> {
    let Moved { rack, revision, count, goods } = event;
    let new = || Stored::new(Heard { rack: rack.clone(), ..Heard::default() });
    let mut heard = cx.get::<Heard>(&rack).await?.unwrap_or_else(new);
    heard.times += 1;
    heard.moved += count;
    if revision > heard.revision {
        (heard.revision, heard.goods) = (revision, goods);
    } else {
        heard.outdated += 1;
    }
    cx.commit(Changes::new().save(&heard).emit(&Noted { rack, revision })).await
}

async fn on_noted(cx: Context<System>, event: Noted) -> Result<()> {
    let Noted { rack, revision } = event;
    let new = || Stored::new(Notes { rack: rack.clone(), ..Notes::default() });
    let mut notes = cx.get::<Notes>(&rack).await?.unwrap_or_else(new);
    notes.revisions.push(revision);
    cx.commit(Changes::new().save(&notes)).await
}

/// A container of a domain, for which topics can be laid out on an emulator.
pub struct Carried {
    pub container: Container,
    pub names: Names,
    pub ports: Arc<Ports>,
    emulator: String,
    domain: fn() -> Domain,
}

impl Carried {
    /// A container that publishes at a host. Nothing is pushed to it yet.
    pub async fn start(emulator: &Emulator, domain: fn() -> Domain, publishes_at: &str) -> Self {
        let project = emulator.project();
        let set = [
            ("GOOGLE_CLOUD_PROJECT", project.as_str()),
            ("PUBSUB_EMULATOR_HOST", publishes_at),
            ("AULA_TOPICS_PREFIX", PREFIX),
            ("AULA_UNSIGNED_PUSH", "true"),
        ];
        let store = store(&domain());
        let platform = Platform::on(environment(&domain(), &set), domain(), store.clone());
        let container = Container::serve(&platform, store).await;
        let ports = platform.host().functions().next().unwrap().ports.clone();
        let names = Names::new(&project, PREFIX);
        Self { container, names, ports, emulator: emulator.host(), domain }
    }

    /// From now on what it publishes is pushed to an address.
    pub async fn is_pushed_to(&self, address: &str) {
        let domains = [(self.domain)()];
        lay_out(&self.emulator, &self.names, &domains, |_| address.to_owned()).await.unwrap();
    }

    /// Moves goods, and gives back what it's answered.
    pub async fn move_goods(&self, rack: &str, count: u64, key: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let (path, body) = (format!("/v1/racks/{rack}/move"), json!({ "count": count }));
        self.container.send("POST", &path, &headers, &body.to_string()).await
    }

    pub async fn get<D: Document>(&self, id: &str) -> Option<D> {
        let cx = Context::of_platform("stock", &self.ports);
        cx.get::<D>(id).await.unwrap().map(Stored::into_inner)
    }

    /// How many events wait in the outbox.
    pub async fn waiting(&self) -> u64 {
        let all = Query::ascending::<Envelope>("emitted_at");
        self.container.store.count(&all).await.unwrap()
    }

    /// How many events nobody could take, however they were given up.
    pub async fn given_up(&self) -> u64 {
        let parked = Query::descending::<Parked>("parked_at");
        let parked = self.container.store.count(&parked).await.unwrap();
        let letters = DeadLetters::on_emulator(self.names.clone(), &self.emulator);
        parked + letters.list(100).await.unwrap().len() as u64
    }

    /// Whether each move of a rack has taken effect.
    pub async fn is_told(&self, rack: &str) -> bool {
        let Some(moved) = self.get::<Rack>(rack).await else { return true };
        let heard = self.get::<Heard>(rack).await.unwrap_or_default();
        let notes = self.get::<Notes>(rack).await.unwrap_or_default();
        heard.times >= moved.revision && notes.revisions.len() as u64 >= moved.revision
    }

    /// Each move of a rack took effect once, and what is known of it is the newest.
    pub async fn is_told_right(&self, rack: &str) {
        let moved = self.get::<Rack>(rack).await.unwrap_or_default();
        let heard = self.get::<Heard>(rack).await.unwrap_or_default();
        let Rack { revision, goods, .. } = moved;
        assert_eq!((heard.times, heard.moved), (revision, goods), "{rack} took effect once");
        assert_eq!((heard.revision, heard.goods), (revision, goods), "{rack} is the newest");
        let mut noted = self.get::<Notes>(rack).await.unwrap_or_default().revisions;
        noted.sort_unstable();
        assert!(noted.into_iter().eq(1..=revision), "{rack} was noted once");
    }
}

/// Waits until something is so: of what happens in another process one can only look again.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let began = tokio::time::Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "it never came about that {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
