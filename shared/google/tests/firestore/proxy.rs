//! A proxy in front of the emulator: a line that is slow or carries a few bytes
//! at a time, and that loses, delays and refuses what it is told to.
//!
//! It reads what it carries as HTTP/2's frames, and writes them as they came. A
//! call's request is one frame of data, and is known by what stands in it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long an emulator may take to answer: the machine may have much to do.
const PATIENCE: Duration = Duration::from_mins(1);

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
    /// It stays on its way until the proxy lets go of what it holds, though who sent it has
    /// long given up; nothing after it arrives on this connection.
    IsLate,
    /// It doesn't arrive, and is answered as one that lost to others: `ABORTED`.
    IsAborted,
}

/// How a line carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// How long each request takes, and each frame of an answer.
    pub latency: Duration,
    /// How many bytes are written at once.
    pub slice: usize,
}

impl Line {
    /// A line that is as good as none.
    pub(crate) const GOOD: Self = Self { latency: Duration::ZERO, slice: usize::MAX };

    async fn carry(self, bytes: &[u8], to: &mut OwnedWriteHalf) -> std::io::Result<()> {
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        for slice in bytes.chunks(self.slice) {
            to.write_all(slice).await?;
            // Whoever reads may find this slice alone.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
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
    line: Mutex<Line>,
    connections: AtomicUsize,
    /// How many requests something has happened to.
    met: AtomicUsize,
    /// Whether what is late may go on.
    let_go: watch::Sender<bool>,
    /// How many requests that were late have been answered.
    answered_late: watch::Sender<usize>,
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

    fn line(&self) -> Line {
        *self.line.lock().unwrap()
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
            line: Mutex::new(Line::GOOD),
            connections: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
            let_go: watch::Sender::new(false),
            answered_late: watch::Sender::new(0),
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

    /// A proxy that loses nothing, on such a line.
    pub(crate) async fn on(line: Line, to: SocketAddr) -> Self {
        let proxy = Self::start(to, "nothing is marked", &[]).await;
        proxy.becomes(line);
        proxy
    }

    /// From now on it's another line.
    pub(crate) fn becomes(&self, line: Line) {
        *self.state.line.lock().unwrap() = line;
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

    /// Lets go of all that is late, and waits until the emulator has answered so many of it.
    pub(crate) async fn let_go(&self, late: usize) {
        self.state.let_go.send_replace(true);
        let mut answered = self.state.answered_late.subscribe();
        let all = timeout(PATIENCE, answered.wait_for(|it| *it >= late)).await;
        assert!(all.is_ok(), "the emulator has answered what was late");
    }
}

/// What the two directions of a connection know of each other.
#[derive(Clone, Copy, Default)]
struct Between {
    /// The next answer breaks the connection.
    answer_is_lost: bool,
    /// The next answer is one to a request that was late.
    is_late: bool,
}

/// Carries both ways, until one end or a fate ends it.
async fn carry(near: TcpStream, far: TcpStream, state: Arc<State>) {
    for stream in [&near, &far] {
        stream.set_nodelay(true).unwrap();
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let (between, near_out) = (Mutex::default(), tokio::sync::Mutex::new(near_out));
    tokio::select! {
        () = there((near_in, far_out), &near_out, &state, &between) => {}
        () = back(far_in, &near_out, &state, &between) => {}
    }
}

async fn there(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    near: &tokio::sync::Mutex<OwnedWriteHalf>,
    state: &State,
    between: &Mutex<Between>,
) {
    /// What a client begins with, before its first frame.
    const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
    let mut preface = [0; PREFACE];
    if from.read_exact(&mut preface).await.is_err() || to.write_all(&preface).await.is_err() {
        return;
    }
    // A call's headers wait for its request, whose fate they share: its deadline begins with them.
    let mut headers = Vec::new();
    while let Some(frame) = Frame::read(&mut from).await {
        if frame.kind() == Frame::HEADERS {
            headers.extend(frame.0);
            continue;
        }
        let fate = if frame.kind() == Frame::DATA { state.fate(&frame.0) } else { Fate::Arrives };
        let mut goes_on = None;
        match fate {
            Fate::Arrives => {}
            Fate::AnswerIsLost => between.lock().unwrap().answer_is_lost = true,
            Fate::IsLost => return,
            Fate::IsSwallowed => std::future::pending().await,
            Fate::IsLate => {
                between.lock().unwrap().is_late = true;
                drop(state.let_go.subscribe().wait_for(|it| *it).await);
                goes_on = Some(frame.ended());
            }
            Fate::IsAborted => {
                let answer = frame.answer_aborted();
                if near.lock().await.write_all(&answer).await.is_err() {
                    return;
                }
                // The emulator has begun to read a request that won't come.
                goes_on = Some(frame.reset());
            }
        }
        let mut bytes =
            if frame.is_of_a_call() { std::mem::take(&mut headers) } else { Vec::new() };
        bytes.extend(goes_on.unwrap_or(frame.0));
        if state.line().carry(&bytes, &mut to).await.is_err() {
            return;
        }
        if fate == Fate::IsLate {
            std::future::pending::<()>().await;
        }
    }
}

/// What answers a request begins with headers; when they come, the request was answered.
async fn back(
    mut from: OwnedReadHalf,
    near: &tokio::sync::Mutex<OwnedWriteHalf>,
    state: &State,
    between: &Mutex<Between>,
) {
    while let Some(frame) = Frame::read(&mut from).await {
        if frame.kind() == Frame::HEADERS {
            let Between { answer_is_lost, is_late } = *between.lock().unwrap();
            if is_late {
                state.answered_late.send_modify(|it| *it += 1);
            }
            if answer_is_lost || is_late {
                return;
            }
        }
        let carried = state.line().carry(&frame.0, &mut *near.lock().await).await;
        // Who is answered late has long gone.
        if carried.is_err() && !between.lock().unwrap().is_late {
            return;
        }
    }
}

/// A frame of HTTP/2: nine bytes that say what it is, and what it carries.
struct Frame(Vec<u8>);

impl Frame {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;

    /// The next one; none if the connection has ended.
    async fn read(from: &mut OwnedReadHalf) -> Option<Self> {
        let mut bytes = vec![0; 9];
        from.read_exact(&mut bytes).await.ok()?;
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        bytes.resize(9 + usize::try_from(length).unwrap(), 0);
        from.read_exact(&mut bytes[9..]).await.ok()?;
        Some(Self(bytes))
    }

    /// One of the stream that this one is of.
    fn of_the_same(&self, kind: u8, flags: u8, carried: &[u8]) -> Vec<u8> {
        let length = u32::try_from(carried.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(&self.0[5..9]);
        bytes.extend(carried);
        bytes
    }

    fn kind(&self) -> u8 {
        self.0[3]
    }

    /// Whether it's of a call, and not about the connection.
    fn is_of_a_call(&self) -> bool {
        self.0[5..9] != [0; 4]
    }

    /// The same as the last of its stream, which none has to follow.
    fn ended(&self) -> Vec<u8> {
        const END_OF_STREAM: u8 = 0x1;
        self.of_the_same(self.kind(), self.0[4] | END_OF_STREAM, &self.0[9..])
    }

    /// What says that its stream is given up: `CANCEL`.
    fn reset(&self) -> Vec<u8> {
        self.of_the_same(Self::RST_STREAM, 0, &[0, 0, 0, 8])
    }

    /// What answers it as gRPC does where there's nothing but a status: `ABORTED`.
    fn answer_aborted(&self) -> Vec<u8> {
        const END_OF_STREAM_AND_HEADERS: u8 = 0x5;
        // `:status 200` of HPACK's own table, and the others spelled out.
        let mut headers = vec![0x88];
        let others = [
            ("content-type", "application/grpc"),
            ("grpc-status", "10"),
            ("grpc-message", "contended"),
        ];
        for (name, value) in others {
            headers.push(0);
            for text in [name, value] {
                headers.push(u8::try_from(text.len()).unwrap());
                headers.extend(text.as_bytes());
            }
        }
        self.of_the_same(Self::HEADERS, END_OF_STREAM_AND_HEADERS, &headers)
    }
}
