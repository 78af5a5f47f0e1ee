//! Answers that are remembered while what they were made of stays the same.
//!
//! A course is read a thousand times for each time that it's changed. An
//! operation that says which documents its answers are made of
//! ([`Domain::made_of`](crate::Domain::made_of)) gives the same answer again, as
//! bytes, for as long as the store can tell that none of them has changed
//! ([`Store::edition`]). Where others write too, as in Firestore, no store can
//! tell, and nothing is remembered.
//!
//! Only what nobody in particular has asked is kept: what a person sees may
//! depend on who they are.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::bail;
use async_trait::async_trait;
use axum::body::Bytes;

use crate::{
    Client, Conflict, Incoming, Key, Outgoing, Ports, Query, Record, Reply, Result, Rows, Store,
    Trace, Write, caller::Origin, domain::Boxed, domain::RunOperation,
};

/// The most that is remembered of an operation, in bytes.
const MOST: usize = 32 << 20;

/// How long, though nothing has changed: the store doesn't learn of it when
/// somebody edits its file by hand.
const LONGEST: Duration = Duration::from_secs(10);

/// What an entry costs beside its key and its body, in bytes.
const ENTRY: usize = 160;

/// An operation that remembers.
pub(crate) struct Remembered {
    collection: &'static str,
    run: Arc<RunOperation>,
    kept: Mutex<Kept>,
}

impl Remembered {
    /// An operation whose answers are made of the documents of a collection.
    pub fn new(collection: &'static str, run: Arc<RunOperation>) -> Self {
        Self { collection, run, kept: Mutex::default() }
    }

    /// Gives the answer that is remembered, or asks the function for one.
    pub fn answer(self: &Arc<Self>, ports: Arc<Ports>, incoming: Incoming) -> Boxed<Result<Reply>> {
        let for_anyone = matches!(incoming.origin, Origin::Nobody);
        // It's looked at before anything is read: what is read is as new or newer.
        let Some(edition) = ports.store.edition(self.collection).filter(|_| for_anyone) else {
            return (self.run)(ports, incoming);
        };
        let question = question(&incoming);
        let known = self.kept.lock().expect("no holder panics").find(&question, edition);
        if let Some(reply) = known {
            return Box::pin(ready(Ok(reply)));
        }
        let this = self.clone();
        Box::pin(async move {
            let only = Arc::new(Only { collection: this.collection, ports: ports.clone() });
            let ports = Ports { store: only.clone(), client: only, ..(*ports).clone() };
            let reply = (this.run)(Arc::new(ports), incoming).await?;
            if reply.status == 200 {
                let answer = Answer { reply: reply.clone(), edition, since: Instant::now() };
                this.kept.lock().expect("no holder panics").keep(question, answer);
            }
            Ok(reply)
        })
    }
}

/// What was asked: the fields of the path, and the query.
fn question(incoming: &Incoming) -> String {
    let mut question = String::with_capacity(64);
    for (name, value) in &incoming.bound {
        // No name has a colon in it, and the length says where the value ends.
        question.push_str(name);
        question.push(':');
        question.push_str(&value.len().to_string());
        question.push(':');
        question.push_str(value);
    }
    question.push('?');
    question.push_str(&incoming.query);
    question
}

struct Answer {
    reply: Reply,
    edition: u64,
    since: Instant,
}

/// The answers. When the young ones take half of the room they become the old
/// ones, and those that were old already, and that nobody asked for since, go.
#[derive(Default)]
struct Kept {
    young: HashMap<String, Answer>,
    old: HashMap<String, Answer>,
    /// What the young ones take.
    bytes: usize,
}

impl Kept {
    fn find(&mut self, question: &str, edition: u64) -> Option<Reply> {
        let is_right = |it: &Answer| it.edition == edition && it.since.elapsed() < LONGEST;
        if let Some(answer) = self.young.get(question) {
            return is_right(answer).then(|| answer.reply.clone());
        }
        let (question, answer) = self.old.remove_entry(question)?;
        is_right(&answer).then(|| {
            let reply = answer.reply.clone();
            self.keep(question, answer);
            reply
        })
    }

    fn keep(&mut self, question: String, answer: Answer) {
        let room = ENTRY + question.len();
        let bytes = room + answer.reply.body.len();
        if self.bytes + bytes > MOST / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        let before = self.young.insert(question, answer);
        self.bytes -= before.map_or(0, |it| room + it.reply.body.len());
    }
}

/// What a function whose answers are remembered may see of the world: the
/// collection that it has named. Anything else could change unseen.
struct Only {
    collection: &'static str,
    ports: Arc<Ports>,
}

impl Only {
    fn check(&self, collection: &str) -> anyhow::Result<()> {
        if collection == self.collection {
            return Ok(());
        }
        bail!("its answers are remembered as made of {}, not of {collection}", self.collection)
    }
}

#[async_trait]
impl Store for Only {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.check(key.collection)?;
        self.ports.store.get(key).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.check(query.collection)?;
        self.ports.store.query(query).await
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.check(query.collection)?;
        self.ports.store.count(query).await
    }

    async fn commit(&self, _: Vec<Write>) -> anyhow::Result<std::result::Result<(), Conflict>> {
        bail!("its answers are remembered, so it can't change anything")
    }
}

#[async_trait]
impl Client for Only {
    async fn send(&self, request: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
        bail!("its answers are remembered, so it can't ask {}", request.operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(edition: u64, length: usize) -> Answer {
        let reply = Reply::new(200, vec![b'x'; length].into());
        Answer { reply, edition, since: Instant::now() }
    }

    #[test]
    fn an_answer_is_right_for_its_edition_alone() {
        let mut kept = Kept::default();
        kept.keep("a".to_owned(), answer(2, 1));
        assert!(kept.find("a", 2).is_some());
        assert!(kept.find("a", 4).is_none());
        assert!(kept.find("b", 2).is_none());
        kept.keep("a".to_owned(), answer(4, 1));
        assert!(kept.find("a", 2).is_none());
        assert!(kept.find("a", 4).is_some());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes_when_there_is_no_room() {
        let mut kept = Kept::default();
        kept.keep("asked for".to_owned(), answer(2, 1));
        kept.keep("forgotten".to_owned(), answer(2, 1));
        for number in 0..200 {
            kept.keep(number.to_string(), answer(2, MOST / 50));
            assert!(kept.find("asked for", 2).is_some());
            let bytes = |answers: &HashMap<String, Answer>| -> usize {
                answers.values().map(|it| it.reply.body.len()).sum()
            };
            assert!(bytes(&kept.young) + bytes(&kept.old) <= MOST);
        }
        assert!(kept.find("forgotten", 2).is_none());
    }

    #[test]
    fn the_room_that_is_counted_is_the_room_that_is_taken() {
        let mut kept = Kept::default();
        for number in 0..100 {
            kept.keep("same".to_owned(), answer(number, 1000));
        }
        assert_eq!(kept.bytes, ENTRY + "same".len() + 1000);
    }
}
