//! The world of a simulation: stores that outlive everything, processes that
//! may die, a bus that delivers at least once, and people outside. It only
//! moves when it's told which of those who wait is to go on, and how.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use contracts::{Endpoint, Problem, Timestamp};
use runtime::{Envelope, Host, Ports, Settings, files::NoFiles};
use tokio::sync::oneshot;

use super::{
    Dice, Laws, Person, Service, Stores, Trace,
    documents::Documents,
    footprint::Footprint,
    gate::{Answer, Arrival, Gate},
    pending::{Delivery, Pending},
    ports::Simulated,
    process::Process,
    service::{Alive, Given, Served},
};
use crate::{SeededRandom, peers::Peers};

/// The world of a simulation.
pub struct World {
    pub(crate) arrivals: Arc<Mutex<Vec<Arrival>>>,
    pub(crate) served: Vec<Served>,
    pub(crate) alive: Vec<Alive>,
    pub(crate) peers: Arc<Peers>,
    /// Who waits for their turn, in the order of coming.
    pub(crate) pending: Vec<Pending>,
    /// The requests that run somewhere.
    pub(crate) calls: BTreeMap<u64, Call>,
    /// The events that a process is handling.
    pub(crate) handling: BTreeMap<u64, (usize, Delivery)>,
    /// The events that are told when all else has happened.
    pub(crate) at_last: Vec<Envelope>,
    /// The messages that the mail provider has.
    pub(crate) mail: Vec<String>,
    pub(crate) laws: Box<dyn Laws>,
    pub(crate) trace: Trace,
    /// How many steps were taken, and how many commits were made.
    pub(crate) steps: u64,
    pub(crate) commits: u64,
    /// Whether a fault of ours breaks a law, since nothing fails around us.
    pub(crate) strict: bool,
    /// What opens this world, and not another: options of `cargo xtask simulate`.
    pub(crate) opened_by: &'static str,
    /// How much time passes between two ticks when nobody waits for anything.
    pub(crate) between_ticks: Duration,
    /// What the step that is being taken has touched so far.
    pub(crate) touched: Footprint,
    /// The step that is being taken, and how many have come of it so far.
    pub(crate) step: u64,
    pub(crate) came: u64,
    /// Whether who begins anew is known by that alone, and no more by what they did before.
    pub(crate) forgets: bool,
    /// Whether something began in the step that is being taken, or who began anew.
    pub(crate) began: bool,
    pub(crate) anew: Option<u64>,
    /// How many calls and deliveries have begun.
    pub(crate) begun: u64,
    /// How many people are outside.
    pub(crate) people: usize,
    /// What the processes' chance comes from, and which process gets a request.
    pub(crate) chance: Dice,
    pub(crate) routing: Routing,
    millis: Arc<AtomicI64>,
    looked: Arc<AtomicBool>,
    relays_at_once: Arc<AtomicBool>,
    reads_at_one_moment: Arc<AtomicBool>,
    begins_anew: Arc<AtomicBool>,
    /// The law that was broken first, but for those that [`Laws::broken`] tells of.
    pub(crate) violation: Option<String>,
    seen: BTreeMap<String, u64>,
}

/// A request that runs in a process.
pub(crate) struct Call {
    pub(crate) caller: usize,
    pub(crate) answer: oneshot::Sender<Answer>,
    pub(crate) target: usize,
}

/// Which process serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// One that chance picks, as a balancer does.
    Chance,
    /// Each caller has their own, and so does what they have told or run; the last
    /// process takes what nobody outside has begun.
    Caller,
}

/// When each world begins: 2026-03-02T12:00:00Z, a Monday.
const BEGINNING_MILLIS: i64 = 1_772_452_800_000;

