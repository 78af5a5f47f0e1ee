//! The ports of a simulated process: each call passes the gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::Timestamp;
use futures_util::future::try_join_all;
use runtime::{
    Bus, Bytes, Client, Clock, Conflict, Envelope, Key, Mail, Outgoing, Query, Record, Rows, Store,
    Trace, Write,
    mail::{MailError, Message, Taken},
};

use super::{
    Dice,
    gate::{Answer, Arrival, Ask, Gate, Together},
};
use crate::SeededRandom;

/// All ports of a process that lead to the world.
#[derive(Clone)]
pub(crate) struct Simulated {
    pub(crate) gate: Gate,
    /// The world's time, in milliseconds since 1970.
    pub(crate) millis: Arc<AtomicI64>,
    /// Whether somebody has looked at it in the step that is being taken.
    pub(crate) looked: Arc<AtomicBool>,
    /// Whether events are relayed in the request that has committed them, as
    /// where nothing runs after the answer.
    pub(crate) relays_at_once: Arc<AtomicBool>,
    /// Whether several documents are read at one moment, as both real stores do; the port
    /// doesn't promise it.
    pub(crate) reads_at_one_moment: Arc<AtomicBool>,
    /// The process's chance.
    pub(crate) random: Arc<SeededRandom>,
    /// The step in which the process has begun what it's doing.
    pub(crate) beginning: Arc<AtomicU64>,
    /// Whether who begins anew has the same chance then, whatever they have done before.
    pub(crate) begins_anew: Arc<AtomicBool>,
}

impl Simulated {
    /// Reads one document.
    async fn one(&self, get: Ask) -> anyhow::Result<Option<Record>> {
        match self.gate.pass(get).await {
            Answer::Record(record) => Ok(record),
            other => Err(other.broken()),
        }
    }
}

#[async_trait]
impl Store for Simulated {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.one(Ask::Get(key.clone())).await
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        if self.reads_at_one_moment.load(Ordering::SeqCst) {
            return match self.gate.pass(Ask::GetAll(keys.to_vec())).await {
                Answer::Records(records) => Ok(records),
                other => Err(other.broken()),
            };
        }
        let together = Together::of(keys.len());
        let get = |key: &Key| self.one(Ask::GetOf(key.clone(), together.clone()));
        try_join_all(keys.iter().map(get)).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        match self.gate.pass(Ask::Query(query.clone())).await {
            Answer::Rows(rows) => Ok(rows),
            other => Err(other.broken()),
        }
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        match self.gate.pass(Ask::Count(query.clone())).await {
            Answer::Count(count) => Ok(count),
            other => Err(other.broken()),
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        match self.gate.pass(Ask::Commit(writes)).await {
            Answer::Committed(outcome) => Ok(outcome),
            other => Err(other.broken()),
        }
    }
}

#[async_trait]
impl Client for Simulated {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        match self.gate.pass(Ask::Call(request, trace.clone())).await {
            Answer::Replied(reply) => Ok((reply.status, reply.body)),
            other => Err(other.broken()),
        }
    }
}

#[async_trait]
impl Bus for Simulated {
    async fn committed(&self, _: &'static str, events: &[Envelope]) {
        if !events.is_empty() && self.relays_at_once.load(Ordering::SeqCst) {
            // What fails here stays in the outbox, and is relayed later.
            let _later = runtime::relay(self, self).await;
        }
    }

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        match self.gate.pass(Ask::Publish(events.to_vec())).await {
            Answer::Done => Ok(()),
            other => Err(other.broken()),
        }
    }
}

#[async_trait]
impl Mail for Simulated {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        match self.gate.pass(Ask::Send(message.clone())).await {
            Answer::Sent(result) => result,
            other => Err(MailError::Unknown(other.broken().to_string())),
        }
    }

    async fn taken(&self, message_id: &str) -> anyhow::Result<Taken> {
        match self.gate.pass(Ask::Taken(message_id.to_owned())).await {
            Answer::Taken(taken) => Ok(taken),
            other => Err(other.broken()),
        }
    }
}

#[async_trait]
impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        self.looked.store(true, Ordering::SeqCst);
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.gate.pass(Ask::Sleep(duration)).await;
    }

    fn begins_anew(&self, losses: u32) {
        if self.begins_anew.load(Ordering::SeqCst) {
            let beginning = self.beginning.load(Ordering::SeqCst);
            let id = Dice::of(beginning ^ u64::from(losses).rotate_right(17)).throw();
            self.random.begin_anew(id);
            self.gate.note(Arrival::Anew(id));
        }
    }
}
