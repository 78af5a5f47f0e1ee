//! Somebody outside the platform: a person with a browser, or another domain
//! whose part is played. They keep asking until they get a definite answer.

use std::{borrow::Cow, sync::Arc, time::Duration};

use contracts::{Event, Language, identity::Role};
use runtime::{
    Context, Incoming, Origin, Ports, Reply, System, token::ACCESS_TOKEN_SECONDS, token::Claims,
};
use serde_json::Value;

use super::gate::{Answer, Arrival, Ask, Gate};
use crate::{App, bus};

/// Somebody outside.
#[derive(Clone)]
pub struct Person {
    /// Who.
    pub name: String,
    gate: Gate,
    ports: Arc<Ports>,
    roles: Vec<Role>,
}

/// What somebody asks, in the words of an operation.
#[derive(Clone, Debug, Hash)]
pub struct Asked {
    /// The operation's id.
    pub operation: &'static str,
    /// The fields of its path.
    pub path: Vec<(&'static str, String)>,
    /// Its query.
    pub query: String,
    /// Its body; null if it has none.
    pub body: Value,
    /// The idempotency key.
    pub key: Option<String>,
}

/// A definite answer.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Heard {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Person {
    pub(crate) fn new(name: &str, gate: Gate, ports: Arc<Ports>) -> Self {
        Self { name: name.to_owned(), gate, ports, roles: vec![Role::Student] }
    }

    /// The same person, who teaches too.
    #[must_use]
    pub fn teaching(mut self) -> Self {
        self.roles = vec![Role::Student, Role::Instructor];
        self
    }

    /// The same person, who may do everything.
    #[must_use]
    pub fn administering(mut self) -> Self {
        self.roles = vec![Role::Student, Role::Instructor, Role::Admin];
        self
    }

    /// Asks until there's a definite answer, always with the same key.
    pub async fn insist(&self, asked: &Asked) -> Heard {
        loop {
            if let Some(heard) = self.ask(asked).await
                && heard.is_definite()
            {
                return heard;
            }
            self.pause(Duration::from_millis(50)).await;
        }
    }

    /// Asks once: nothing if the connection breaks.
    pub async fn ask(&self, asked: &Asked) -> Option<Heard> {
        let now = self.ports.clock.now().as_seconds();
        let claims = Claims {
            iss: App::PUBLIC_URL.to_owned(),
            aud: App::PUBLIC_URL.to_owned(),
            sub: self.name.as_str().into(),
            roles: self.roles.clone(),
            sid: format!("session-of-{}", self.name),
            iat: now,
            exp: now + ACCESS_TOKEN_SECONDS,
        };
        let body = if asked.body.is_null() { Vec::new() } else { asked.body.to_string().into() };
        let bound = asked.path.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone()));
        let incoming = Incoming {
            bound: bound.collect(),
            query: asked.query.clone(),
            body: body.into(),
            origin: Origin::Bearer(Arc::new(claims)),
            sender: runtime::Sender::default(),
            language: Language::En,
            trace: runtime::Trace::continued(None, &*self.ports.random),
            idempotency_key: asked.key.clone(),
        };
        match self.gate.pass(Ask::Request(asked.operation, incoming)).await {
            Answer::Replied(reply) => Some(Heard::of(&reply)),
            _ => None,
        }
    }

    /// What another domain may do, whose part this is: to call, that is.
    pub fn platform(&self, domain: &'static str) -> Context<System> {
        Context::of_platform(domain, &self.ports)
    }

    /// Has an event told, as an outbox would: until the bus has it.
    pub async fn tell<E: Event>(&self, event: &E) {
        let event = bus::envelope(event, &self.ports);
        while self.ports.bus.publish(std::slice::from_ref(&event)).await.is_err() {}
    }

    /// Has an event told when all else has happened: it's late, and comes all the same.
    pub(crate) fn tell_at_last<E: Event>(&self, event: &E) {
        self.gate.note(Arrival::AtLast(bus::envelope(event, &self.ports)));
    }

    /// Has a job run, as the clock does; it isn't waited for.
    pub async fn have_run(&self, job: &'static str) {
        self.gate.pass(Ask::Job(job)).await;
    }

    /// Waits for a turn to look at, or change, what the test itself plays.
    pub async fn touch(&self) {
        self.gate.pass(Ask::Touch).await;
    }

    /// Lets the others go on.
    pub async fn pause(&self, duration: Duration) {
        self.ports.clock.sleep(duration).await;
    }
}

impl Heard {
    fn of(reply: &Reply) -> Self {
        let body = serde_json::from_slice(&reply.body).unwrap_or_default();
        Self { status: reply.status, body }
    }

    /// Whether to ask again is no use: any other answer says that it may be.
    pub fn is_definite(&self) -> bool {
        let reason = self.body["reason"].as_str().unwrap_or_default();
        self.status < 500 && self.status != 429 && !matches!(reason, "still-running" | "try-again")
    }
}
