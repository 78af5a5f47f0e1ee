//! Erasing somebody for good: what was deleted stands in unused parts of the
//! file until something else is written there. So within a day after somebody
//! was erased the file is written anew.

use contracts::Timestamp;
use runtime::{Document, Key, Write};
use serde::{Deserialize, Serialize};

use super::{LocalBus, read};
use crate::store::Database;

/// Somebody was erased since the file was last written anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Erasing {
    id: String,
    /// When the last one was.
    last_at: Timestamp,
    /// When the file is to be written anew.
    rewrite_at: Timestamp,
}

impl Document for Erasing {
    const COLLECTION: &'static str = "erasing";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// There's one file.
const FILE: &str = "file";

/// For how long those who are erased are gathered: a large file takes its time.
const GATHERED_MINUTES: i64 = 24 * 60;

/// How long it may take until every subscriber has dropped what it had, if some
/// of them fail at first.
const DROPPED_MINUTES: i64 = 60;

/// After so long all that tells of somebody and drops out by itself has done so:
/// letters, answers that were kept, what nobody could take.
const EXPIRED_MINUTES: i64 = 32 * 24 * 60;

/// How long it's left alone once it was tried: it may have failed for want of room.
const AGAIN_MINUTES: i64 = 60;

impl Erasing {
    fn first(now: Timestamp) -> Self {
        let rewrite_at = now.plus_minutes(GATHERED_MINUTES);
        Self { id: FILE.to_owned(), last_at: now, rewrite_at }
    }

    /// What is left to do once the file was written anew: whoever was erased
    /// just before that may have been in it still; and once more when all that
    /// drops out by itself has done so.
    fn after(self, now: Timestamp) -> Option<Self> {
        let last_time = self.last_at.plus_minutes(EXPIRED_MINUTES);
        if now < self.last_at.plus_minutes(DROPPED_MINUTES) {
            return Some(Self { last_at: self.last_at, ..Self::first(now) });
        }
        (now < last_time).then_some(Self { rewrite_at: last_time, ..self })
    }
}

impl LocalBus {
    /// Notes that somebody was erased.
    pub(super) async fn note_erasing(&self) -> anyhow::Result<()> {
        loop {
            let (key, now) = (Key::of::<Erasing>(FILE), self.clock.now());
            let write = match self.store.get(&key).await? {
                Some(record) => {
                    let known: Erasing = read(&record)?;
                    let soon = now.plus_minutes(GATHERED_MINUTES);
                    let rewrite_at = known.rewrite_at.min(soon);
                    let noted = Erasing { last_at: now, rewrite_at, ..known };
                    Write::Replace(key, serde_json::to_string(&noted)?, record.version)
                }
                None => Write::Create(key, serde_json::to_string(&Erasing::first(now))?),
            };
            if self.store.commit(vec![write]).await?.is_ok() {
                return Ok(());
            }
        }
    }

    /// Writes the file anew if somebody was erased a day ago. Says whether it did.
    pub async fn finish_erasing(&self, database: &Database) -> anyhow::Result<bool> {
        let key = Key::of::<Erasing>(FILE);
        let Some(record) = self.store.get(&key).await? else { return Ok(false) };
        let (erasing, now): (Erasing, _) = (read(&record)?, self.clock.now());
        if now < erasing.rewrite_at {
            return Ok(false);
        }
        // Whatever becomes of it, it isn't done again at once.
        let later = Erasing { rewrite_at: now.plus_minutes(AGAIN_MINUTES), ..erasing.clone() };
        let later = Write::Replace(key.clone(), serde_json::to_string(&later)?, record.version);
        if self.store.commit(vec![later]).await?.is_err() {
            return Ok(false);
        }
        let Some(record) = self.store.get(&key).await? else { return Ok(false) };
        anyhow::ensure!(database.rewrite().await?, "the log can't be emptied: somebody reads it");
        let write = match erasing.after(now) {
            Some(rest) => Write::Replace(key, serde_json::to_string(&rest)?, record.version),
            None => Write::Delete(key, record.version),
        };
        // Lost: somebody was erased meanwhile, and it's written anew once more.
        let _lost = self.store.commit(vec![write]).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path, process, sync::Arc};

    use contracts::{Event as _, UserId, identity::Erased};
    use runtime::{Bus as _, Envelope, Host, Store as _};
    use serde_json::json;
    use testing::{SeededRandom, StandingClock};

    use super::*;
    use crate::store::Options;

