//! A courier between Pub/Sub and a container: what a network, a restarting
//! instance and Pub/Sub's own promise of "at least once" do to pushes now and then,
//! it does to most of them. And what was published takes effect once all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use runtime::{Random as _, SystemRandom};
use serde_json::Value;
use testing::{emulators, simulation::Dice};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::stock::{Carried, Heard, stock, until};

/// What the courier does to a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It's forwarded, and so is its answer.
    Arrives,
    /// It's forwarded after a while.
    IsLate,
    /// It's forwarded when a newer one of the same subject has been taken, if one is.
    IsOvertaken,
    /// It's forwarded twice at once.
    ComesTwice,
    /// It isn't forwarded, and is answered 503: it's to come again.
    IsLost,
    /// It's forwarded, and the connection breaks before its answer is out: it comes again
    /// though it was taken.
    AnswerIsLost,
}

/// How often a push is treated badly before it's left alone: less often than
/// makes a dead letter of it.
const WORST: u32 = 3;

/// How long a push that is to be overtaken waits for it.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(300);

/// A courier; when it's dropped, nobody answers any more.
pub struct Courier {
    pub url: String,
    round: Arc<Round>,
    _work: JoinSet<()>,
}

struct Round {
    /// Whom it forwards to.
    to: String,
    /// What decides; a courier without one forwards everything at once.
    seed: Option<u64>,
    client: reqwest::Client,
    log: watch::Sender<Log>,
}

/// What has happened to pushes.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// How often each thing has really happened to one.
    pub fates: BTreeMap<Fate, u32>,
    /// How often each event was pushed.
    pub pushed: BTreeMap<What, u32>,
    /// The events that were forwarded and taken, in that order.
    pub taken: Vec<What>,
    /// The events that Pub/Sub hasn't been told to be taken, after all its pushes.
    owed: BTreeSet<What>,
    /// How many are under way.
    under_way: u32,
}

/// An event, as a courier tells it from others: for whom it is, what it happened
/// to and which it is of those.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct What {
    pub path: String,
    pub subject: String,
    pub revision: u64,
}

impl Log {
    fn note(&mut self, fate: Fate) {
        *self.fates.entry(fate).or_default() += 1;
    }

    /// Whether a newer one of the same subject was taken.
    fn is_overtaken(&self, what: &What) -> bool {
        let overtakes = |it: &What| {
            it.path == what.path && it.subject == what.subject && it.revision > what.revision
        };
        self.taken.iter().any(overtakes)
    }

    /// How many events were first taken after a newer one of the same subject.
    fn inversions(&self) -> usize {
        let (mut newest, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut inversions = 0;
        for what in self.taken.iter().filter(|&it| seen.insert(it)) {
            let newest = newest.entry((&what.path, &what.subject)).or_insert(0);
            if what.revision < *newest {
                inversions += 1;
            }
            *newest = what.revision.max(*newest);
        }
        inversions
    }

    /// Whether Pub/Sub has nothing left to push, as far as one can tell.
    fn is_settled(&self) -> bool {
        self.owed.is_empty() && self.under_way == 0
    }
}

impl Courier {
    /// One that forwards everything at once, to a container.
    pub async fn faithful(to: &str) -> Self {
        Self::start(to, None).await
    }

    /// One that does as its seed says.
    pub async fn seeded(to: &str, seed: u64) -> Self {
        Self::start(to, Some(seed)).await
    }

    async fn start(to: &str, seed: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let round =
            Arc::new(Round { to: to.to_owned(), seed, client, log: watch::Sender::default() });
        let mut work = JoinSet::new();
        let accepting = round.clone();
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, accepting.clone()));
            }
        });
        Self { url, round, _work: work }
    }

    /// What has happened so far.
    pub fn log(&self) -> Log {
        self.round.log.borrow().clone()
    }

    /// Whether nothing is under way, and everything is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.round.log.borrow().is_settled()
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("what the courier did: {:#?}", self.log());
        }
    }
}

