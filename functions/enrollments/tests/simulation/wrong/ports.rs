//! Ports that are wrong in one way each.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{
    Bus, Conflict, Document, Envelope, Key, Ports, Query, Record, Rows, Store, Version, Write,
};

/// A store that forgets preconditions: whoever writes last is right.
pub fn without_preconditions(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::Overwrites)
}

/// A store that tries a lost commit again as it is, at the versions of the winner.
pub fn trying_again_unread(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::TriesAgainUnread)
}

/// A store that makes the record of the answer in a commit before its effect.
pub fn answering_first(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::AnswersFirst)
}

/// A store that writes a block of seats whatever has become of it.
pub fn overwriting_blocks(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::OverwritesBlocks)
}

/// A bus that takes events out of the outbox before it has told them.
pub fn deleting_before_publishing(ports: Ports) -> Ports {
    let bus = Arc::new(WrongBus { bus: ports.bus.clone(), store: ports.store.clone() });
    Ports { bus, ..ports }
}

fn wrong_store(ports: Ports, wrong: Wrong) -> Ports {
    let store = Arc::new(WrongStore { store: ports.store.clone(), wrong });
    Ports { store, ..ports }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Overwrites,
    TriesAgainUnread,
    AnswersFirst,
    OverwritesBlocks,
}

struct WrongStore {
    store: Arc<dyn Store>,
    wrong: Wrong,
}

impl WrongStore {
    /// The same writes, as they would be if each document had just been read.
    async fn refreshed(&self, writes: &[Write]) -> anyhow::Result<Vec<Write>> {
        let mut refreshed = Vec::new();
        for write in writes {
            let standing = self.store.get(write.key()).await?.map(|record| record.version);
            refreshed.extend(at(write, standing));
        }
        Ok(refreshed)
    }
}

fn at(write: &Write, standing: Option<Version>) -> Option<Write> {
    match (write.clone(), standing) {
        (Write::Create(key, body) | Write::Replace(key, body, _), Some(version)) => {
            Some(Write::Replace(key, body, version))
        }
        (Write::Create(key, body) | Write::Replace(key, body, _), None) => {
            Some(Write::Create(key, body))
        }
        (Write::Delete(key, _), Some(version)) => Some(Write::Delete(key, version)),
        (Write::Delete(..), None) => None,
    }
}

#[async_trait]
impl Store for WrongStore {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.store.get(key).await
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.store.query(query).await
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.store.count(query).await
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        match self.wrong {
            Wrong::Overwrites => loop {
                let writes = self.refreshed(&writes).await?;
                if self.store.commit(writes).await?.is_ok() {
                    return Ok(Ok(()));
                }
            },
            Wrong::TriesAgainUnread => match self.store.commit(writes.clone()).await? {
                Err(Conflict(key)) if key.collection == "seats" => {
                    let mut again = Vec::new();
                    for write in &writes {
                        if write.key().collection == "seats" {
                            again.extend(self.refreshed(std::slice::from_ref(write)).await?);
                        } else {
                            again.push(write.clone());
                        }
                    }
                    self.store.commit(again).await
                }
                outcome => Ok(outcome),
            },
            Wrong::OverwritesBlocks => {
                let (blocks, mut others): (Vec<_>, Vec<_>) =
                    writes.into_iter().partition(|it| it.key().collection == "seat_blocks");
                others.extend(self.refreshed(&blocks).await?);
                self.store.commit(others).await
            }
            Wrong::AnswersFirst => {
                let is_answer = |write: &Write| write.key().collection == "requests";
                let (answers, others): (Vec<_>, Vec<_>) = writes.into_iter().partition(is_answer);
                if !answers.is_empty()
                    && !others.is_empty()
                    && let Err(conflict) = self.store.commit(answers).await?
                {
                    return Ok(Err(conflict));
                }
                self.store.commit(others).await
            }
        }
    }
}

struct WrongBus {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
}

#[async_trait]
impl Bus for WrongBus {
    async fn committed(&self, _: &'static str, events: &[Envelope]) {
        for event in events {
            let key = Key::of::<Envelope>(event.key());
            let Ok(Some(row)) = self.store.get(&key).await else { continue };
            if let Ok(Ok(())) = self.store.commit(vec![Write::Delete(key, row.version)]).await {
                let _lost_if_it_fails = self.bus.publish(std::slice::from_ref(event)).await;
            }
        }
    }

    async fn publish(&self, events: &[Envelope]) -> anyhow::Result<()> {
        self.bus.publish(events).await
    }
}
