//! The clockwork: every job each second, and what has to be tidied each minute.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_util::{FutureExt, future::join_all};
use runtime::{Host, Trigger};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::bus::{said, stopped};

/// Something that has to be tidied.
type Chore = Box<dyn Fn() -> Done + Send + Sync>;
type Done = Pin<Box<dyn Future<Output = runtime::Result<()>> + Send>>;

/// The clockwork of one process: in the cloud a job's schedule says when it
/// runs; here it's each second, so that nobody has to wait to see it work.
pub struct Clockwork {
    host: Host,
    chores: Vec<(&'static str, Chore)>,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// How long something may take; a job is written so that it can go on later.
const DONE_WITHIN: Duration = Duration::from_mins(5);

/// Of a thing that keeps failing, only every so many failures are told.
const TOLD_EVERY: u32 = 60;

impl Clockwork {
    /// A clockwork for the jobs of a host.
    pub fn new(host: Host) -> Self {
        Self { host, chores: Vec::new() }
    }

    /// Adds something that is done each minute.
    #[must_use]
    pub fn each_minute<F>(
        mut self,
        name: &'static str,
        chore: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = runtime::Result<()>> + Send + 'static,
    {
        self.chores.push((name, Box::new(move || Box::pin(chore()))));
        self
    }

    /// Tidies now, as it's done each minute.
    pub async fn tidy(&self) -> runtime::Result<()> {
        for (_, chore) in &self.chores {
            chore().await?;
        }
        Ok(())
    }

    /// Runs until `stop` says so; what runs then is finished.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        // The bus of one process relays by itself.
        let is_job = |it: &&runtime::Served| matches!(&it.function.trigger, Trigger::Schedule(it) if !it.is_relay);
        let jobs = self.host.functions().filter(is_job).map(|served| {
            let job = served.function.id.as_str();
            repeat(job, SECOND, || self.host.run_job(job), stop.clone())
        });
        let chores = self.chores.iter();
        let chores = chores.map(|(name, chore)| repeat(name, MINUTE, chore, stop.clone()));
        tokio::join!(join_all(jobs), join_all(chores));
    }
}

/// Does something again and again, never twice at once.
async fn repeat<F>(
    name: &str,
    period: Duration,
    act: impl Fn() -> F,
    mut stop: watch::Receiver<bool>,
) where
    F: Future<Output = runtime::Result<()>>,
{
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    loop {
        tokio::select! {
            // Who is late when it's stopped doesn't begin once more.
            biased;
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let done = tokio::time::timeout(DONE_WITHIN, AssertUnwindSafe(act()).catch_unwind()).await;
        let error = match done {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(runtime::Error::Internal(error)))) => Some(format!("{error:#}")),
            Ok(Ok(Err(error))) => Some(error.to_string()),
            Ok(Err(panic)) => Some(format!("it panicked: {}", said(&*panic))),
            Err(_elapsed) => Some(format!("it took more than {} s", DONE_WITHIN.as_secs())),
        };
        match error {
            Some(error) => {
                if failures % TOLD_EVERY == 0 {
                    tracing::error!(job = name, error, failures, "a job failed");
                }
                failures += 1;
            }
            None if failures > 0 => {
                tracing::info!(job = name, failures, "a job works again");
                failures = 0;
            }
            None => {}
        }
    }
}
