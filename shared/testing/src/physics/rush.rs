//! A rush: many people want a seat of one section at the same moment.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Event, Language,
    courses::{CoursePublished, SectionCreated, SectionFacts},
    identity::Role,
};
use futures_util::future::join_all;
use runtime::{
    Bus, Domain, Envelope, Host, Incoming, Key, Origin, Ports, Settings, Store as _, Trace, Write,
    files::NoFiles,
    token::{ACCESS_TOKEN_SECONDS, Claims},
};
use serde_json::{Value, json};

use super::{database::Database, time::Time};
use crate::{
    App, SeededRandom, bus, facts,
    mailbox::Mailbox,
    peers::Peers,
    simulation::{Dice, Given, Process},
};

/// How long Pub/Sub takes to have an event.
const PUBLISH: Duration = Duration::from_millis(20);

/// A rush for seats.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// How many people come, all at once.
    pub people: usize,
    /// How many seats there are; nothing: the section has no limit.
    pub seats: Option<u32>,
    /// Whether those who find none may wait.
    pub waitlist: bool,
    /// How many containers serve them, each the same number of people.
    pub containers: usize,
    /// How many seats a block has; 0: all are counted in one document.
    pub seats_in_block: u32,
    /// How long the database has been in such use: a new one is slow at first.
    pub age: Duration,
}

/// How a rush came out.
#[derive(Clone, Debug)]
pub struct Came {
    /// When the last seat had been given, answered that is.
    pub given: Duration,
    /// When the last of all had been answered.
    pub answered: Duration,
    /// How many have a seat.
    pub confirmed: usize,
    /// How many wait for one.
    pub waitlisted: usize,
    /// How many were told that there is none.
    pub refused: usize,
    /// How many requests were sent again, because the platform said so.
    pub repeated: usize,
    /// How many commits took effect.
    pub commits: u64,
    /// How many lost the race for a document.
    pub conflicts: u64,
    /// How many documents were written.
    pub writes: u64,
    /// How many documents were read.
    pub reads: u64,
}

/// What somebody was told in the end, when, and after how many requests.
type Told = (Duration, u16, Value, usize);

impl Rush {
    /// Lets it happen; enrollments are served by `domain`.
    pub fn happen(&self, domain: fn() -> Domain) -> Came {
        let time = Time::default();
        let database = Database::new(&domain(), time.clone(), self.age);
        let mut dice = Dice::of(7);
        let containers: Vec<_> = (0..self.containers)
            .map(|_| {
                let instance = u32::try_from(dice.throw() >> 32).expect("half of it");
                container(domain, &time, &database, self.seats_in_block, instance)
            })
            .collect();
        let world = Process::new();
        let (host, ports) = containers[0].clone();
        let (section, course) = (self.section(), facts::course());
        world.begin(async move {
            tell(&host, &ports, &CoursePublished { course }).await;
            tell(&host, &ports, &SectionCreated { section }).await;
        });
        run(&world, &time);
        // What was written to open it is cold by now.
        let opened = time.clone();
        world.begin(async move { opened.pass(Duration::from_mins(1)).await });
        run(&world, &time);

        let began = time.passed();
        let before = count(&database);
        let told = Arc::new(Mutex::new(Vec::<Told>::new()));
        let (everybody, clock) = (told.clone(), time.clone());
        let people = (0..self.people).map(move |number| {
            let (host, ports) = containers[number % containers.len()].clone();
            let time = clock.clone();
            async move {
                let (status, body, requests) = insist(&host, &ports, number).await;
                (time.passed().saturating_sub(began), status, body, requests)
            }
        });
        // As one task, so that all are there before anybody is served.
        let people = join_all(people);
        world.begin(async move {
            let told = people.await;
            *everybody.lock().expect("no holder panics") = told;
        });
        run(&world, &time);
        let after = count(&database);
        let [commits, conflicts, writes, reads] = std::array::from_fn(|at| after[at] - before[at]);
        let told = std::mem::take(&mut *told.lock().expect("no holder panics"));
        let of = |state: &str| told.iter().filter(|it| it.2["state"] == state).count();
        let last = |state: &str| {
            told.iter().filter(|it| it.2["state"] == state).map(|it| it.0).max().unwrap_or_default()
        };
        Came {
            given: last("confirmed"),
            answered: told.iter().map(|it| it.0).max().unwrap_or_default(),
            confirmed: of("confirmed"),
            waitlisted: of("waitlisted"),
            refused: told.iter().filter(|it| it.2["reason"] == "section-full").count(),
            repeated: told.iter().map(|it| it.3 - 1).sum(),
            commits,
            conflicts,
            writes,
            reads,
        }
    }

