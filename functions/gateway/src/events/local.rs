//! What the bus of one process has given up, in its folder.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use async_trait::async_trait;
use embedded::{
    DeadLetter, LocalBus, SystemClock, SystemRandom,
    store::{Database, Options},
};
use runtime::Error;

use super::{GivenUp, Keeps};

/// The folder of a platform.
pub(super) struct Folder {
    database: Database,
    bus: LocalBus,
}

impl Folder {
    /// Opens a folder: to look into, also of a platform that runs; or to replay,
    /// for which the platform has to be stopped. What is replayed is carried when
    /// it's started again.
    pub fn open(folder: &Path, to_replay: bool) -> anyhow::Result<Self> {
        let database = if to_replay {
            Database::open(folder, Options::default())
                .context("events are replayed while the platform is stopped")?
        } else {
            Database::open_read_only(folder)?
        };
        let store = database.domain("bus", LocalBus::COLLECTIONS)?;
        let bus = LocalBus::new(store, Arc::new(SystemClock), Arc::new(SystemRandom));
        Ok(Self { database, bus })
    }

    /// Writes all that is to be written.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.database.close().await
    }
}

#[async_trait]
impl Keeps for Folder {
    async fn given_up(&self, most: u32) -> anyhow::Result<Vec<GivenUp>> {
        const PAGE: u32 = 100;
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let page = self.bus.dead_letters(PAGE, token.as_deref()).await;
            let page = page.map_err(|error| match error {
                Error::Internal(error) => error,
                other => other.into(),
            })?;
            all.extend(page.items.into_iter().map(GivenUp::from));
            token = page.next_page_token;
            if token.is_none() || all.len() >= most as usize {
                all.truncate(most as usize);
                return Ok(all);
            }
        }
    }

    async fn replay(&self, wanted: &[GivenUp]) -> anyhow::Result<usize> {
        let mut replayed = 0;
        for it in wanted {
            replayed += usize::from(self.bus.replay(&it.id).await?);
        }
        Ok(replayed)
    }
}

impl From<DeadLetter> for GivenUp {
    fn from(letter: DeadLetter) -> Self {
        let attempts = Some(letter.attempts).filter(|_| !letter.is_parked());
        Self {
            id: letter.id,
            subscriber: letter.subscriber,
            event: Some(letter.event.kind),
            attempts,
            at: Some(letter.died_at),
            because: Some(letter.last_error),
        }
    }
}
