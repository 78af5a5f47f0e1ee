//! Ports that are wrong in one way each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runtime::{
    Bus, Conflict, Document, Envelope, Key, Ports, Query, Record, Rows, Store, Version, Write,
};
use serde_json::{Value, json};

use super::plain::number;

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

/// A store that gives a block of another turn for one of the turn that was read.
pub fn ignoring_the_turn(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::IgnoresTheTurn)
}

/// A store that gathers all blocks, and counts the seats of all but one.
pub fn forgetting_a_block(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::ForgetsABlock)
}

/// A store that gathers all blocks, and counts the seats of one twice.
pub fn counting_a_block_twice(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::CountsABlockTwice)
}

/// A store that writes a block that is gone as if it were new.
pub fn reviving_blocks(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::RevivesBlocks)
}

/// A store that spreads the seats, and goes on counting them where they were.
pub fn counting_what_is_spread(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::CountsWhatIsSpread)
}

/// A store that gives the first of the blocks a seat too many.
pub fn sharing_too_much(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::SharesTooMuch)
}

/// A store that takes the old place in a commit before that which gives the new one.
pub fn transferring_apart(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::TransfersApart)
}

/// A store that forgets of a section until when its offers have lapsed.
pub fn forgetting_what_lapsed(ports: Ports) -> Ports {
    wrong_store(ports, Wrong::ForgetsWhatLapsed)
}

/// A bus that takes events out of the outbox before it has told them.
pub fn deleting_before_publishing(ports: Ports) -> Ports {
    let bus = Arc::new(WrongBus { bus: ports.bus.clone(), store: ports.store.clone() });
    Ports { bus, ..ports }
}

fn wrong_store(ports: Ports, wrong: Wrong) -> Ports {
    let store = WrongStore { store: ports.store.clone(), wrong, turns: Mutex::default() };
    let store = Arc::new(store);
    Ports { store, ..ports }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Overwrites,
    TriesAgainUnread,
    AnswersFirst,
    OverwritesBlocks,
    IgnoresTheTurn,
    ForgetsABlock,
    CountsABlockTwice,
    RevivesBlocks,
    CountsWhatIsSpread,
    SharesTooMuch,
    TransfersApart,
    ForgetsWhatLapsed,
}

struct WrongStore {
    store: Arc<dyn Store>,
    wrong: Wrong,
    /// The turn of each section's blocks, as it was read last.
    turns: Mutex<BTreeMap<String, Value>>,
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

    /// A record of seats or of a block, as it is if turns don't matter.
    fn of_any_turn(&self, key: &Key, mut record: Record) -> Record {
        let mut body = read(&record.body);
        let mut turns = self.turns.lock().expect("no holder panics");
        if key.collection == SEATS {
            turns.insert(key.id.clone(), body["turn"].clone());
        } else if let Some(turn) = body["section_id"].as_str().and_then(|id| turns.get(id)) {
            body["turn"] = turn.clone();
            record.body = body.to_string();
        }
        record
    }

    /// The same writes, but for how the seats of one block are counted that is gathered.
    async fn gathered_wrong(
        &self,
        mut writes: Vec<Write>,
        count: fn(u64, u64) -> u64,
    ) -> anyhow::Result<Vec<Write>> {
        let is_gone = |it: &&Write| matches!(it, Write::Delete(key, _) if key.collection == BLOCKS);
        let gone: Vec<_> = writes.iter().filter(is_gone).map(|it| it.key().clone()).collect();
        for key in gone {
            let block = self.store.get(&key).await?;
            let taken = block.map_or(0, |block| number(&read(&block.body), "taken"));
            if taken > 0 {
                edit(&mut writes, SEATS, |seats| {
                    seats["taken"] = json!(count(number(seats, "taken"), taken));
                });
                break;
            }
        }
        Ok(writes)
    }