    fn section(&self) -> SectionFacts {
        let waitlist_capacity = (!self.waitlist).then_some(0);
        SectionFacts { waitlist_capacity, ..facts::section("s1", self.seats) }
    }
}

/// Lets the world go on until nobody waits for anything.
fn run(world: &Process, time: &Time) {
    loop {
        world.run();
        if !time.go_on() {
            return;
        }
    }
}

fn count(database: &Database) -> [u64; 4] {
    let tally = database.tally();
    [&tally.commits, &tally.conflicts, &tally.writes, &tally.reads]
        .map(|it| it.load(Ordering::SeqCst))
}

/// A container of the domain: it shares the database with the others, and nothing else.
fn container(
    domain: fn() -> Domain,
    time: &Time,
    database: &Arc<Database>,
    seats_in_block: u32,
    instance: u32,
) -> (Host, Arc<Ports>) {
    let Given { keyring, verifier, secret, settings } = Given::ports();
    let settings = Settings { seats_in_block, instance, ..Settings::clone(&settings) };
    let ports = Arc::new(Ports {
        store: database.clone(),
        files: Arc::new(NoFiles("nobody needs files to enroll")),
        client: Arc::new(Peers::default()),
        bus: Arc::new(PubSub { time: time.clone(), database: database.clone() }),
        mail: Arc::new(Mailbox::default()),
        clock: Arc::new(time.clone()),
        random: Arc::new(SeededRandom::of(u64::from(instance))),
        keyring,
        verifier,
        secret,
        settings: Arc::new(settings),
    });
    (Host::new(vec![(domain(), ports.clone())], None), ports)
}

/// Pub/Sub, as a container in the cloud uses it: what was committed is published
/// and taken out of the outbox before the request is answered.
struct PubSub {
    time: Time,
    database: Arc<Database>,
}

#[async_trait]
impl Bus for PubSub {
    async fn committed(&self, _: &'static str, events: &[Envelope]) {
        if events.is_empty() {
            return;
        }
        let keys: Vec<_> = events.iter().map(|it| Key::of::<Envelope>(&it.id)).collect();
        // The rows are read meanwhile.
        let (rows, ()) = tokio::join!(self.database.get_all(&keys), self.time.pass(PUBLISH));
        let rows = rows.expect("the outbox is declared");
        let rows = keys.into_iter().zip(rows);
        let rows = rows.filter_map(|(key, row)| Some(Write::Delete(key, row?.version)));
        let removed = self.database.commit(rows.collect()).await.expect("the outbox is declared");
        removed.expect("nobody else relays");
    }

    async fn publish(&self, _: &[Envelope]) -> anyhow::Result<()> {
        anyhow::bail!("no relay runs in a rush")
    }
}

/// Tells a container of an event of another domain.
async fn tell<E: Event>(host: &Host, ports: &Ports, event: &E) {
    let event = Arc::new(bus::envelope(event, ports));
    let subscribers: Vec<_> = host.subscribers(E::TYPE).map(str::to_owned).collect();
    for subscriber in subscribers {
        let taken = host.deliver(&subscriber, event.clone()).await;
        taken.unwrap_or_else(|error| panic!("{subscriber}: {}", crate::app::chain(error)));
    }
}

/// Somebody asks for a seat, and again with the same key while they're told to.
/// Gives back the answer, and how many requests it took.
async fn insist(host: &Host, ports: &Ports, number: usize) -> (u16, Value, usize) {
    let body = json!({ "course_id": "c1", "section_id": "s1" }).to_string();
    let mut requests = 0;
    loop {
        let now = ports.clock.now().as_seconds();
        let claims = Claims {
            iss: App::PUBLIC_URL.to_owned(),
            aud: App::PUBLIC_URL.to_owned(),
            sub: format!("person-{number}").into(),
            roles: vec![Role::Student],
            sid: format!("session-{number}"),
            iat: now,
            exp: now + ACCESS_TOKEN_SECONDS,
        };
        let incoming = Incoming {
            bound: Vec::<(Cow<'static, str>, String)>::new(),
            query: String::new(),
            body: body.clone().into(),
            origin: Origin::Bearer(Arc::new(claims)),
            sender: runtime::Sender::default(),
            language: Language::En,
            trace: Trace::continued(None, &*ports.random),
            idempotency_key: Some(format!("key-{number}")),
        };
        let reply = host.request("enrollments.enroll", incoming).await;
        requests += 1;
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let again = reply.status >= 500 || body["reason"] == "try-again";
        if !again {
            return (reply.status, body, requests);
        }
        ports.clock.sleep(Duration::from_secs(1)).await;
    }
}
