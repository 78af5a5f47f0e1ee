//! How long Firestore is waited for and how often it's tried, and what an
//! answer that isn't one tells of what was done.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use gcloud_sdk::tonic::{Code, ConnectError, Status};
use runtime::{Clock, Random, Unreachable};
use tokio::time::Instant;

/// How long to wait, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The most that one call may take.
    pub call: Duration,
    /// The most that an operation may take, with all its calls and the pauses
    /// between them; a call that is under way then may end.
    pub operation: Duration,
    /// The most calls that are tried for one.
    pub tries: u32,
    /// Before the second try it's a random part of this; before each next one a
    /// random part of twice as much, up to two seconds.
    pub pause: Duration,
}

impl Default for Patience {
    /// A request has 30 seconds in its function; what takes longer nobody waits for, and there
    /// has to be time for another commit.
    fn default() -> Self {
        Self {
            call: Duration::from_secs(4),
            operation: Duration::from_secs(10),
            tries: 6,
            pause: Duration::from_millis(40),
        }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A call that brought no result.
#[derive(Debug)]
pub(super) struct Failed {
    status: Status,
    /// Whether Firestore can have got it at all.
    sent: bool,
}

/// What a failed call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A document wasn't as a write supposed; nothing was written.
    Refused,
    /// Nothing was done, and it may be tried again.
    Undone,
    /// Nobody knows what was done.
    Nothing,
    /// It can't be done, now or later.
    Never,
}

impl Failed {
    /// A call that couldn't be made.
    pub fn unsent(because: impl fmt::Display) -> Self {
        Self { status: Status::unavailable(because.to_string()), sent: false }
    }

    /// What it tells.
    pub fn told(&self) -> Told {
        if !self.sent {
            return Told::Undone;
        }
        match self.status.code() {
            Code::AlreadyExists | Code::FailedPrecondition | Code::NotFound => Told::Refused,
            // Who is aborted or turned away has not been let in.
            Code::Aborted | Code::ResourceExhausted => Told::Undone,
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => Told::Never,
            // The connection or the patience ended before the answer came.
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Told::Nothing,
        }
    }

    /// As the end of an operation, after which nothing more is tried.
    pub fn ends(self) -> anyhow::Error {
        match self.told() {
            Told::Undone | Told::Nothing => Unreachable(self.to_string()).into(),
            Told::Refused | Told::Never => self.into(),
        }
    }

    /// Whether the connection may be one that nobody answers on any more: a process that was
    /// frozen finds such ones when it thaws.
    pub fn is_silence(&self) -> bool {
        self.status.code() == Code::DeadlineExceeded
    }

    /// Whether it says what a precondition that failed says.
    pub fn is(&self, codes: &[Code]) -> bool {
        self.sent && codes.contains(&self.status.code())
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        let mut cause = status.source();
        let mut sent = true;
        while let Some(error) = cause {
            sent &= !error.is::<ConnectError>();
            cause = error.source();
        }
        Self { status, sent }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Firestore answered {:?}: {}", self.status.code(), self.status.message())
    }
}

impl Error for Failed {}

/// The tries of one operation.
pub(super) struct Tries {
    patience: Patience,
    begun: Instant,
    made: u32,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Tries {
    pub fn new(patience: Patience, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { patience, begun: Instant::now(), made: 0, clock, random }
    }

    /// Waits before the next try; false, if there is none.
    pub async fn another(&mut self) -> bool {
        self.made += 1;
        let longest = self.patience.pause.saturating_mul(1 << (self.made - 1).min(16));
        let longest = longest.min(LONGEST_PAUSE).as_micros().max(1);
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        let pause = u128::from(u64::from_be_bytes(bytes)) % longest;
        let pause = Duration::from_micros(u64::try_from(pause).unwrap_or(u64::MAX));
        if self.made >= self.patience.tries
            || self.begun.elapsed() + pause >= self.patience.operation
        {
            return false;
        }
        self.clock.sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_known_from_what_was_not() {
        for (code, told) in [
            (Code::Aborted, Told::Undone),
            (Code::AlreadyExists, Told::Refused),
            (Code::FailedPrecondition, Told::Refused),
            (Code::NotFound, Told::Refused),
            (Code::Unavailable, Told::Nothing),
            (Code::DeadlineExceeded, Told::Nothing),
            (Code::Unknown, Told::Nothing),
            (Code::Cancelled, Told::Nothing),
            (Code::Internal, Told::Nothing),
            (Code::PermissionDenied, Told::Never),
            (Code::InvalidArgument, Told::Never),
        ] {
            assert_eq!(Failed::from(Status::new(code, "")).told(), told, "{code:?}");
        }
        assert_eq!(Failed::unsent("no connection").told(), Told::Undone);
    }
}