    /// The same writes, but that the seats go on being counted where they were.
    async fn spread_wrong(&self, mut writes: Vec<Write>) -> anyhow::Result<Vec<Write>> {
        let is_seats = |it: &&Write| it.key().collection == SEATS;
        let Some(key) = writes.iter().find(is_seats).map(|it| it.key().clone()) else {
            return Ok(writes);
        };
        let before = self.store.get(&key).await?;
        let taken = before.map_or(0, |before| number(&read(&before.body), "taken"));
        edit(&mut writes, SEATS, |seats| {
            if number(seats, "blocks") > 0 && taken > 0 {
                seats["taken"] = json!(taken);
            }
        });
        Ok(writes)
    }

    /// The same writes, but that a block that is gone is made anew.
    async fn revived(&self, writes: Vec<Write>) -> anyhow::Result<Vec<Write>> {
        let mut revived = Vec::new();
        for write in writes {
            revived.push(match write {
                Write::Replace(key, body, _)
                    if key.collection == BLOCKS && self.store.get(&key).await?.is_none() =>
                {
                    Write::Create(key, body)
                }
                other => other,
            });
        }
        Ok(revived)
    }
}

const SEATS: &str = "seats";
const BLOCKS: &str = "seat_blocks";

fn read(body: &str) -> Value {
    serde_json::from_str(body).expect("what is stored is JSON")
}

/// Changes the documents of a collection that are written.
fn edit(writes: &mut [Write], collection: &str, mut edit: impl FnMut(&mut Value)) {
    for write in writes.iter_mut().filter(|it| it.key().collection == collection) {
        if let Write::Create(_, body) | Write::Replace(_, body, _) = write {
            let mut document = read(body);
            edit(&mut document);
            *body = document.to_string();
        }
    }
}

fn tells_of_a_transfer(write: &Write) -> bool {
    matches!(write, Write::Create(key, body)
        if key.collection == "outbox" && body.contains("enrollments.transferred.v1"))
}

fn leaves_a_place(write: &Write) -> bool {
    matches!(write, Write::Replace(key, body, _)
        if key.collection == "enrollments" && read(body)["state"] == "cancelled")
}

/// The same writes, but that the first of new blocks has a seat too many.
fn shared_too_much(mut writes: Vec<Write>) -> Vec<Write> {
    let is_new = |it: &&mut Write| matches!(it, Write::Create(key, _) if key.collection == BLOCKS);
    if let Some(first) = writes.iter_mut().find(is_new) {
        edit(std::slice::from_mut(first), BLOCKS, |block| {
            block["most"] = json!(number(block, "most") + 1);
        });
    }
    writes
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
        let record = self.store.get(key).await?;
        let is_turned = matches!(key.collection, SEATS | BLOCKS);
        Ok(match record {
            Some(record) if self.wrong == Wrong::IgnoresTheTurn && is_turned => {
                Some(self.of_any_turn(key, record))
            }
            record => record,
        })
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
            Wrong::IgnoresTheTurn => self.store.commit(writes).await,
            Wrong::ForgetsABlock => {
                let writes = self.gathered_wrong(writes, |all, one| all - one).await?;
                self.store.commit(writes).await
            }
            Wrong::CountsABlockTwice => {
                let writes = self.gathered_wrong(writes, |all, one| all + one).await?;
                self.store.commit(writes).await
            }
            Wrong::RevivesBlocks => {
                let writes = self.revived(writes).await?;
                self.store.commit(writes).await
            }
            Wrong::CountsWhatIsSpread => {
                let writes = self.spread_wrong(writes).await?;
                self.store.commit(writes).await
            }
            Wrong::SharesTooMuch => self.store.commit(shared_too_much(writes)).await,
            Wrong::TransfersApart => {
                let is_transfer = writes.iter().any(tells_of_a_transfer);
                let (old, others): (Vec<_>, Vec<_>) =
                    writes.into_iter().partition(|it| is_transfer && leaves_a_place(it));
                if !old.is_empty()
                    && let Err(conflict) = self.store.commit(old).await?
                {
                    return Ok(Err(conflict));
                }
                self.store.commit(others).await
            }
            Wrong::ForgetsWhatLapsed => {
                let mut writes = writes;
                edit(&mut writes, SEATS, |seats| {
                    seats.as_object_mut().expect("documents are objects").remove("lapsed_until");
                });
                self.store.commit(writes).await
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