/// Answers pushes on one connection, until one isn't answered.
async fn serve(stream: TcpStream, round: Arc<Round>) {
    let mut stream = BufReader::new(stream);
    while let Some(push) = Push::read(&mut stream).await {
        // To close it without a word is what a broken network does.
        let Some(status) = round.deliver(push).await else { return };
        let head = format!("HTTP/1.1 {status} Answered\r\n");
        let length = if status == 204 { "\r\n" } else { "Content-Length: 0\r\n\r\n" };
        if stream.write_all((head + length).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What Pub/Sub pushes.
struct Push {
    what: What,
    body: Vec<u8>,
}

impl Push {
    /// The next one on a connection; none where it has ended.
    async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let (mut head, mut line) = (Vec::new(), String::new());
        while stream.read_line(&mut line).await.ok()? > 2 {
            head.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        let path = head.first()?.split(' ').nth(1)?.to_owned();
        let length = head.iter().find_map(|it| {
            let (name, value) = it.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        let mut body = vec![0; length.expect("a push says how long it is")];
        stream.read_exact(&mut body).await.ok()?;
        let pushed: Value = serde_json::from_slice(&body).unwrap();
        let message = &pushed["message"];
        let data = BASE64_STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
        let event: Value = serde_json::from_slice(&data).unwrap();
        let subject = message["attributes"]["ce-subject"].as_str().unwrap().to_owned();
        let what = What { path, subject, revision: event["revision"].as_u64().unwrap() };
        Some(Self { what, body })
    }
}

impl Round {
    /// Does to a push what is its fate; the answer, if there's one.
    async fn deliver(&self, push: Push) -> Option<u16> {
        let mut tries = 0;
        self.log.send_modify(|log| {
            log.under_way += 1;
            log.owed.insert(push.what.clone());
            let pushed = log.pushed.entry(push.what.clone()).or_default();
            tries = *pushed;
            *pushed += 1;
        });
        let (fate, pause) = self.fate(&push.what, tries);
        let status = match fate {
            Fate::Arrives => Some(self.forward(&push).await),
            Fate::IsLate => {
                sleep(pause).await;
                Some(self.forward(&push).await)
            }
            Fate::IsOvertaken => {
                let mut log = self.log.subscribe();
                let overtaken = log.wait_for(|log| log.is_overtaken(&push.what));
                // There may be no newer one.
                drop(timeout(OVERTAKEN_WITHIN, overtaken).await);
                Some(self.forward(&push).await)
            }
            Fate::ComesTwice => {
                let (one, other) = tokio::join!(self.forward(&push), self.forward(&push));
                Some(one.max(other))
            }
            Fate::IsLost => Some(503),
            Fate::AnswerIsLost => {
                self.forward(&push).await;
                None
            }
        };
        self.log.send_modify(|log| {
            log.note(fate);
            log.under_way -= 1;
            if status == Some(204) {
                log.owed.remove(&push.what);
            }
        });
        status
    }

    /// What happens to an event the next time it's pushed, and for how long if it's late: the
    /// same for the same seed, whenever it comes and whatever else does.
    fn fate(&self, what: &What, tries: u32) -> (Fate, Duration) {
        let Some(seed) = self.seed.filter(|_| tries < WORST) else {
            return (Fate::Arrives, Duration::ZERO);
        };
        // The oldest of each subject is lost at first, so that it's overtaken in every run.
        if what.revision == 1 && tries == 0 {
            return (Fate::IsLost, Duration::ZERO);
        }
        let mut hasher = DefaultHasher::new();
        (seed, what, tries).hash(&mut hasher);
        let mut dice = Dice::of(hasher.finish());
        let fate = *dice.one_of(&[
            Fate::Arrives,
            Fate::IsLate,
            Fate::IsOvertaken,
            Fate::ComesTwice,
            Fate::IsLost,
            Fate::AnswerIsLost,
        ]);
        (fate, Duration::from_millis(dice.below(200) as u64))
    }

    async fn forward(&self, push: &Push) -> u16 {
        let request = self.client.post(format!("{}{}", self.to, push.what.path));
        let request = request.header("content-type", "application/json");
        let sent = request.body(push.body.clone()).send().await;
        let status = sent.unwrap().status().as_u16();
        if status == 204 {
            self.log.send_modify(|log| log.taken.push(push.what.clone()));
        }
        status
    }
}

/// What decides; whoever looks for a fault says which seed.
#[expect(clippy::disallowed_methods, reason = "whoever looks for a fault says which seed")]
fn seed() -> u64 {
    let said = env::var("AULA_COURIER_SEED").ok().and_then(|it| it.parse().ok());
    let seed = said.unwrap_or_else(|| {
        let mut bytes = [0; 4];
        SystemRandom.fill(&mut bytes);
        u32::from_le_bytes(bytes).into()
    });
    println!("AULA_COURIER_SEED={seed} has the same done to each push again");
    seed
}

const RACKS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// How often goods are moved onto each.
const MOVES: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_courier_delays_repeats_reorders_and_loses_takes_effect_once() {
    let Some(emulator) = emulators::pubsub() else { return };
    let stock = Carried::start(emulator, stock, &emulator.host()).await;
    let courier = Courier::seeded(&stock.container.url, seed()).await;
    stock.is_pushed_to(&courier.url).await;

    join_all(RACKS.map(async |rack| {
        for count in 1..=MOVES {
            let answer = stock.move_goods(rack, count, &format!("{rack}-{count}")).await;
            assert_eq!((answer.status, &answer.body["revision"]), (200, &count.into()));
        }
    }))
    .await;
    until("everything is told and acknowledged", async || {
        for rack in RACKS {
            if !stock.is_told(rack).await {
                return false;
            }
        }
        courier.is_settled() && stock.waiting().await == 0
    })
    .await;

    let mut outdated = 0;
    for rack in RACKS {
        stock.is_told_right(rack).await;
        outdated += stock.get::<Heard>(rack).await.unwrap().outdated;
    }
    assert_eq!(stock.given_up().await, 0, "nothing was given up that could be taken");
    // All of it has really happened.
    let log = courier.log();
    let happened = |fate| log.fates.get(&fate).copied().unwrap_or_default();
    for fate in [Fate::IsLate, Fate::ComesTwice, Fate::IsLost, Fate::AnswerIsLost] {
        assert!(happened(fate) > 0, "{fate:?}");
    }
    let events = 2 * RACKS.len() * usize::try_from(MOVES).unwrap();
    assert_eq!(log.pushed.len(), events, "each was pushed");
    let pushes: u32 = log.pushed.values().sum();
    let again = happened(Fate::IsLost) + happened(Fate::AnswerIsLost);
    assert!(pushes as usize >= events + again as usize, "what was lost came again");
    assert!(log.taken.len() > events, "some were taken more than once");
    assert!(log.inversions() > 0, "some were overtaken");
    assert!(outdated > 0, "and were older than what was known");
    println!(
        "{events} events, {pushes} pushes, {} inversions, {outdated} outdated, {:?}",
        log.inversions(),
        log.fates
    );
}
