//! A process: tasks that run one after the other, until each waits for the
//! world. It can be killed at any point.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use tokio::runtime::{Builder, Runtime};

/// A process. To drop it is to kill it: whatever ran in it is gone.
pub(crate) struct Process {
    runtime: Runtime,
    idle: Arc<Idle>,
}

/// Whether no task can go on by itself.
#[derive(Default)]
struct Idle {
    is: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Process {
    pub(crate) fn new() -> Self {
        let idle = Arc::<Idle>::default();
        let noting = idle.clone();
        // It has no timers, no sockets and no other threads: all that can wake a
        // task is an answer of the world, or another task.
        let runtime = Builder::new_current_thread()
            .on_thread_park(move || noting.note())
            .build()
            .expect("a runtime without drivers can be built");
        Self { runtime, idle }
    }

    /// Begins a task; it runs when the process does.
    pub(crate) fn begin(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Runs the tasks until each of them waits for the world, or has ended.
    pub(crate) fn run(&self) {
        self.runtime.block_on(poll_fn(|cx| {
            if self.idle.is.swap(false, Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.idle.waker.lock().expect("no holder panics") = Some(cx.waker().clone());
            Poll::Pending
        }));
    }
}

impl Idle {
    fn note(&self) {
        self.is.store(true, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().expect("no holder panics").take() {
            waker.wake();
        }
    }
}
