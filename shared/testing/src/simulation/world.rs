//! The world of a simulation: stores that outlive everything, processes that
//! may die, a bus that delivers at least once, and people outside. It only
//! moves when it's told which of those who wait is to go on, and how.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use contracts::{Endpoint, Language, Problem, Timestamp};
use embedded::FileKeyring;
use runtime::{
    Domain, Envelope, Host, Incoming, Keyring, Origin, Ports, Reply, Secret, Settings, Trigger,
    mail::{MailError, Taken},
    token::Verifier,
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    Dice, Trace,
    documents::{Changed, Documents},
    footprint::{Footprint, Read},
    gate::{Answer, Arrival, Ask, Gate, Waiting, short},
    person::Person,
    ports::Simulated,
    process::Process,
};
use crate::{App, SeededRandom, peers::Peers};

/// A domain to be simulated.
pub struct Service {
    domain: Arc<dyn Fn() -> Domain>,
    instances: usize,
    ports: Arc<dyn Fn(Ports) -> Ports>,
}

impl Service {
    /// A domain, served by one process.
    pub fn of(domain: impl Fn() -> Domain + 'static) -> Self {
        Self { domain: Arc::new(domain), instances: 1, ports: Arc::new(|ports| ports) }
    }

    /// Served by so many processes on the same store.
    #[must_use]
    pub const fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// Puts something between the functions and their ports.
    #[must_use]
    pub fn with_ports(mut self, ports: impl Fn(Ports) -> Ports + 'static) -> Self {
        self.ports = Arc::new(ports);
        self
    }
}

/// What must hold in a world. Laws are checked from outside: they see what is
/// stored, and what people were told.
pub trait Laws {
    /// Looks at what a commit has changed, and at everything that is stored now.
    fn committed(&mut self, commit: &Commit<'_>) -> Result<(), String>;
    /// Looks at everything once nothing happens any more.
    fn at_rest(&mut self, stores: &Stores<'_>) -> Result<(), String>;
    /// A law that was broken elsewhere: in what people were told, say.
    fn broken(&mut self) -> Option<String> {
        None
    }
}

/// A commit that has just been made.
pub struct Commit<'w> {
    /// The domain.
    pub domain: &'static str,
    /// What it has changed.
    pub changes: &'w [Changed],
    /// Everything that is stored now.
    pub stores: Stores<'w>,
}

/// Everything that is stored.
pub struct Stores<'w>(&'w [Served]);

impl<'w> Stores<'w> {
    /// All documents of a collection, by their ids.
    pub fn all(
        &self,
        domain: &str,
        collection: &'static str,
    ) -> impl Iterator<Item = (&'w str, &'w Value)> {
        let served = self.0.iter().find(|served| served.name == domain);
        served.into_iter().flat_map(move |served| served.documents.all(collection))
    }
}

/// A domain and what it has stored.
struct Served {
    name: &'static str,
    service: Service,
    documents: Documents,
    processes: Range<usize>,
    jobs: Vec<String>,
    /// Its subscribers, by what they subscribe to.
    subscribers: Vec<(&'static str, String)>,
    operations: Vec<String>,
}

/// A process, and what it serves.
struct Alive {
    name: String,
    service: Option<usize>,
    process: Process,
    host: Option<Host>,
    ports: Arc<Ports>,
}

/// Somebody or something that waits for its turn.
pub(crate) struct Pending {
    /// The same in each run in which the same has happened before.
    pub(crate) id: u64,
    /// The step that it came from.
    pub(crate) cause: u64,
    pub(crate) what: What,
    /// The step from which on it may have its turn, if that's decided.
    pub(crate) ready_at: Option<u64>,
}

/// Who waits for their turn.
pub(crate) enum What {
    /// A task that asks something of the world.
    Asked(Waiting),
    /// An answer on its way back.
    Replied { call: u64, reply: Reply },
    /// An event on its way to a subscriber.
    Delivery(Delivery),
    /// A copy of a request that was late on its way; nobody waits for its answer.
    Stray { service: usize, operation: &'static str, incoming: Incoming },
}

/// An event on its way to a subscriber.
#[derive(Clone)]
pub(crate) struct Delivery {
    service: usize,
    subscriber: String,
    event: Arc<Envelope>,
}

/// How something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    /// It fails, and nothing happens.
    Fails,
    /// It happens, and who asked doesn't hear of it.
    Unheard,
    /// It happens, and who asked is killed.
    Fatal,
    /// It happens, and a copy of it will happen later.
    Twice,
}

/// A request that runs in a process.
struct Call {
    caller: usize,
    answer: oneshot::Sender<Answer>,
    target: usize,
}

/// Which process serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// One that chance picks, as a balancer does.
    Chance,
    /// Each caller has their own; the last process takes the events.
    Caller,
}

