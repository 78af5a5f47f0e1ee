//! The way to a process: HTTP/1.1 on connections that are kept, bodies passed on
//! as they come.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    time::Instant,
};

/// How long is waited between two tries to reach a process that doesn't listen.
const PAUSE: Duration = Duration::from_millis(15);

/// How often what is safe is sent again at most. What ends its process ends it a few times, not
/// for ever.
const AGAIN: usize = 3;

/// The way to a process.
pub(super) struct Wire {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<http1::SendRequest<Body>>>>,
}

/// Why there's no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody listened, so nothing was begun.
    NotBegun(std::io::Error),
    /// The connection broke; the request may have been begun.
    Broken(hyper::Error),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBegun(error) => write!(f, "nobody listens: {error}"),
            Self::Broken(error) => write!(f, "it broke off: {error}"),
        }
    }
}

impl std::error::Error for Unanswered {}

impl Wire {
    /// The way to what listens, or will, at an address.
    pub fn to(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default() }
    }

    /// The way to an emulator, which is named by its host and port.
    pub async fn to_host(host: &str) -> anyhow::Result<Self> {
        let mut addresses = lookup_host(host).await.with_context(|| host.to_owned())?;
        Ok(Self::to(addresses.next().with_context(|| format!("{host} is nowhere"))?))
    }

    /// Sends a request. While nobody listens it waits for so long: a process that has ended is
    /// started again, as Cloud Run has requests wait for an instance. Where a connection breaks,
    /// what is safe is sent again, a few times: its process may have ended before, and where it
    /// is just ending even a new connection is still accepted for it (RFC 9110, section 9.2.2).
    /// Anything else may have been done. (Safe is what its method says. Of ours one GET redeems
    /// what is good once, and the second is refused: somebody's coming back from a provider, as
    /// if they had reloaded the page.)
    pub async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, Unanswered> {
        let host = HeaderValue::try_from(self.address.to_string()).expect("an address is ASCII");
        request.headers_mut().insert(header::HOST, host);
        let give_up = Instant::now() + patience;
        let mut broken = 0;
        loop {
            // Where one that was kept has broken, so have the others, most likely.
            let kept = if broken == 0 { self.kept() } else { None };
            let was_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connected(give_up).await?,
            };
            let copy = if broken < AGAIN { copy_of(&request) } else { None };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answered(sender, response)),
                Err(mut unsent) => match (unsent.take_message(), copy) {
                    // It was closed before anything was written: another connection will do.
                    (Some(message), _) if was_kept || broken < AGAIN => {
                        request = message;
                        broken += usize::from(!was_kept);
                    }
                    (_, Some(copy)) => {
                        request = copy;
                        broken += 1;
                    }
                    (_, None) => return Err(Unanswered::Broken(unsent.into_error())),
                },
            }
        }
    }

    /// Keeps the connection that a response comes by.
    fn answered<T>(&self, sender: http1::SendRequest<Body>, response: Response<T>) -> Response<T> {
        self.keep(sender);
        response
    }

    fn kept(&self) -> Option<http1::SendRequest<Body>> {
        let mut idle = self.idle.lock().expect("no holder panics");
        idle.retain(|it| !it.is_closed());
        let ready = idle.iter().position(http1::SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    async fn connected(&self, give_up: Instant) -> Result<http1::SendRequest<Body>, Unanswered> {
        let stream = loop {
            match TcpStream::connect(self.address).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= give_up => return Err(Unanswered::NotBegun(error)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let _best_effort = stream.set_nodelay(true);
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(Unanswered::Broken)?;
        runtime::spawn(async move {
            // Whoever has sent something is told how it ended.
            let _ended = connection.await;
        });
        Ok(sender)
    }

    /// Keeps a connection for the next request, once this one's answer has been read.
    fn keep(&self, mut sender: http1::SendRequest<Body>) {
        let idle = self.idle.clone();
        runtime::spawn(async move {
            if sender.ready().await.is_ok() {
                idle.lock().expect("no holder panics").push(sender);
            }
        });
    }
}

/// A copy of a request that changes nothing, however often it's sent.
fn copy_of(request: &Request<Body>) -> Option<Request<Body>> {
    let only_reads = request.method().is_safe() && request.body().is_end_stream();
    only_reads.then(|| {
        let mut copy = Request::new(Body::empty());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        copy
    })
}

#[cfg(test)]
mod tests {
    use http::Method;
    use http_body_util::BodyExt as _;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;

    /// Reads the head of a request, and tells its first line.
    async fn asked(stream: &mut BufReader<TcpStream>) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).await.unwrap() > 0, "it goes on");
        }
        head.lines().next().unwrap().to_owned()
    }

    /// Answers as many requests of each connection as are told, and breaks it off at the next;
    /// tells what was asked.
    async fn answers(
        listener: TcpListener,
        each: impl IntoIterator<Item = usize>,
        tell: mpsc::UnboundedSender<String>,
    ) {
        for count in each {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for number in 0..=count {
                tell.send(asked(&mut stream).await).unwrap();
                if number < count {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
        std::future::pending::<()>().await;
    }

    async fn ask(wire: &Wire, method: Method) -> Result<(), Unanswered> {
        let request = Request::builder().method(method).uri("/x").body(Body::empty()).unwrap();
        let answer = wire.send(request, Duration::ZERO).await?;
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
        // From then on the connection is kept.
        while wire.idle.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// What is asked of a process whose connections answer so many requests each.
    async fn lines<const N: usize>(
        each: [usize; N],
        asking: impl AsyncFnOnce(&Wire),
    ) -> Vec<String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let wire = Wire::to(listener.local_addr().unwrap());
        let (tell, mut told) = mpsc::unbounded_channel();
        tokio::select! {
            () = answers(listener, each, tell) => {}
            () = asking(&wire) => {}
        }
        let mut all = Vec::new();
        while let Ok(line) = told.try_recv() {
            all.push(line);
        }
        all
    }

    const GET: &str = "GET /x HTTP/1.1";
    const DELETE: &str = "DELETE /x HTTP/1.1";

    #[tokio::test]
    async fn where_a_kept_connection_breaks_only_what_reads_is_sent_again() {
        let lines = lines([1, 2], async |wire| {
            ask(wire, Method::GET).await.unwrap();
            ask(wire, Method::GET).await.unwrap();
            ask(wire, Method::GET).await.unwrap();
            let broken = ask(wire, Method::DELETE).await;
            assert!(matches!(broken, Err(Unanswered::Broken(_))), "{broken:?}");
        });
        assert_eq!(lines.await, [GET, GET, GET, GET, DELETE]);
    }

    /// A process that is just ending accepts, and answers nothing.
    #[tokio::test]
    async fn where_a_new_connection_breaks_too_so_it_is_a_few_times() {
        let ending = lines([0, 0, 0, 1], async |wire| ask(wire, Method::GET).await.unwrap());
        assert_eq!(ending.await, [GET; 1 + AGAIN]);
        let for_ever = lines([0; 9], async |wire| {
            let broken = ask(wire, Method::GET).await;
            assert!(matches!(broken, Err(Unanswered::Broken(_))), "{broken:?}");
        });
        assert_eq!(for_ever.await, [GET; 1 + AGAIN]);
        let changes = lines([0; 9], async |wire| {
            let broken = ask(wire, Method::DELETE).await;
            assert!(matches!(broken, Err(Unanswered::Broken(_))), "{broken:?}");
        });
        assert_eq!(changes.await, [DELETE]);
    }
}
