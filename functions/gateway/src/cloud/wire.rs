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
    /// started again, as Cloud Run has requests wait for an instance. Where a connection that was
    /// kept breaks, what only reads is sent again: its process may have ended before (RFC 9110,
    /// section 9.2.2). Anything else may have been done.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, Unanswered> {
        let host = HeaderValue::try_from(self.address.to_string()).expect("an address is ASCII");
        request.headers_mut().insert(header::HOST, host);
        let give_up = Instant::now() + patience;
        loop {
            let (mut sender, copy) = match self.kept() {
                Some(sender) => (sender, copy_of(&request)),
                None => (self.connected(give_up).await?, None),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(sender);
                    return Ok(response);
                }
                // It was closed before anything was written: another connection will do.
                Err(mut unsent) => match unsent.take_message().or(copy) {
                    Some(message) => request = message,
                    None => return Err(Unanswered::Broken(unsent.into_error())),
                },
            }
        }
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

    /// Answers the first request of each connection, and breaks it off at the second; tells
    /// what was asked.
    async fn answers_once(listener: TcpListener, asked: mpsc::UnboundedSender<String>) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for is_first in [true, false] {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(stream.read_line(&mut head).await.unwrap() > 0, "it goes on");
                }
                asked.send(head.lines().next().unwrap().to_owned()).unwrap();
                if is_first {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn where_a_kept_connection_breaks_only_what_reads_is_sent_again() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let wire = Wire::to(listener.local_addr().unwrap());
        let (tell, mut asked) = mpsc::unbounded_channel();
        let ask = async |method: Method| {
            let request = Request::builder().method(method).uri("/x").body(Body::empty()).unwrap();
            let answer = wire.send(request, Duration::ZERO).await?;
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            // From then on the connection is kept.
            while wire.idle.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            Ok::<_, Unanswered>(body)
        };
        let asking = async {
            assert_eq!(ask(Method::GET).await.unwrap(), "ok");
            assert_eq!(ask(Method::GET).await.unwrap(), "ok");
            let broken = ask(Method::DELETE).await;
            assert!(matches!(broken, Err(Unanswered::Broken(_))), "{broken:?}");
        };
        tokio::select! {
            () = answers_once(listener, tell) => {}
            () = asking => {}
        }
        let mut all = Vec::new();
        while let Ok(line) = asked.try_recv() {
            all.push(line);
        }
        let get = "GET /x HTTP/1.1";
        assert_eq!(all, [get, get, get, "DELETE /x HTTP/1.1"]);
    }
}