/// The world of a simulation.
pub struct World {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    millis: Arc<AtomicI64>,
    births: Dice,
    routing: Routing,
    relays_at_once: bool,
    served: Vec<Served>,
    alive: Vec<Alive>,
    peers: Arc<Peers>,
    pub(crate) pending: Vec<Pending>,
    calls: BTreeMap<u64, Call>,
    handling: BTreeMap<u64, (usize, Delivery)>,
    numbers: u64,
    mail: Vec<String>,
    laws: Box<dyn Laws>,
    pub(crate) trace: Trace,
    violation: Option<String>,
    people: usize,
    outside: usize,
    /// The step that is being taken, and how many have come of it.
    step: u64,
    came: u64,
    pub(crate) steps: u64,
    pub(crate) commits: u64,
    touched: Footprint,
    /// Whether a fault of ours is a violation, since nothing fails around it.
    pub(crate) strict: bool,
}

/// When each world begins: 2026-03-02T12:00:00Z, a Monday.
const BEGINNING_MILLIS: i64 = 1_772_452_800_000;

impl World {
    /// A world with these domains and nobody in it. All that chance decides in
    /// its processes comes from the seed.
    pub fn new(services: Vec<Service>, laws: impl Laws + 'static, seed: u64) -> Self {
        let mut world = Self {
            arrivals: Arc::default(),
            millis: Arc::new(AtomicI64::new(BEGINNING_MILLIS)),
            births: Dice::of(seed ^ 0xb1b7),
            routing: Routing::Chance,
            relays_at_once: true,
            served: Vec::new(),
            alive: Vec::new(),
            peers: Arc::default(),
            pending: Vec::new(),
            calls: BTreeMap::new(),
            handling: BTreeMap::new(),
            numbers: 0,
            mail: Vec::new(),
            laws: Box::new(laws),
            trace: Trace::default(),
            violation: None,
            people: 0,
            outside: 0,
            step: 0,
            came: 0,
            steps: 0,
            commits: 0,
            touched: Footprint::default(),
            strict: false,
        };
        services.into_iter().for_each(|service| world.serve(service));
        world
    }

    /// Leaves events in the outboxes until a tick relays them.
    #[must_use]
    pub const fn relaying_later(mut self) -> Self {
        self.relays_at_once = false;
        self
    }

    /// Gives each person a process of their own to talk to.
    #[must_use]
    pub const fn routed_by_caller(mut self) -> Self {
        self.routing = Routing::Caller;
        self
    }

    /// Plays an operation of a domain that isn't simulated.
    pub fn play<E: Endpoint>(
        &self,
        answer: impl Fn(E) -> Result<E::Response, Problem> + Send + Sync + 'static,
    ) {
        self.peers.play(answer);
    }

    /// What is stored, to begin other worlds with.
    pub(crate) fn documents(&self) -> Vec<Documents> {
        self.served.iter().map(|served| served.documents.clone()).collect()
    }

    /// Begins with what another world of the same domains had stored.
    #[must_use]
    pub(crate) fn with_documents(mut self, documents: Vec<Documents>) -> Self {
        for (served, documents) in self.served.iter_mut().zip(documents) {
            served.documents = documents;
        }
        self
    }

    /// Lets everything go well, in the order of coming, until nobody waits.
    pub(crate) fn pass_all(&mut self) {
        while !self.pending.is_empty() {
            self.pass(0, How::Well);
        }
    }

