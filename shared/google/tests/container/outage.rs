//! Pub/Sub is away for a while: whoever asks is answered all the same, and what
//! they did is told once it's back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use testing::emulators;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::{
    courier::{Courier, What},
    stock::{Carried, Rack, stock, until},
};

/// How long who asks may wait at most: much longer than the container gives Pub/Sub, and
/// much shorter than a function's time-out.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

const RACKS: [&str; 3] = ["a", "b", "c"];

/// What Pub/Sub does to whoever wants to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It takes what comes.
    Well,
    /// It breaks connections, old ones and new ones.
    Refuses,
    /// It says nothing; but what has been sent to it is there when it's well again.
    Hangs,
}

/// The way to Pub/Sub; when it's dropped, there's none.
struct Way {
    host: String,
    mood: watch::Sender<Mood>,
    /// How many requests to publish have got through.
    published: Arc<AtomicUsize>,
    _work: JoinSet<()>,
}

impl Way {
    async fn to(emulator: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (mood, published) = (watch::Sender::new(Mood::Well), Arc::<AtomicUsize>::default());
        let (watched, counted) = (mood.clone(), published.clone());
        let mut work = JoinSet::new();
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(emulator).await else { return };
                connections.spawn(carry(near, far, watched.subscribe(), counted.clone()));
            }
        });
        Self { host, mood, published, _work: work }
    }

    fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    fn published(&self) -> usize {
        self.published.load(Ordering::SeqCst)
    }
}

/// Carries both ways, as long as the mood allows.
async fn carry(
    near: TcpStream,
    far: TcpStream,
    mut mood: watch::Receiver<Mood>,
    published: Arc<AtomicUsize>,
) {
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let mut patient = mood.clone();
    let there = async {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = near_in.read(&mut bytes).await {
            let goes_on = patient.wait_for(|it| *it != Mood::Hangs).await.map(|it| *it);
            if goes_on.ok() != Some(Mood::Well) {
                return;
            }
            if bytes[..count].windows(8).any(|it| it == b":publish") {
                published.fetch_add(1, Ordering::SeqCst);
            }
            if far_out.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        // Who sent it doesn't wait any longer, and Pub/Sub works on it all the same.
        std::future::pending::<()>().await;
    };
    let back = async {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = far_in.read(&mut bytes).await {
            if near_out.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = mood.wait_for(|it| *it == Mood::Refuses) => {}
    }
}

/// A container whose way to Pub/Sub has its moods, and to which Pub/Sub pushes by a courier.
struct World {
    stock: Carried,
    way: Way,
    courier: Courier,
}

impl World {
    async fn new() -> Option<Self> {
        let emulator = emulators::pubsub()?;
        let way = Way::to(emulator.address()).await;
        let stock = Carried::start(emulator, stock, &way.host).await;
        let courier = Courier::faithful(&stock.container.url).await;
        stock.is_pushed_to(&courier.url).await;
        let world = Self { stock, way, courier };
        // All is well at first; and so there's a connection.
        assert_eq!(world.moves("first").await, [1; RACKS.len()]);
        world.is_told().await;
        Some(world)
    }

    /// Moves goods onto each rack at once; the revisions that are answered.
    async fn moves(&self, key: &str) -> Vec<u64> {
        let answers = join_all(RACKS.map(async |rack| {
            let key = format!("{rack}-{key}");
            let asked = self.stock.move_goods(rack, 7, &key);
            let answer = timeout(ANSWERED_WITHIN, asked).await.expect("it's answered in time");
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            answer.body["revision"].as_u64().unwrap()
        }));
        answers.await
    }

    async fn relay(&self) -> u16 {
        self.stock.container.send("POST", "/jobs/stock.relay", &[], "").await.status
    }

    /// Everything that was moved is told, once.
    async fn is_told(&self) {
        until("everything is told", async || {
            for rack in RACKS {
                if !self.stock.is_told(rack).await {
                    return false;
                }
            }
            self.stock.waiting().await == 0 && self.courier.is_settled()
        })
        .await;
        for rack in RACKS {
            self.stock.is_told_right(rack).await;
        }
    }

    /// How often the second moves were pushed.
    fn second_moves_were_pushed(&self) -> Vec<u32> {
        let pushed = self.courier.log().pushed.into_iter();
        let is_one = |it: &What| it.revision == 2 && it.path.ends_with("on_stock_moved");
        pushed.filter(|(what, _)| is_one(what)).map(|(_, times)| times).collect()
    }

    /// What was moved while Pub/Sub was away is kept, and nobody has heard of it.
    async fn waits(&self) {
        assert_eq!(self.stock.waiting().await, RACKS.len() as u64);
        for rack in RACKS {
            assert_eq!(self.stock.get::<Rack>(rack).await.unwrap().revision, 2);
            assert!(!self.stock.is_told(rack).await);
        }
    }
}

#[tokio::test]
async fn while_the_bus_refuses_requests_are_answered_and_their_events_wait() {
    let Some(world) = World::new().await else { return };
    let published = world.way.published();
    world.way.is(Mood::Refuses);
    assert_eq!(world.moves("second").await, [2; RACKS.len()]);
    world.waits().await;
    // The relay can't do it either, says so, and keeps them.
    assert_eq!(world.relay().await, 503);
    world.waits().await;
    // Who asks again is told the same, and nothing is moved.
    assert_eq!(world.moves("second").await, [2; RACKS.len()]);
    world.waits().await;
    assert_eq!(world.way.published(), published);

    world.way.is(Mood::Well);
    assert_eq!(world.relay().await, 204);
    world.is_told().await;
    assert_eq!(world.relay().await, 204);
    world.is_told().await;
    assert_eq!(world.stock.given_up().await, 0);
    assert!(world.way.published() > published);
    assert_eq!(world.second_moves_were_pushed(), [1; RACKS.len()]);
}

#[tokio::test]
async fn while_the_bus_hangs_requests_are_answered_in_time_and_what_arrives_late_is_told_once() {
    let Some(world) = World::new().await else { return };
    let published = world.way.published();
    world.way.is(Mood::Hangs);
    assert_eq!(world.moves("second").await, [2; RACKS.len()]);
    world.waits().await;
    assert_eq!(world.way.published(), published);

    // What was sent to it arrives now, beside what the relay sends: each is published twice.
    world.way.is(Mood::Well);
    assert_eq!(world.relay().await, 204);
    until("what hung is pushed too", async || world.second_moves_were_pushed() == [2; RACKS.len()])
        .await;
    world.is_told().await;
    assert_eq!(world.stock.given_up().await, 0);
}