impl World {
    /// A world with these domains and nobody in it. All that chance decides in
    /// its processes comes from the seed.
    pub fn new(services: Vec<Service>, laws: impl Laws + 'static, seed: u64) -> Self {
        let mut world = Self {
            arrivals: Arc::default(),
            served: Vec::new(),
            alive: Vec::new(),
            peers: Arc::default(),
            pending: Vec::new(),
            calls: BTreeMap::new(),
            handling: BTreeMap::new(),
            at_last: Vec::new(),
            mail: Vec::new(),
            laws: Box::new(laws),
            trace: Trace::default(),
            steps: 0,
            commits: 0,
            strict: false,
            opened_by: "",
            between_ticks: Duration::ZERO,
            touched: Footprint::default(),
            step: 0,
            came: 0,
            begun: 0,
            people: 0,
            // Another chance than the storm's, which has the same seed.
            chance: Dice::of(!seed),
            routing: Routing::Chance,
            millis: Arc::new(AtomicI64::new(BEGINNING_MILLIS)),
            looked: Arc::default(),
            relays_at_once: Arc::new(AtomicBool::new(true)),
            reads_at_one_moment: Arc::default(),
            begins_anew: Arc::default(),
            forgets: false,
            began: false,
            anew: None,
            violation: None,
            seen: BTreeMap::new(),
        };
        for service in services {
            world.serve(service);
        }
        world
    }

    /// Leaves events in the outboxes until a tick relays them.
    #[must_use]
    pub fn relaying_later(self) -> Self {
        self.relays_at_once.store(false, Ordering::SeqCst);
        self
    }

    /// Reads several documents that are asked for together at one moment: nobody writes
    /// between two of them.
    #[must_use]
    pub fn reading_at_one_moment(self) -> Self {
        self.reads_at_one_moment.store(true, Ordering::SeqCst);
        self
    }

    /// Gives whoever begins anew the same chance, whatever they have done before.
    pub(crate) fn beginning_anew(&mut self) {
        self.begins_anew.store(true, Ordering::SeqCst);
    }

