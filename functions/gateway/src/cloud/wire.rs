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
use hyper::{body::Incoming, client::conn::http1};
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
    /// started again, as Cloud Run has requests wait for an instance.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, Unanswered> {
        let host = HeaderValue::try_from(self.address.to_string()).expect("an address is ASCII");
        request.headers_mut().insert(header::HOST, host);
        let give_up = Instant::now() + patience;
        loop {
            let mut sender = match self.kept() {
                Some(sender) => sender,
                None => self.connected(give_up).await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(sender);
                    return Ok(response);
                }
                // It was closed before anything was written: another connection will do.
                Err(mut unsent) => match unsent.take_message() {
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
