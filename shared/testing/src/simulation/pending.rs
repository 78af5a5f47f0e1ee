//! Those who wait for their turn.

use std::sync::Arc;

use runtime::{Envelope, Incoming, Reply};

use super::gate::{Ask, Waiting};

/// Somebody or something that waits for its turn.
pub(crate) struct Pending {
    /// The same in each run in which the same has happened before.
    pub(crate) id: u64,
    /// The step that it came from, or the steps that did it together.
    pub(crate) cause: u64,
    pub(crate) what: What,
    /// From when on it may have its turn, if that's decided.
    pub(crate) ready_at: Option<u64>,
}

/// What waits for its turn.
pub(crate) enum What {
    /// A task that asks something of the world.
    Asked(Box<Waiting>),
    /// An answer on its way back.
    Replied { call: u64, reply: Reply },
    /// An event on its way to a subscriber.
    Delivery(Delivery),
    /// A copy of a request that was late on its way; nobody waits for its answer.
    Stray { service: usize, operation: &'static str, incoming: Box<Incoming> },
}

/// An event on its way to a subscriber.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) service: usize,
    pub(crate) subscriber: String,
    pub(crate) event: Arc<Envelope>,
    /// Who outside has told it; nothing: an outbox.
    pub(crate) teller: Option<usize>,
}

/// How something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    /// It fails, and nothing happens.
    Fails,
    /// It happens, and who asked doesn't hear of it.
    Unheard,
    /// It happens, and whoever did it is killed.
    Fatal,
    /// It happens, and a copy of it will happen later.
    Twice,
}

impl Pending {
    /// How it may go, if it doesn't go well.
    pub(crate) const fn may(&self) -> &'static [How] {
        match &self.what {
            What::Asked(waiting) => match &waiting.ask {
                Ask::Get(_)
                | Ask::GetOf(..)
                | Ask::GetAll(_)
                | Ask::Query(_)
                | Ask::Count(_)
                | Ask::Taken(_) => &[How::Fails],
                Ask::Commit(_) | Ask::Publish(_) | Ask::Send(_) => {
                    &[How::Fails, How::Unheard, How::Fatal]
                }
                Ask::Call(..) | Ask::Request(..) => &[How::Fails, How::Fatal, How::Twice],
                Ask::Sleep(_) | Ask::Job(_) | Ask::Touch => &[],
            },
            What::Replied { .. } => &[How::Unheard],
            What::Delivery(_) => &[How::Fails, How::Twice],
            What::Stray { .. } => &[],
        }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(&self.what, What::Asked(waiting) if waiting.answer.is_closed())
    }

    /// Whether a process asks it.
    pub(crate) fn is_asked_by(&self, process: usize) -> bool {
        matches!(&self.what, What::Asked(waiting) if waiting.process == process)
    }
}