    /// Knows whoever begins anew by that alone, and no more by what they did before.
    #[must_use]
    pub(crate) const fn forgetting(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Says which options of `cargo xtask simulate` open this world, and not another.
    #[must_use]
    pub const fn opened_by(mut self, options: &'static str) -> Self {
        self.opened_by = options;
        self
    }

    /// Lets so much time pass before the clock ticks for those who wait for nothing else:
    /// so whatever is due by then is done before the world comes to rest.
    #[must_use]
    pub const fn ticking_every(mut self, between_ticks: Duration) -> Self {
        self.between_ticks = between_ticks;
        self
    }

    /// Gives each person a process of their own to talk to.
    #[must_use]
    pub const fn routed_by_caller(mut self) -> Self {
        self.routing = Routing::Caller;
        self
    }

    /// Begins with what another world of the same domains had stored.
    #[must_use]
    pub(crate) fn with_documents(mut self, documents: Vec<Documents>) -> Self {
        for (served, documents) in self.served.iter_mut().zip(documents) {
            served.documents = documents;
        }
        self
    }

    /// What is stored, to begin other worlds with.
    pub(crate) fn documents(&self) -> Vec<Documents> {
        self.served.iter().map(|served| served.documents.clone()).collect()
    }

    /// Plays an operation of a domain that isn't simulated.
    pub fn play<E: Endpoint>(
        &self,
        answer: impl Fn(E) -> Result<E::Response, Problem> + Send + Sync + 'static,
    ) {
        self.peers.play(answer);
    }

    /// Lets somebody in, who does what the script says.
    pub fn enter<Acts>(&mut self, name: &str, script: impl FnOnce(Person) -> Acts)
    where
        Acts: Future<Output = ()> + Send + 'static,
    {
        let own = self.alive.len();
        let gate = self.gate(own);
        let (ports, beginning) = self.ports(&gate);
        let ports = Arc::new(ports);
        let process = Process::new();
        let acts = script(Person::new(name, gate.clone(), ports.clone()));
        process.begin(async move {
            acts.await;
            gate.note(Arrival::Left);
        });
        let (name, service, host) = (name.to_owned(), None, None);
        self.alive.push(Alive { name, service, process, host, ports, beginning });
        self.people += 1;
        self.run(own);
    }

    /// What is stored.
    pub fn stores(&self) -> Stores<'_> {
        Stores { served: &self.served, mail: &self.mail, now: self.now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    /// Whether somebody has looked at the time since this was asked last.
    pub(crate) fn was_looked_at(&self) -> bool {
        self.looked.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn set_time(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    pub(crate) fn let_time_pass(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// How many domains there are.
    pub(crate) const fn services(&self) -> usize {
        self.served.len()
    }

    /// The processes that serve a domain, and may be killed.
    pub(crate) fn mortals(&self) -> Vec<usize> {
        (0..self.alive.len()).filter(|it| self.alive[*it].service.is_some()).collect()
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
        let stores = Stores { served: &self.served, mail: &self.mail, now: self.now() };
        let result = self.laws.at_rest(&stores);
        self.hold(result);
        if self.people > 0 {
            self.hold(Err(format!("{} people wait for ever", self.people)));
        }
    }

    /// Where it stands, in one number, once nobody waits: two worlds in which it's the
    /// same come to rest alike. Nothing: there's no telling. Versions and the chance
    /// that ids are made of aren't part of it, since nothing is decided by them.
    pub(crate) fn standing(&self) -> Option<u64> {
        debug_assert!(self.pending.is_empty(), "somebody waits, who remembers something");
        self.standing_with(self.people)
    }

    /// The same if so many people were still there.
    pub(crate) fn standing_with(&self, people: usize) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.laws.memory()?.hash(&mut hasher);
        (self.now().as_millis(), people, &self.mail).hash(&mut hasher);
        for served in &self.served {
            served.documents.content().for_each(|document| document.hash(&mut hasher));
        }
        for event in &self.at_last {
            serde_json::to_string(event).ok()?.hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    pub(crate) fn hold(&mut self, result: Result<(), String>) {
        if let Err(broken) = result
            && self.violation.is_none()
        {
            self.trace.note(|| format!("BROKEN LAW: {broken}"));
            self.violation = Some(broken);
        }
    }

    /// Notes that something has happened, which a run may be void without.
    pub(crate) fn see(&mut self, what: &str) {
        match self.seen.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.seen.insert(what.to_owned(), 1)),
        }
    }

    /// What has happened, and how often.
    pub(crate) fn seen(&self) -> BTreeMap<String, u64> {
        let mut seen = self.laws.seen();
        seen.extend(self.seen.clone());
        seen
    }

    pub(crate) fn trace(&mut self, process: usize, line: impl FnOnce() -> String) {
        let Self { trace, alive, steps, millis, .. } = self;
        trace.note(|| {
            let millis = millis.load(Ordering::SeqCst) - BEGINNING_MILLIS;
            format!("{steps:5} {millis:6} ms  {:<14} {}", alive[process].name, line())
        });
    }

    fn serve(&mut self, service: Service) {
        let (index, first) = (self.served.len(), self.alive.len());
        let served = Served::new(service, first);
        let (name, processes) = (served.name, served.processes.clone());
        self.served.push(served);
        for process in processes {
            let alive = self.born(index, process, format!("{name}#{}", process - first));
            self.alive.push(alive);
        }
    }

    /// A new life of a process that serves a domain: it remembers nothing.
    pub(crate) fn born(&mut self, service: usize, process: usize, name: String) -> Alive {
        let (mut ports, beginning) = self.ports(&self.gate(process));
        let instance = u32::try_from(process).expect("a world is small");
        ports.settings = Arc::new(Settings { instance, ..Settings::clone(&ports.settings) });
        let Service { domain, ports: between, .. } = &self.served[service].service;
        let ports = Arc::new(between(ports));
        let host = Host::new(vec![(domain(), ports.clone())], None);
        let (service, process, host) = (Some(service), Process::new(), Some(host));
        Alive { name, service, process, host, ports, beginning }
    }

    pub(crate) fn gate(&self, process: usize) -> Gate {
        Gate { process, arrivals: self.arrivals.clone() }
    }

    fn ports(&mut self, gate: &Gate) -> (Ports, Arc<AtomicU64>) {
        let random = Arc::new(SeededRandom::of(self.chance.throw()));
        let beginning = Arc::<AtomicU64>::default();
        let simulated = Arc::new(Simulated {
            gate: gate.clone(),
            millis: self.millis.clone(),
            looked: self.looked.clone(),
            relays_at_once: self.relays_at_once.clone(),
            reads_at_one_moment: self.reads_at_one_moment.clone(),
            random: random.clone(),
            beginning: beginning.clone(),
            begins_anew: self.begins_anew.clone(),
        });
        let Given { keyring, verifier, secret, settings } = Given::ports();
        let ports = Ports {
            store: simulated.clone(),
            files: Arc::new(NoFiles("no files are simulated")),
            client: simulated.clone(),
            bus: simulated.clone(),
            mail: simulated.clone(),
            clock: simulated,
            random,
            keyring,
            verifier,
            secret,
            settings,
        };
        (ports, beginning)
    }
}
