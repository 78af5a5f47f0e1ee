//! Mail over SMTP: to a server on the same machine or network as it is, and to
//! any other by TLS, with a password if it wants one.
//!
//! What the server said decides: a yes, a no for good, a no for now. Only when
//! the content was on its way and no answer came can't it be told.

mod composing;
#[cfg(feature = "tls")]
mod security;
mod server;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lettre::{
    Address,
    message::Mailbox,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands,
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use runtime::{
    Clock, Mail,
    mail::{MailError, Message, Taken},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

pub use server::Server;

/// Mail by way of a server.
pub struct Smtp {
    server: Server,
    from: Mailbox,
    hello: ClientId,
    clock: Arc<dyn Clock>,
    lines: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    #[cfg(feature = "tls")]
    secured: security::Secured,
}

/// How many messages are sent at once, and connections kept.
const LINES: usize = 4;

/// How long it may take until a server has said hello.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a message may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses; servers hang up after minutes.
const KEPT: Duration = Duration::from_secs(30);

/// A message on its way.
struct Letter<'a> {
    sender: Address,
    recipient: Address,
    content: Vec<u8>,
    /// Whether the server may have the content.
    handed_over: &'a AtomicBool,
}

impl Smtp {
    /// By way of a server, for the platform at an address.
    pub fn new(server: Server, public_url: &str, clock: Arc<dyn Clock>) -> Self {
        let sender = sender(public_url);
        Self {
            server,
            hello: ClientId::Domain(sender.domain().to_owned()),
            from: Mailbox::new(Some("Aula".to_owned()), sender),
            clock,
            lines: Semaphore::new(LINES),
            idle: Mutex::default(),
            #[cfg(feature = "tls")]
            secured: security::Secured::default(),
        }
    }

    async fn hand_over(&self, letter: &Letter<'_>) -> Result<(), MailError> {
        let _line = self.lines.acquire().await.expect("the lines are never cut");
        let mut line = match self.idle_line() {
            None => self.prepared(letter).await?,
            Some(mut line) => match prepare(&mut line, letter).await {
                Ok(()) => line,
                Err(Unprepared::Refused(error)) => return Err(MailError::Refused(error)),
                // The server has hung up meanwhile, most likely.
                Err(Unprepared::NotNow(_)) => self.prepared(letter).await?,
            },
        };
        letter.handed_over.store(true, Ordering::SeqCst);
        match line.message(&letter.content).await {
            Ok(_) => {
                self.idle.lock().expect("no holder panics").push((line, Instant::now()));
                Ok(())
            }
            Err(error) if error.is_permanent() => Err(MailError::Refused(error.to_string())),
            Err(error) if error.is_transient() => Err(MailError::Unavailable(error.to_string())),
            Err(error) => Err(MailError::Unknown(error.to_string())),
        }
    }

    /// A connection that nobody uses.
    fn idle_line(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().expect("no holder panics");
        idle.retain(|(_, since)| since.elapsed() < KEPT);
        idle.pop().map(|(line, _)| line)
    }

    /// A new connection, whose server is ready for the content.
    async fn prepared(&self, letter: &Letter<'_>) -> Result<AsyncSmtpConnection, MailError> {
        let mut line = match timeout(CONNECT_WITHIN, self.connected()).await {
            Ok(Ok(line)) => line,
            // A server that says no to everybody doesn't say no to this message.
            Ok(Err(error)) => return Err(MailError::Unavailable(error.to_string())),
            Err(_elapsed) => {
                return Err(MailError::Unavailable("no connection in time".to_owned()));
            }
        };
        match prepare(&mut line, letter).await {
            Ok(()) => Ok(line),
            Err(Unprepared::Refused(error)) => Err(MailError::Refused(error)),
            Err(Unprepared::NotNow(error)) => Err(MailError::Unavailable(error)),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl Smtp {
    /// A connection to the server.
    async fn connected(&self) -> Result<AsyncSmtpConnection, Error> {
        let Server { host, port, .. } = &self.server;
        let server = (host.as_str(), *port);
        AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, None, None).await
    }
}

/// Why a server isn't ready for the content: it certainly hasn't got it.
enum Unprepared {
    Refused(String),
    NotNow(String),
}

impl From<Error> for Unprepared {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        if error.is_permanent() { Self::Refused(said) } else { Self::NotNow(said) }
    }
}

/// Tells a server who sends to whom, until it's ready for the content.
async fn prepare(line: &mut AsyncSmtpConnection, letter: &Letter<'_>) -> Result<(), Unprepared> {
    let takes = |extension| line.server_info().supports_feature(extension);
    let mut parameters = Vec::new();
    if !AsRef::<str>::as_ref(&letter.recipient).is_ascii() {
        if !takes(Extension::SmtpUtfEight) {
            let said = "the server doesn't know such addresses".to_owned();
            return Err(Unprepared::Refused(said));
        }
        parameters.push(MailParameter::SmtpUtfEight);
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    line.command(commands::Mail::new(Some(letter.sender.clone()), parameters)).await?;
    line.command(commands::Rcpt::new(letter.recipient.clone(), Vec::new())).await?;
    line.command(commands::Data).await?;
    Ok(())
}

#[async_trait]
impl Mail for Smtp {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        let composed = composing::compose(message, &self.from, self.clock.now())?;
        let recipient = composed.envelope().to().first().cloned();
        let handed_over = AtomicBool::new(false);
        let letter = Letter {
            sender: self.from.email.clone(),
            recipient: recipient.ok_or(MailError::Refused("there's no recipient".to_owned()))?,
            content: composed.formatted(),
            handed_over: &handed_over,
        };
        let sent = timeout(SEND_WITHIN, self.hand_over(&letter)).await.unwrap_or_else(|_elapsed| {
            let said = format!("no answer within {} s", SEND_WITHIN.as_secs());
            Err(if handed_over.load(Ordering::SeqCst) {
                MailError::Unknown(said)
            } else {
                MailError::Unavailable(said)
            })
        });
        sent.map_err(|error| without_address(error, &message.to))
    }

    /// SMTP has no way to ask.
    async fn taken(&self, _: &str) -> anyhow::Result<Taken> {
        Ok(Taken::CannotTell)
    }
}

/// What a server says of an address often repeats it; logs and lists shouldn't.
fn without_address(error: MailError, address: &str) -> MailError {
    let clean = |said: String| said.replace(address, "…").replace(char::is_control, " ");
    match error {
        MailError::Refused(said) => MailError::Refused(clean(said)),
        MailError::Unavailable(said) => MailError::Unavailable(clean(said)),
        MailError::Unknown(said) => MailError::Unknown(clean(said)),
    }
}

/// Whom mail comes from: somebody at the platform's domain, if it has one.
fn sender(public_url: &str) -> Address {
    let authority = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    let is_domain = host.contains('.') && host.parse::<IpAddr>().is_err();
    let sender = is_domain.then(|| Address::new("no-reply", host).ok()).flatten();
    sender
        .unwrap_or_else(|| Address::new("no-reply", "aula.localhost").expect("this is an address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_comes_from_the_platforms_domain_if_it_has_one() {
        assert_eq!(sender("https://aula.example:8443/x").domain(), "aula.example");
        for url in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
            assert_eq!(sender(url).domain(), "aula.localhost");
        }
    }

    #[test]
    fn an_address_does_not_get_into_what_is_told() {
        let said = MailError::Refused("550 <ada@example.com> unknown\r\n".to_owned());
        let MailError::Refused(told) = without_address(said, "ada@example.com") else {
            panic!("it stays a refusal");
        };
        assert_eq!(told, "550 <…> unknown  ");
    }
}
