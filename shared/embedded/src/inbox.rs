//! The local inbox: mail that goes nowhere, to be read on a page.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Page, Timestamp};
use runtime::{
    Clock, Collection, Conflict, Document, Index, Key, Mail, Query, Store, Write, derived_id,
    mail::{MailError, Message, Taken},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// A message in the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    id: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// To whom, in lower case, to look for it.
    recipient: String,
    /// The message.
    pub message: Message,
    /// When it's thrown away; letters of earlier versions stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl Document for Letter {
    const COLLECTION: &'static str = "letters";
    const INDEXES: &'static [Index] = &[
        Index::descending("sent_at"),
        Index::ascending("sent_at"),
        Index::descending("sent_at").equals(&["recipient"]),
    ];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The newest letters are kept, so many of them.
const KEPT: u64 = 10_000;

/// For how many days they are: not longer than an account that was closed.
const KEPT_DAYS: i64 = 30;

/// How many of the oldest are thrown away at once.
const SWEPT: u32 = 400;

/// The inbox: one for everybody on the platform.
pub struct Inbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kept: u64,
    /// How many there are: counted when the first one comes, and then reckoned.
    count: Mutex<Option<u64>>,
}

impl Inbox {
    /// What the inbox keeps in its store.
    pub const COLLECTIONS: &'static [Collection] = &[Collection::of::<Letter>()];

    /// The inbox on a store of its own.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self::that_keeps(KEPT, store, clock)
    }

    fn that_keeps(kept: u64, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, kept, count: Mutex::default() }
    }

    /// A page of letters, newest first; of those to one address, if one is given.
    pub async fn newest(
        &self,
        to: Option<&str>,
        limit: u32,
        page_token: Option<&str>,
    ) -> runtime::Result<Page<Letter>> {
        let query = Query::descending::<Letter>("sent_at");
        let query = match to {
            Some(address) => query.equals("recipient", address.to_lowercase()),
            None => query,
        };
        let after = page_token.map(|token| runtime::place(&query, token)).transpose()?;
        let query = query.limit(limit).after(after);
        let rows = self.store.query(&query).await?;
        let read = |record: runtime::Record| serde_json::from_str(&record.body);
        let letters = rows.records.into_iter().map(read).collect::<Result<_, _>>();
        Ok(Page {
            items: letters.map_err(anyhow::Error::from)?,
            next_page_token: rows.next.map(|next| runtime::page_token(&query, &next)),
        })
    }

    /// Keeps a message, once.
    pub async fn keep(&self, message: &Message) -> anyhow::Result<()> {
        let sent_at = self.clock.now();
        let letter = Letter {
            id: key(&message.message_id),
            sent_at,
            recipient: message.to.to_lowercase(),
            message: message.clone(),
            expires_at: Some(sent_at.plus_minutes(KEPT_DAYS * 24 * 60)),
        };
        let body = serde_json::to_string(&letter)?;
        let create = Write::Create(Key::of::<Letter>(letter.key()), body);
        match self.store.commit(vec![create]).await? {
            Ok(()) => self.sweep().await,
            Err(Conflict(_)) => Ok(()), // It's here already: a message is kept once.
        }
    }

    /// Throws the oldest letters away when there are too many: some at once, so
    /// that it's seldom.
    async fn sweep(&self) -> anyhow::Result<()> {
        let mut count = self.count.lock().await;
        let mut there = match *count {
            Some(before) => before + 1,
            None => self.count_all().await?,
        };
        let most = self.kept + u64::from(SWEPT);
        if there >= most {
            // Some may be gone because their time was over.
            there = self.count_all().await?;
        }
        while there >= most {
            let oldest = Query::ascending::<Letter>("sent_at").limit(SWEPT);
            let rows = self.store.query(&oldest).await?;
            if rows.records.is_empty() {
                break;
            }
            let delete = |it: runtime::Record| Write::Delete(Key::of::<Letter>(it.id), it.version);
            let deletes = rows.records.into_iter().map(delete).collect();
            // Lost: some of them had just expired.
            let _lost = self.store.commit(deletes).await?;
            there = self.count_all().await?;
        }
        *count = Some(there);
        Ok(())
    }

    async fn count_all(&self) -> anyhow::Result<u64> {
        self.store.count(&Query::ascending::<Letter>("sent_at")).await
    }
}

/// A letter's id: a message is known by its `Message-ID`.
fn key(message_id: &str) -> String {
    derived_id(&["letter", message_id])
}

