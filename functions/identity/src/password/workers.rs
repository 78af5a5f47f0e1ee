//! The workers that hash: a few threads, the memory that they reuse, and a
//! queue with an end.
//!
//! A hash fills 19 MiB. Allocated anew for each, the blocks stay behind in the
//! allocator's arenas (300 MiB were seen) and cost a fifth of the time in page
//! faults. And no more threads hash than there are cores: more would only make
//! everyone wait longer.

use std::{
    collections::VecDeque,
    sync::{
        Arc, LazyLock, Mutex,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use argon2::{Algorithm, Argon2, Block, Version};
use runtime::{Error, Result};
use tokio::sync::oneshot;

use super::{
    foreign::Foreign,
    hashed::{Cost, KEY_LENGTH},
};

/// The most who may wait: on two cores it's their turn within half a second.
/// Beyond that, saying so at once is kinder than letting everyone wait.
const QUEUE: usize = 64;

/// When who was turned away may come back: the queue is gone by then.
const RETRY_SECONDS: u32 = 1;

/// How many hashes the median is of.
const REMEMBERED: usize = 101;

/// The workers of this process; they start with the first hash.
pub(super) fn workers() -> &'static Workers {
    static WORKERS: LazyLock<Workers> = LazyLock::new(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Workers::start(cores, QUEUE)
    });
    &WORKERS
}

/// How long a hash takes, in microseconds: the median of the last hundred, once
/// there are any. The wait for a worker isn't in it.
pub fn median_micros() -> Option<u64> {
    let mut times = Vec::from(workers().shared.times.lock().expect("no holder panics").clone());
    times.sort_unstable();
    let median = times.get(times.len() / 2)?;
    Some(u64::try_from(median.as_micros()).unwrap_or(u64::MAX))
}

/// Some threads that hash.
pub(super) struct Workers {
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
}

/// What the threads share.
struct Shared {
    jobs: Mutex<Receiver<Job>>,
    /// Memory that nobody uses now; the last used is the next, for it's still in the cache.
    memory: Mutex<Vec<Vec<Block>>>,
    times: Mutex<VecDeque<Duration>>,
}

struct Job {
    password: String,
    work: Work,
}

enum Work {
    Derive { salt: Vec<u8>, cost: Cost, reply: oneshot::Sender<anyhow::Result<[u8; KEY_LENGTH]>> },
    Check { foreign: Foreign, reply: oneshot::Sender<bool> },
}

impl Workers {
    fn start(threads: usize, queue: usize) -> Self {
        let (queue, jobs) = sync_channel(queue);
        let shared = Arc::new(Shared {
            jobs: Mutex::new(jobs),
            memory: Mutex::default(),
            times: Mutex::default(),
        });
        for number in 0..threads {
            let shared = shared.clone();
            let thread = thread::Builder::new().name(format!("passwords-{number}"));
            thread.spawn(move || shared.work()).expect("a process may have a thread a core");
        }
        Self { queue, shared }
    }

    /// Hashes a password, when it's its turn.
    pub(super) async fn derive(
        &self,
        password: &str,
        salt: &[u8],
        cost: Cost,
    ) -> Result<[u8; KEY_LENGTH]> {
        let (reply, key) = oneshot::channel();
        self.queue(password, Work::Derive { salt: salt.to_vec(), cost, reply })?;
        Ok(key.await.context("a hash was begun and not finished")??)
    }

    /// Whether a password is the one that other software hashed.
    pub(super) async fn check(&self, password: &str, foreign: &Foreign) -> Result<bool> {
        let (reply, right) = oneshot::channel();
        self.queue(password, Work::Check { foreign: foreign.clone(), reply })?;
        Ok(right.await.context("a hash was begun and not finished")?)
    }

    fn queue(&self, password: &str, work: Work) -> Result<()> {
        let job = Job { password: password.to_owned(), work };
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::Unavailable(RETRY_SECONDS),
            TrySendError::Disconnected(_) => anyhow!("nobody hashes any more").into(),
        })
    }
}

impl Shared {
    /// Hashes until the process ends.
    fn work(&self) {
        loop {
            let job = self.jobs.lock().expect("no holder panics").recv();
            let Ok(Job { password, work }) = job else { return };
            // Whoever hung up meanwhile needs no hash.
            match work {
                Work::Derive { salt, cost, reply } if !reply.is_closed() => {
                    let _gone = reply.send(self.derive(&password, &salt, cost));
                }
                Work::Check { foreign, reply } if !reply.is_closed() => {
                    let _gone = reply.send(foreign.is_of(&password));
                }
                Work::Derive { .. } | Work::Check { .. } => {}
            }
        }
    }

    fn derive(&self, password: &str, salt: &[u8], cost: Cost) -> anyhow::Result<[u8; KEY_LENGTH]> {
        let params = cost.params()?;
        let blocks = params.block_count();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let unused = self.memory.lock().expect("no holder panics").pop();
        let mut memory = unused.unwrap_or_default();
        if memory.len() < blocks {
            memory.resize(blocks, Block::new());
        }
        let (mut key, begun) = ([0; KEY_LENGTH], Instant::now());
        let hashed =
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut key, &mut memory);
        self.took(begun.elapsed());
        self.memory.lock().expect("no holder panics").push(memory);
        hashed.map_err(|error| anyhow!("argon2: {error}"))?;
        Ok(key)
    }

    fn took(&self, time: Duration) {
        let mut times = self.times.lock().expect("no holder panics");
        if times.len() == REMEMBERED {
            times.pop_front();
        }
        times.push_back(time);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    /// Cheap enough to hash by the hundred.
    const CHEAP: Cost = Cost { memory: 64, passes: 1, lanes: 1 };

    #[tokio::test]
    async fn whoever_comes_when_the_queue_is_full_is_asked_to_come_back() {
        let nobody_works = Workers::start(0, 2);
        let derive = || Box::pin(nobody_works.derive("password", &[0; 16], CHEAP));
        let (mut first, mut second) = (derive(), derive());
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        let third = derive().now_or_never();
        assert!(matches!(third, Some(Err(Error::Unavailable(RETRY_SECONDS)))), "{third:?}");
    }

    #[tokio::test]
    async fn memory_is_reused_and_never_more_than_a_block_a_worker() {
        let workers = Workers::start(2, 100);
        let hashes = (0..100).map(|_| workers.derive("password", &[0; 16], CHEAP));
        let keys: Vec<_> = join_all(hashes).await.into_iter().map(Result::unwrap).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert!(workers.shared.memory.lock().unwrap().len() <= 2);
        assert_eq!(workers.shared.times.lock().unwrap().len(), 100);
    }

    #[tokio::test]
    async fn used_memory_leaves_no_trace_in_the_next_hash() {
        let fresh = Workers::start(1, 1);
        let expected = fresh.derive("password", &[0; 16], CHEAP).await.unwrap();
        let used = Workers::start(1, 1);
        let larger = Cost { memory: 128, passes: 2, lanes: 1 };
        used.derive("another", &[1; 16], larger).await.unwrap();
        assert_eq!(used.derive("password", &[0; 16], CHEAP).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn whoever_hung_up_costs_nothing() {
        let workers = Workers::start(0, 3);
        assert!(workers.derive("password", &[0; 16], CHEAP).now_or_never().is_none());
        let job = workers.shared.jobs.lock().unwrap().recv().unwrap();
        assert!(matches!(job.work, Work::Derive { reply, .. } if reply.is_closed()));
    }
}