    /// Lets somebody in, who does what the script says.
    pub fn enter<Fut>(&mut self, name: &str, script: impl FnOnce(Person) -> Fut)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let gate = self.gate(self.alive.len());
        let ports = self.ports(&gate);
        let process = Process::new();
        let person = Person::new(name, gate.clone(), ports.clone(), self.outside);
        let acts = script(person);
        process.begin(async move {
            acts.await;
            gate.note(Arrival::Left);
        });
        let (name, service, host) = (name.to_owned(), None, None);
        self.alive.push(Alive { name, service, process, host, ports });
        self.people += 1;
        self.outside += 1;
        self.run(self.alive.len() - 1);
    }

    /// What is stored.
    pub fn stores(&self) -> Stores<'_> {
        Stores(&self.served)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    pub(crate) fn let_time_pass(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// Whether everybody outside has done all they wanted to.
    pub(crate) const fn is_deserted(&self) -> bool {
        self.people == 0
    }

    /// The law that was broken first.
    pub(crate) fn violation(&mut self) -> Option<String> {
        if self.violation.is_none() {
            self.violation = self.laws.broken();
        }
        self.violation.clone()
    }

    /// Looks whether all is as it should be, once nothing happens any more.
    pub(crate) fn rest(&mut self) {
        let result = self.laws.at_rest(&Stores(&self.served));
        self.hold(result);
        if self.people > 0 {
            self.hold(Err(format!("{} people wait for ever", self.people)));
        }
    }

    fn hold(&mut self, result: Result<(), String>) {
        if let Err(broken) = result
            && self.violation.is_none()
        {
            self.trace.note(|| format!("BROKEN LAW: {broken}"));
            self.violation = Some(broken);
        }
    }

    fn serve(&mut self, service: Service) {
        let domain = (service.domain)();
        let (mut jobs, mut subscribers, mut operations) = (Vec::new(), Vec::new(), Vec::new());
        for function in &domain.functions {
            match &function.trigger {
                Trigger::Schedule(_) => jobs.push(function.id.clone()),
                Trigger::Event(event) => subscribers.push((event.kind, function.id.clone())),
                Trigger::Http(_) => operations.push(function.id.clone()),
            }
        }
        let first = self.alive.len();
        let processes = first..first + service.instances;
        let documents = Documents::new(domain.collections);
        let name = domain.name;
        let index = self.served.len();
        let served =
            Served { name, service, documents, processes: processes.clone(), jobs, subscribers, operations };
        self.served.push(served);
        for process in processes {
            let alive = self.born(index, process, format!("{name}#{}", process - first));
            self.alive.push(alive);
        }
    }

    fn gate(&self, process: usize) -> Gate {
        Gate { process, arrivals: self.arrivals.clone() }
    }

    /// A new life of a process that serves a domain: it remembers nothing.
    fn born(&mut self, service: usize, process: usize, name: String) -> Alive {
        let ports = self.ports(&self.gate(process));
        let Service { domain, ports: between, .. } = &self.served[service].service;
        let ports = Arc::new(between(Ports::clone(&ports)));
        let host = Host::new(vec![(domain(), ports.clone())], None);
        Alive { name, service: Some(service), process: Process::new(), host: Some(host), ports }
    }

    fn ports(&mut self, gate: &Gate) -> Arc<Ports> {
        static KEYRING: OnceLock<Arc<dyn Keyring>> = OnceLock::new();
        let keyring = KEYRING.get_or_init(|| {
            let keyring = FileKeyring::of_pem(include_str!("../../data/key.pem"));
            Arc::new(keyring.expect("the test's key is one"))
        });
        let simulated = Arc::new(Simulated {
            gate: gate.clone(),
            millis: self.millis.clone(),
            relays_at_once: self.relays_at_once,
        });
        Arc::new(Ports {
            store: simulated.clone(),
            client: simulated.clone(),
            bus: simulated.clone(),
            mail: simulated.clone(),
            clock: simulated,
            random: Arc::new(SeededRandom::of(self.births.throw())),
            keyring: keyring.clone(),
            verifier: Arc::new(Verifier::new(keyring.clone(), App::PUBLIC_URL)),
            secret: Arc::new(Secret::new(&[7; 32])),
            settings: Arc::new(Settings {
                public_url: App::PUBLIC_URL.to_owned(),
                admin_email: Some(App::ADMIN_EMAIL.to_owned()),
            }),
        })
    }

    // ------------------------------------------------------------------ steps

    /// Lets one of those who wait go on, and everything that comes of it, until
    /// all wait again. Gives back what was touched.
    pub(crate) fn pass(&mut self, index: usize, how: How) -> Footprint {
        let pending = self.pending.remove(index);
        self.begin_step(pending.id);
        match pending.what {
            What::Asked(waiting) => self.answer(waiting, how),
            What::Replied { call, reply } => self.reply(call, reply, how),
            What::Delivery(delivery) => self.deliver(delivery, how),
            What::Stray { service, operation, incoming } => {
                let target = self.instance(service, None);
                self.trace(target, || format!("a late copy of {operation}"));
                let host = self.alive[target].host.clone().expect("services have hosts");
                self.alive[target].process.begin(async move {
                    let _unheard = host.request(operation, incoming).await;
                });
                self.run(target);
            }
        }
        std::mem::take(&mut self.touched)
    }

    /// Kills a process, and starts it anew.
    pub(crate) fn crash(&mut self, process: usize) {
        self.begin_step(u64::MAX - self.steps);
        self.kill(process);
    }

    /// The processes that serve a domain, and may be killed.
    pub(crate) fn mortals(&self) -> Vec<usize> {
        (0..self.alive.len()).filter(|it| self.alive[*it].service.is_some()).collect()
    }

    /// Has the clock tick: every job runs, and every outbox is relayed.
    pub(crate) fn tick(&mut self, service: usize) {
        self.begin_step(u64::MAX - self.steps);
        let target = self.instance(service, None);
        self.trace(target, || "the clock ticks".to_owned());
        let gate = self.gate(target);
        let Alive { process, host, ports, .. } = &self.alive[target];
        for job in &self.served[service].jobs {
            let (host, gate, job) = (host.clone().expect("services have hosts"), gate.clone(), job.clone());
            process.begin(async move {
                let result = host.run_job(&job).await.map_err(|error| error.to_string());
                gate.note(Arrival::Ended { what: job, result });
            });
        }
        let ports = ports.clone();
        process.begin(async move {
            let result = runtime::relay(&*ports.store, &*ports.bus).await;
            let result = result.map(drop).map_err(|error| error.to_string());
            gate.note(Arrival::Ended { what: "relay".to_owned(), result });
        });
        self.run(target);
    }

    /// How many domains there are.
    pub(crate) const fn services(&self) -> usize {
        self.served.len()
    }

    fn begin_step(&mut self, id: u64) {
        self.steps += 1;
        self.step = id;
        self.came = 0;
        self.touched = Footprint::default();
    }

    fn trace(&mut self, process: usize, line: impl FnOnce() -> String) {
        let Self { trace, alive, steps, millis, .. } = self;
        trace.note(|| {
            let millis = millis.load(Ordering::SeqCst) - BEGINNING_MILLIS;
            format!("{steps:5} {millis:6} ms  {:<14} {}", alive[process].name, line())
        });
    }

    fn answer(&mut self, waiting: Waiting, how: How) {
        let Waiting { process, ask, answer } = waiting;
        if how == How::Fails {
            let broken = Answer::Broken("it has failed, and nothing happened");
            self.trace(process, || format!("{ask} → {broken}"));
            return self.give(process, answer, broken);
        }
        let said = self.trace.is_kept().then(|| ask.to_string());
        let given = match ask {
            Ask::Get(key) => self.read(process, |it| it.get(&key).map(Answer::Record), Read::One(key.clone())),
            Ask::Query(query) => {
                let read = Read::Many(Arc::new(query.clone()));
                self.read(process, |it| it.query(&query).map(Answer::Rows), read)
            }
            Ask::Count(query) => {
                let read = Read::Many(Arc::new(query.clone()));
                self.read(process, |it| it.count(&query).map(Answer::Count), read)
            }
            Ask::Commit(writes) => self.commit(process, writes),
            Ask::Call(outgoing, trace) => {
                let service = self.served.iter().position(|served| {
                    served.operations.iter().any(|it| it == outgoing.operation)
                });
                let Some(service) = service else {
                    self.touched.played = true;
                    let given = self.peers.answer(&outgoing).map_or(
                        Answer::Broken("nobody plays this operation"),
                        |(status, body)| Answer::Replied(replied(status, body)),
                    );
                    return self.end(process, answer, given, said, how);
                };
                let random = self.alive[process].ports.random.clone();
                let incoming = Incoming {
                    bound: outgoing.path,
                    query: outgoing.query,
                    body: outgoing.body,
                    origin: Origin::Platform,
                    language: Language::En,
                    trace: runtime::Trace::continued(Some(&trace.traceparent()), &*random),
                    idempotency_key: None,
                };
                return self.begin_call(process, answer, service, outgoing.operation, incoming, how);
            }
            Ask::Request(operation, incoming) => {
                let service = self.served.iter().position(|served| {
                    served.operations.iter().any(|it| it == operation)
                });
                let service = service.unwrap_or_else(|| panic!("nobody serves {operation}"));
                return self.begin_call(process, answer, service, operation, incoming, how);
            }
            Ask::Publish(events) => {
                self.carry(events);
                Answer::Done
            }
            Ask::Send(message) => {
                self.mail.push(message.message_id);
                let heard = how != How::Unheard;
                let result = if heard { Ok(()) } else { Err(MailError::Unknown("it broke".into())) };
                Answer::Sent(result)
            }
            Ask::Taken(id) => {
                Answer::Taken(if self.mail.contains(&id) { Taken::Yes } else { Taken::No })
            }
            Ask::Touch => {
                self.touched.played = true;
                Answer::Done
            }
            Ask::Sleep(duration) => {
                self.let_time_pass(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
                Answer::Done
            }
        };
        self.end(process, answer, given, said, how);
    }

    /// Gives an answer that was found at once, or loses it.
    fn end(
        &mut self,
        process: usize,
        answer: oneshot::Sender<Answer>,
        given: Answer,
        said: Option<String>,
        how: How,
    ) {
        let said = said.unwrap_or_default();
        match how {
            How::Fatal => {
                self.trace(process, || format!("{said} → {given}, and dies before it hears so"));
                self.kill(process);
            }
            How::Unheard => {
                self.trace(process, || format!("{said} → {given}, and the answer is lost"));
                self.give(process, answer, Answer::Broken("the answer was lost"));
            }
            _ => {
                self.trace(process, || format!("{said} → {given}"));
                self.give(process, answer, given);
            }
        }
    }

    fn give(&mut self, process: usize, to: oneshot::Sender<Answer>, answer: Answer) {
        let _gone = to.send(answer);
        self.run(process);
    }

    fn read(
        &mut self,
        process: usize,
        read: impl FnOnce(&Documents) -> Result<Answer, String>,
        what: Read,
    ) -> Answer {
        let Some(service) = self.alive[process].service else {
            return Answer::Broken("people have no store");
        };
        self.touched.reads.push((service, what));
        match read(&self.served[service].documents) {
            Ok(answer) => answer,
            Err(wrong) => {
                self.hold(Err(wrong));
                Answer::Broken("the store refuses")
            }
        }
    }

    fn commit(&mut self, process: usize, writes: Vec<runtime::Write>) -> Answer {
        let Some(service) = self.alive[process].service else {
            return Answer::Broken("people have no store");
        };
        let keys: Vec<_> = writes.iter().map(|write| write.key().clone()).collect();
        match self.served[service].documents.commit(writes) {
            Ok(Ok(changes)) => {
                self.commits += 1;
                let stores = Stores(&self.served);
                let domain = self.served[service].name;
                let result = self.laws.committed(&Commit { domain, changes: &changes, stores });
                self.hold(result);
                self.touched.writes.extend(changes.into_iter().map(|changed| (service, changed)));
                Answer::Committed(Ok(()))
            }
            Ok(Err(conflict)) => {
                self.touched.reads.extend(keys.into_iter().map(|key| (service, Read::One(key))));
                Answer::Committed(Err(conflict))
            }
            Err(wrong) => {
                self.hold(Err(wrong));
                Answer::Broken("the store refuses")
            }
        }
    }

    /// Has a process of a domain answer a request.
    fn begin_call(
        &mut self,
        caller: usize,
        answer: oneshot::Sender<Answer>,
        service: usize,
        operation: &'static str,
        incoming: Incoming,
        how: How,
    ) {
        let target = self.instance(service, Some(caller));
        let fields: Vec<_> = incoming.bound.iter().map(|(_, value)| short(value)).collect();
        let (fields, body) = (fields.join(" "), String::from_utf8_lossy(&incoming.body).into_owned());
        let query = incoming.query.clone();
        let to = self.alive[target].name.clone();
        self.trace(caller, || format!("asks {to} to {operation} {fields}{query} {body}"));
        if how == How::Twice {
            let incoming = incoming.clone();
            self.wait(What::Stray { service, operation, incoming });
        }
        self.numbers += 1;
        let call = self.numbers;
        self.calls.insert(call, Call { caller, answer, target });
        let host = self.alive[target].host.clone().expect("services have hosts");
        let gate = self.gate(target);
        self.alive[target].process.begin(async move {
            let reply = host.request(operation, incoming).await;
            gate.note(Arrival::Replied { call, reply });
        });
        self.run(target);
        if how == How::Fatal {
            self.kill(target);
        }
    }

    fn reply(&mut self, call: u64, reply: Reply, how: How) {
        let Some(Call { caller, answer, .. }) = self.calls.remove(&call) else { return };
        let status = reply.status;
        if how == How::Well {
            self.trace(caller, || format!("hears {status} {}", reason(&reply)));
            self.give(caller, answer, Answer::Replied(reply));
        } else {
            self.trace(caller, || format!("doesn't hear the {status}"));
            self.give(caller, answer, Answer::Broken("the answer was lost"));
        }
    }

    fn carry(&mut self, events: Vec<Envelope>) {
        for event in events {
            let event = Arc::new(event);
            for service in 0..self.served.len() {
                let subscribers = self.served[service].subscribers.clone();
                for (_, subscriber) in subscribers.into_iter().filter(|it| it.0 == event.kind) {
                    let event = event.clone();
                    self.wait(What::Delivery(Delivery { service, subscriber, event }));
                }
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery, how: How) {
        let Delivery { service, subscriber, event } = delivery.clone();
        if how == How::Fails {
            // It's dropped, and delivered again later.
            return self.wait(What::Delivery(delivery));
        }
        if how == How::Twice {
            self.wait(What::Delivery(delivery.clone()));
        }
        let target = self.instance(service, None);
        self.trace(target, || format!("{subscriber} of {} {}", event.kind, short(&event.id)));
        self.numbers += 1;
        let number = self.numbers;
        self.handling.insert(number, (target, delivery));
        let host = self.alive[target].host.clone().expect("services have hosts");
        let gate = self.gate(target);
        self.alive[target].process.begin(async move {
            let result = host.deliver(&subscriber, event).await.map_err(|error| error.to_string());
            gate.note(Arrival::Handled { delivery: number, result });
        });
        self.run(target);
    }

    /// The process that serves a caller, or an event.
    fn instance(&mut self, service: usize, caller: Option<usize>) -> usize {
        let processes = self.served[service].processes.clone();
        match (self.routing, caller) {
            (Routing::Chance, _) => processes.start + self.births.below(processes.len()),
            (Routing::Caller, None) => processes.end - 1,
            (Routing::Caller, Some(caller)) => {
                let people = self.alive.iter().take(caller).filter(|it| it.service.is_none());
                processes.start + people.count() % processes.len()
            }
        }
    }

    /// Runs a process until all of it waits, and takes note of what has come.
    fn run(&mut self, process: usize) {
        self.touched.processes.push(process);
        self.alive[process].process.run();
        let arrivals = std::mem::take(&mut *self.arrivals.lock().expect("no holder panics"));
        for arrival in arrivals {
            match arrival {
                Arrival::Asked(waiting) => self.wait(What::Asked(waiting)),
                Arrival::Replied { call, reply } => {
                    if reply.status == 500 && self.strict {
                        self.hold(Err(format!("a 500 though nothing failed: {}", reason(&reply))));
                    }
                    if self.calls.contains_key(&call) {
                        self.wait(What::Replied { call, reply });
                    }
                }
                Arrival::Handled { delivery, result } => self.handled(process, delivery, result),
                Arrival::Ended { what, result } => {
                    if let Err(why) = result {
                        self.trace(process, || format!("{what} failed: {why}"));
                        if self.strict {
                            self.hold(Err(format!("{what} fails though nothing failed: {why}")));
                        }
                    }
                }
                Arrival::Left => self.people -= 1,
            }
        }
        // Who waited in vain, because it was overtaken or dropped, waits no more.
        self.pending.retain(|pending| match &pending.what {
            What::Asked(waiting) => !waiting.answer.is_closed(),
            What::Replied { .. } | What::Delivery(_) | What::Stray { .. } => true,
        });
    }

    fn handled(&mut self, process: usize, number: u64, result: Result<(), String>) {
        let Some((_, delivery)) = self.handling.remove(&number) else { return };
        if let Err(why) = result {
            let subscriber = delivery.subscriber.clone();
            self.trace(process, || format!("{subscriber} failed: {why}"));
            if self.strict {
                self.hold(Err(format!("{subscriber} fails though nothing failed: {why}")));
            }
            self.wait(What::Delivery(delivery));
        }
    }

    fn wait(&mut self, what: What) {
        self.came += 1;
        let id = mixed(self.step, self.came);
        self.pending.push(Pending { id, cause: self.step, what, ready_at: None });
    }

    /// Kills a process: its tasks are dropped, and whoever waited for it hears
    /// that the connection broke. Then it's started anew.
    fn kill(&mut self, process: usize) {
        let Some(service) = self.alive[process].service else { return };
        self.trace(process, || "DIES, and is started anew".to_owned());
        let name = self.alive[process].name.clone();
        self.alive[process] = self.born(service, process, name);
        self.touched.processes.push(process);
        self.pending.retain(|pending| match &pending.what {
            What::Asked(waiting) => waiting.process != process,
            What::Replied { .. } | What::Delivery(_) | What::Stray { .. } => true,
        });
        let undone: Vec<_> =
            self.handling.iter().filter(|(_, it)| it.0 == process).map(|(id, _)| *id).collect();
        for id in undone {
            let (_, delivery) = self.handling.remove(&id).expect("it was just there");
            self.wait(What::Delivery(delivery));
        }
        // An answer that has left the process is on its way; the others never come.
        let on_the_way = |call: u64| {
            let is = |it: &Pending| matches!(it.what, What::Replied { call: its, .. } if its == call);
            self.pending.iter().any(is)
        };
        let broken: Vec<_> = self
            .calls
            .iter()
            .filter(|(id, call)| call.target == process && !on_the_way(**id))
            .map(|(id, _)| *id)
            .collect();
        for id in broken {
            let Call { caller, answer, .. } = self.calls.remove(&id).expect("it was just there");
            self.trace(caller, || "hears that the connection broke".to_owned());
            self.give(caller, answer, Answer::Broken("the connection broke"));
        }
    }
}

impl Pending {
    /// What a scheduler may do with it, besides letting it go well.
    pub(crate) fn may(&self) -> &'static [How] {
        match &self.what {
            What::Asked(waiting) => match &waiting.ask {
                Ask::Get(_) | Ask::Query(_) | Ask::Count(_) | Ask::Taken(_) => &[How::Fails],
                Ask::Commit(_) | Ask::Publish(_) | Ask::Send(_) => {
                    &[How::Fails, How::Unheard, How::Fatal]
                }
                Ask::Call(..) | Ask::Request(..) => {
                    &[How::Fails, How::Fatal, How::Twice]
                }
                Ask::Sleep(_) | Ask::Touch => &[],
            },
            What::Replied { .. } => &[How::Unheard],
            What::Delivery(_) => &[How::Fails, How::Twice],
            What::Stray { .. } => &[],
        }
    }
}

fn replied(status: u16, body: runtime::Bytes) -> Reply {
    Reply { status, body, replayed: false, retry_after: None, problem: None }
}

fn reason(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = |field: &str| body[field].as_str().map(str::to_owned);
    word("reason").or_else(|| word("state")).unwrap_or_default()
}

/// An id for what came of a step, the same whenever the same comes of the same.
fn mixed(step: u64, ordinal: u64) -> u64 {
    let mut dice = Dice::of(step.rotate_left(17) ^ ordinal);
    dice.throw()
}