#[async_trait]
impl Mail for Inbox {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        // The store was asked, and whether it has it only it can tell: `taken` does.
        self.keep(message).await.map_err(|error| MailError::Unknown(format!("{error:#}")))
    }

    async fn taken(&self, message_id: &str) -> anyhow::Result<Taken> {
        let letter = self.store.get(&Key::of::<Letter>(key(message_id))).await?;
        Ok(if letter.is_some() { Taken::Yes } else { Taken::No })
    }
}

#[cfg(test)]
mod tests {
    use testing::StandingClock;

    use super::*;
    use crate::store::{Database, DomainStore};

    fn inbox(kept: u64) -> (Inbox, Arc<StandingClock>) {
        let (inbox, clock, _) = inbox_and_store(kept);
        (inbox, clock)
    }

    fn inbox_and_store(kept: u64) -> (Inbox, Arc<StandingClock>, Arc<DomainStore>) {
        let store = Database::in_memory().unwrap().domain("local", Inbox::COLLECTIONS).unwrap();
        let clock = Arc::new(StandingClock::at(Timestamp::UNIX_EPOCH));
        (Inbox::that_keeps(kept, store.clone(), clock.clone()), clock, store)
    }

    fn message(number: u64, to: &str) -> Message {
        Message {
            message_id: format!("{number}@aula"),
            to: to.to_owned(),
            to_name: String::new(),
            subject: number.to_string(),
            text: String::new(),
            html: String::new(),
            headers: Vec::new(),
            attachments: Vec::new(),
        }
    }

    fn subjects(page: &Page<Letter>) -> Vec<&str> {
        page.items.iter().map(|letter| letter.message.subject.as_str()).collect()
    }

    #[tokio::test]
    async fn letters_are_paged_newest_first() {
        let (inbox, clock) = inbox(KEPT);
        for (number, to) in [(1, "ada@x"), (2, "Bob@x"), (3, "ada@x")] {
            inbox.send(&message(number, to)).await.unwrap();
            clock.advance(1);
        }
        let first = inbox.newest(None, 2, None).await.unwrap();
        assert_eq!(subjects(&first), ["3", "2"]);
        let next = inbox.newest(None, 2, first.next_page_token.as_deref()).await.unwrap();
        assert_eq!((subjects(&next), next.next_page_token.as_deref()), (vec!["1"], None));
        assert_eq!(subjects(&inbox.newest(Some("ADA@x"), 9, None).await.unwrap()), ["3", "1"]);
        assert_eq!(subjects(&inbox.newest(Some("bob@x"), 9, None).await.unwrap()), ["2"]);
        assert!(inbox.newest(None, 2, Some("nonsense")).await.is_err());
    }

    #[tokio::test]
    async fn a_message_is_kept_once_and_known_to_be() {
        let (inbox, _) = inbox(KEPT);
        for _ in 0..2 {
            inbox.send(&message(1, "ada@x")).await.unwrap();
        }
        assert_eq!(inbox.newest(None, 9, None).await.unwrap().items.len(), 1);
        assert_eq!(inbox.taken("1@aula").await.unwrap(), Taken::Yes);
        assert_eq!(inbox.taken("2@aula").await.unwrap(), Taken::No);
    }

    #[tokio::test]
    async fn the_oldest_letters_make_way() {
        let (inbox, clock) = inbox(10);
        let most = 10 + u64::from(SWEPT);
        for number in 0..most {
            inbox.send(&message(number, "ada@x")).await.unwrap();
            clock.advance(1);
        }
        let left = inbox.newest(None, 100, None).await.unwrap();
        assert_eq!(left.items.len(), 10);
        assert_eq!(left.items[0].message.subject, (most - 1).to_string());
        assert_eq!(*inbox.count.lock().await, Some(10));
    }

    #[tokio::test]
    async fn after_a_month_a_letter_is_thrown_away_and_newer_ones_need_not_make_way_for_it() {
        let (inbox, clock, store) = inbox_and_store(10);
        let old = u64::from(SWEPT) / 2;
        for number in 0..old {
            inbox.send(&message(number, "ada@x")).await.unwrap();
        }
        clock.advance(KEPT_DAYS * 24 * 60 * 60);
        assert_eq!(u64::from(store.drop_expired(clock.now(), 10_000).await.unwrap()), old);
        let new = 9 + u64::from(SWEPT);
        for number in old..old + new {
            inbox.send(&message(number, "ada@x")).await.unwrap();
        }
        assert_eq!(inbox.count_all().await.unwrap(), new);
    }
}
