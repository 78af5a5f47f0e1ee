//! A proxy in front of the emulator that loses what it is told to lose.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// What happens to the next request that can be told from others by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives, and so does its answer.
    Arrives,
    /// It's answered, but the connection breaks before the answer is out.
    AnswerIsLost,
    /// The connection breaks before it arrives.
    IsLost,
    /// Neither it nor anything after it arrives on this connection, and nobody says so.
    IsSwallowed,
}

/// A proxy; when it's dropped, its connections break.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    _work: JoinSet<()>,
}

struct State {
    /// What makes a request one that something happens to: bytes that it contains.
    mark: Vec<u8>,
    /// What happens to the next ones.
    fates: Mutex<Vec<Fate>>,
    connections: AtomicUsize,
    /// How many requests something has happened to.
    met: AtomicUsize,
}

impl State {
    /// What happens to a request with these bytes.
    fn fate(&self, bytes: &[u8]) -> Fate {
        if !bytes.windows(self.mark.len()).any(|window| window == self.mark) {
            return Fate::Arrives;
        }
        let mut fates = self.fates.lock().unwrap();
        if fates.is_empty() {
            return Fate::Arrives;
        }
        self.met.fetch_add(1, Ordering::SeqCst);
        fates.remove(0)
    }
}

impl Proxy {
    /// A proxy that does this to the requests with a mark in them, one after the other.
    pub(crate) async fn start(to: SocketAddr, mark: &str, fates: &[Fate]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mark: mark.as_bytes().to_owned(),
            fates: Mutex::new(fates.to_owned()),
            connections: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
        });
        let mut work = JoinSet::new();
        let accepting = Arc::clone(&state);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else { return };
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(carry(near, far, Arc::clone(&accepting)));
            }
        });
        Self { address, state, _work: work }
    }

    /// Where it listens.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many connections it has had.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many requests something has happened to.
    pub(crate) fn met(&self) -> usize {
        self.state.met.load(Ordering::SeqCst)
    }
}

/// Carries both ways, until one end or a fate ends it.
async fn carry(near: TcpStream, far: TcpStream, state: Arc<State>) {
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let (sender, answer_is_lost) = tokio::sync::watch::channel(false);
    tokio::select! {
        () = there(near_in, far_out, &state, sender) => {}
        () = back(far_in, near_out, answer_is_lost) => {}
    }
}

async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    lose_answer: tokio::sync::watch::Sender<bool>,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        match state.fate(&bytes[..count]) {
            Fate::Arrives => {}
            Fate::AnswerIsLost => {
                lose_answer.send_replace(true);
            }
            Fate::IsLost => return,
            Fate::IsSwallowed => std::future::pending().await,
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// What answers a request has a header and more; when it comes, the request was answered.
async fn back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answer_is_lost: tokio::sync::watch::Receiver<bool>,
) {
    const HEADERS: u8 = 1;
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        // Frames of other kinds are about the connection; they come whole from the emulator.
        let answered = frames(&bytes[..count]).any(|kind| kind == HEADERS);
        if *answer_is_lost.borrow() && answered {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// The kinds of the HTTP/2 frames that begin in some bytes.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let [a, b, c, kind, ..] = *bytes else { return None };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        bytes = bytes.get(9 + length..).unwrap_or_default();
        Some(kind)
    })
}
