//! The bus at work, until it's told to stop.

use std::{future::pending, time::Duration};

use futures_util::future::join_all;
use runtime::Query;
use tokio::{sync::watch, time::timeout};

use super::{LocalBus, Outbox, delivery::Delivery, read};

/// How long the first events after a pause wait for functions to stop committing:
/// a rush for seats is mostly over by then, and a mail that comes two seconds
/// later comes soon enough.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often an outbox is looked at though nobody said that it's filled: who
/// would have said so may have hung up in between.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait after the store has failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep before what failed is looked at, whatever the clock says.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// How long what is left may take when the bus is told to stop.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

impl LocalBus {
    /// Carries events until `stop` says so, and then what is left, for a while.
    pub async fn carry(&self, stop: watch::Receiver<bool>) {
        let outboxes = join_all(self.outboxes().iter().map(|it| self.empty(it, stop.clone())));
        let work = async {
            tokio::join!(outboxes, self.redeliver_until(stop.clone()));
            if let Err(error) = self.relay().await {
                tracing::error!(error = format!("{error:#}"), "the outboxes can't be relayed");
            }
        };
        let overdue = async {
            stopped(&mut stop.clone()).await;
            tokio::time::sleep(FINISH_WITHIN).await;
        };
        tokio::select! {
            () = work => {}
            () = overdue => tracing::warn!("some events wait for the next start"),
        }
    }

    /// Relays an outbox whenever it's filled.
    async fn empty(&self, outbox: &Outbox, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = runtime::relay(&*outbox.store, self).await {
                let error = format!("{error:#}");
                tracing::error!(domain = outbox.domain, error, "an outbox can't be relayed");
                let _stopped = timeout(STORE_PAUSE, stopped(&mut stop)).await;
                continue;
            }
            self.note_move();
            let filled = async {
                let _or_it_is_time = timeout(LOOK, outbox.filled.notified()).await;
                self.quiet(PATIENCE).await;
            };
            tokio::select! { () = filled => {}, () = stopped(&mut stop) => {} }
        }
    }

    /// Tries again what has failed whenever it's due.
    async fn redeliver_until(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let sleep = match self.redeliver().await {
                Ok(_) => self.until_due().await,
                Err(error) => Err(error),
            };
            let sleep = sleep.unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "nothing can be delivered again");
                Some(STORE_PAUSE)
            });
            let due = async {
                match sleep {
                    Some(sleep) => tokio::time::sleep(sleep).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.due.notified() => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// How long it is until something is due; nothing, if nothing has failed.
    async fn until_due(&self) -> anyhow::Result<Option<Duration>> {
        let first = Query::ascending::<Delivery>("next_attempt_at").limit(1);
        let rows = self.store.query(&first).await?;
        let Some(record) = rows.records.first() else { return Ok(None) };
        let at = read::<Delivery>(record)?.next_attempt_at;
        let millis = at.as_millis().saturating_sub(self.clock.now().as_millis());
        let sleep = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Ok(Some(sleep.min(LONGEST_SLEEP)))
    }
}

/// Waits until `stop` says so, or nobody is left to say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _nobody_left = stop.wait_for(|stop| *stop).await;
}