    fn erased() -> Envelope {
        let event = Erased { user_id: UserId::from("ada") };
        Envelope {
            id: "e1".to_owned(),
            kind: Erased::TYPE.to_owned(),
            source: "identity".to_owned(),
            subject: event.subject(),
            emitted_at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            correlation_id: "c".to_owned(),
            causation_id: "c".to_owned(),
            data: serde_json::value::to_raw_value(&event).unwrap(),
        }
    }

    fn is_in(folder: &Path, word: &str) -> bool {
        let files = fs::read_dir(folder).unwrap().map(|it| fs::read(it.unwrap().path()).unwrap());
        files.into_iter().any(|it| it.windows(word.len()).any(|it| it == word.as_bytes()))
    }

    #[tokio::test]
    async fn a_day_after_somebody_was_erased_nothing_of_them_is_in_the_file() {
        const WORD: &str = "Quetzalina Tororoi";
        let folder = env::temp_dir().join(format!("aula-erasing-{}", process::id()));
        let database = Database::open(&folder, Options::default()).unwrap();
        let store = database.domain("bus", LocalBus::COLLECTIONS).unwrap();
        let clock = Arc::new(StandingClock::at(Timestamp::UNIX_EPOCH));
        let bus = LocalBus::new(store.clone(), clock.clone(), Arc::new(SeededRandom::of(1)));
        bus.connect(Host::new(Vec::new(), None), Vec::new());
        // Many documents, so that pages are split and put together.
        let key = |number: u32| Key { collection: "deliveries", id: format!("{number:04}") };
        for number in 0..300 {
            let body = json!({ "name": WORD.repeat(1 + number as usize % 40) }).to_string();
            store.commit(vec![Write::Create(key(number), body)]).await.unwrap().unwrap();
        }
        for number in 0..300 {
            let version = store.get(&key(number)).await.unwrap().unwrap().version;
            store.commit(vec![Write::Delete(key(number), version)]).await.unwrap().unwrap();
        }

        assert!(!bus.finish_erasing(&database).await.unwrap(), "nobody was erased");
        bus.publish(&[erased()]).await.unwrap();
        assert!(!bus.finish_erasing(&database).await.unwrap(), "those of a day are gathered");
        assert!(is_in(&folder, WORD), "what is deleted isn't overwritten");
        clock.advance(GATHERED_MINUTES * 60);
        assert!(bus.finish_erasing(&database).await.unwrap());
        assert!(!is_in(&folder, WORD));
        assert!(!bus.finish_erasing(&database).await.unwrap(), "it's done");
        store.commit(vec![Write::Create(key(0), "{}".to_owned())]).await.unwrap().unwrap();
        assert!(store.get(&key(0)).await.unwrap().is_some(), "it goes on");
        database.close().await.unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn while_somebody_reads_as_of_an_earlier_moment_it_is_tried_again() {
        let folder = env::temp_dir().join(format!("aula-erasing-late-{}", process::id()));
        let database = Database::open(&folder, Options::default()).unwrap();
        let store = database.domain("bus", LocalBus::COLLECTIONS).unwrap();
        let clock = Arc::new(StandingClock::at(Timestamp::UNIX_EPOCH));
        let bus = LocalBus::new(store, clock.clone(), Arc::new(SeededRandom::of(1)));
        bus.connect(Host::new(Vec::new(), None), Vec::new());
        bus.publish(&[erased()]).await.unwrap();
        clock.advance(GATHERED_MINUTES * 60);
        let audit = Database::open_read_only(&folder).unwrap();
        assert!(bus.finish_erasing(&database).await.is_err());
        drop(audit);
        assert!(!bus.finish_erasing(&database).await.unwrap(), "not at once");
        clock.advance(AGAIN_MINUTES * 60);
        assert!(bus.finish_erasing(&database).await.unwrap());
        database.close().await.unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_was_erased_just_before_waits_for_the_next_time() {
        let first = Erasing::first(Timestamp::UNIX_EPOCH);
        let later = first.rewrite_at;
        let last = first.clone().after(later).expect("when all has expired");
        assert_eq!(last.rewrite_at, last.last_at.plus_minutes(EXPIRED_MINUTES));
        assert!(last.clone().after(last.rewrite_at).is_none());
        let joined = Erasing { last_at: later.plus_minutes(-1), ..first };
        let rest = joined.after(later).expect("one more time");
        assert_eq!(rest.rewrite_at, later.plus_minutes(GATHERED_MINUTES));
        let last = rest.clone().after(rest.rewrite_at).expect("when all has expired");
        assert!(last.clone().after(last.rewrite_at).is_none());
    }
}
