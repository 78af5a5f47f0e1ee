//! A time that passes only when everybody waits for it.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contracts::Timestamp;
use runtime::Clock;
use tokio::sync::oneshot;

/// When it begins: 2026-03-02T12:00:00Z, a Monday.
const BEGINNING_MILLIS: i64 = 1_772_452_800_000;

/// The time. Whoever shares it waits for the same hour.
#[derive(Clone, Default)]
pub(super) struct Time(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Duration,
    waiting: BinaryHeap<Reverse<Sleeper>>,
    slept: u64,
}

impl State {
    fn next(&self) -> Option<Duration> {
        self.waiting.peek().map(|Reverse(sleeper)| sleeper.until.0)
    }
}

/// Somebody who waits. Of two with the same hour, who came first goes on first.
struct Sleeper {
    until: (Duration, u64),
    wake: oneshot::Sender<()>,
}

impl Time {
    /// How much has passed since the beginning.
    pub(super) fn passed(&self) -> Duration {
        self.0.lock().expect("no holder panics").now
    }

    /// Waits until so much has passed since the beginning.
    pub(super) async fn until(&self, hour: Duration) {
        let woken = {
            let mut state = self.0.lock().expect("no holder panics");
            let (wake, woken) = oneshot::channel();
            state.slept += 1;
            let until = (hour.max(state.now), state.slept);
            state.waiting.push(Reverse(Sleeper { until, wake }));
            woken
        };
        let _only_the_end_of_the_world_drops_it = woken.await;
    }

    /// Waits a while.
    pub(super) async fn pass(&self, duration: Duration) {
        self.until(self.passed() + duration).await;
    }

    /// Goes on to the next hour that somebody waits for, and wakes all who wait
    /// for it; whether there was anybody.
    pub(super) fn go_on(&self) -> bool {
        let mut state = self.0.lock().expect("no holder panics");
        let Some(hour) = state.next() else { return false };
        state.now = hour;
        while state.next() == Some(hour)
            && let Some(Reverse(Sleeper { wake, .. })) = state.waiting.pop()
        {
            let _may_have_gone = wake.send(());
        }
        true
    }
}

#[async_trait]
impl Clock for Time {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.passed().as_millis()).expect("a run is short");
        Timestamp::from_millis(BEGINNING_MILLIS + passed)
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(duration).await;
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}
