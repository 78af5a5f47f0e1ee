//! The gate between a process and the world: whatever a task asks of the world
//! waits here until the scheduler says that it's its turn.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runtime::{
    Conflict, Envelope, Incoming, Key, Outgoing, Query, Record, Reply, Rows, Trace, Write,
    mail::{MailError, Message, Taken},
};
use tokio::sync::oneshot;

use super::footprint::Read;

/// What a task asks of the world.
#[derive(Clone)]
pub(crate) enum Ask {
    Get(Key),
    /// One of several reads whose answers are waited for together.
    GetOf(Key, Arc<Together>),
    /// Several reads at one moment.
    GetAll(Vec<Key>),
    Query(Query),
    Count(Query),
    Commit(Vec<Write>),
    /// A request to another domain.
    Call(Outgoing, Trace),
    /// A request from outside.
    Request(&'static str, Incoming),
    Publish(Vec<Envelope>),
    Send(Message),
    Taken(String),
    Sleep(Duration),
    /// To have a job run somewhere.
    Job(&'static str),
    /// To touch what the test itself plays.
    Touch,
}

impl Ask {
    /// What it reads of a store.
    pub(crate) fn reads(&self) -> Vec<Read> {
        match self {
            Self::Get(key) | Self::GetOf(key, _) => vec![Read::One(key.clone())],
            Self::GetAll(keys) => keys.iter().cloned().map(Read::One).collect(),
            Self::Query(query) | Self::Count(query) => vec![Read::Many(Arc::new(query.clone()))],
            _ => Vec::new(),
        }
    }
}

/// Reads whose answers are waited for together: whoever has asked goes on with the last
/// answer, and the order of the answers tells them nothing.
pub(crate) struct Together {
    left: AtomicUsize,
    id: OnceLock<u64>,
}

impl Together {
    /// So many of them.
    pub(crate) fn of(count: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(count), id: OnceLock::new() })
    }

    /// What they're known by in every run, once the first of them waits under this id.
    pub(crate) fn id(&self, first: u64) -> u64 {
        *self.id.get_or_init(|| !first)
    }

    /// Whether one that is answered now is the last.
    pub(crate) fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

/// What the world answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Record(Option<Record>),
    Records(Vec<Option<Record>>),
    Rows(Rows),
    Count(u64),
    Committed(Result<(), Conflict>),
    Replied(Reply),
    Done,
    Sent(Result<(), MailError>),
    Taken(Taken),
    /// It has failed, or the answer was lost on the way.
    Broken(&'static str),
}

impl Answer {
    /// The error of a port that was given no better answer.
    pub(crate) fn broken(&self) -> anyhow::Error {
        match self {
            Self::Broken(why) => anyhow::anyhow!("{why}"),
            _ => anyhow::anyhow!("the world answered another question"),
        }
    }
}

/// Something that has come to the gate.
pub(crate) enum Arrival {
    /// A task asks, and waits for the answer.
    Asked(Box<Waiting>),
    /// A request was answered.
    Replied { call: u64, reply: Reply },
    /// A subscriber has handled an event, or failed to.
    Handled { delivery: u64, result: Result<(), String> },
    /// A job or a relay has ended.
    Ended { what: String, result: Result<(), String> },
    /// Whoever is at work in the process begins anew, and is known by this from here on.
    Anew(u64),
    /// Somebody outside has done all they wanted to.
    Left,
    /// Somebody outside has an event told when all else has happened.
    AtLast(Envelope),
}

/// A task that waits at the gate.
pub(crate) struct Waiting {
    pub(crate) process: usize,
    pub(crate) ask: Ask,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// A process's gate.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) process: usize,
    pub(crate) arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Gate {
    /// Asks, and waits for the answer.
    pub(crate) async fn pass(&self, ask: Ask) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.note(Arrival::Asked(Box::new(Waiting { process: self.process, ask, answer })));
        match answered.await {
            Ok(answer) => answer,
            // The world is gone; so will this task be.
            Err(_) => std::future::pending().await,
        }
    }

    /// Lets the world know.
    pub(crate) fn note(&self, arrival: Arrival) {
        self.arrivals.lock().expect("no holder panics").push(arrival);
    }
}

impl Hash for Answer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Record(found) => found.as_ref().map(told_by).hash(state),
            Self::Records(found) => {
                for record in found {
                    record.as_ref().map(told_by).hash(state);
                }
            }
            Self::Rows(rows) => {
                for record in &rows.records {
                    told_by(record).hash(state);
                }
                format!("{:?}", rows.next).hash(state);
            }
            Self::Count(count) => count.hash(state),
            Self::Committed(outcome) => outcome.as_ref().err().map(|it| &it.0).hash(state),
            Self::Replied(reply) => format!("{reply:?}").hash(state),
            Self::Sent(result) => format!("{result:?}").hash(state),
            Self::Taken(taken) => format!("{taken:?}").hash(state),
            Self::Broken(why) => why.hash(state),
            Self::Done => {}
        }
    }
}

/// All that a record tells.
fn told_by(record: &Record) -> (&str, &str, &str) {
    (&record.id, &record.body, &record.version.0)
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) | Self::GetOf(key, _) => {
                write!(f, "get {}/{}", key.collection, short(&key.id))
            }
            Self::GetAll(keys) => {
                f.write_str("get at once")?;
                keys.iter().try_for_each(|key| write!(f, " {}/{}", key.collection, short(&key.id)))
            }
            Self::Query(query) => write!(f, "query {}", shape(query)),
            Self::Count(query) => write!(f, "count {}", shape(query)),
            Self::Commit(writes) => {
                f.write_str("commit")?;
                for write in writes {
                    let sign = match write {
                        Write::Create(..) => "+",
                        Write::Replace(..) => "",
                        Write::Delete(..) => "-",
                    };
                    let Key { collection, id } = write.key();
                    write!(f, " {sign}{collection}/{}", short(id))?;
                }
                Ok(())
            }
            Self::Call(outgoing, _) => write!(f, "call {}", outgoing.operation),
            Self::Request(operation, incoming) => {
                let key = incoming.idempotency_key.as_deref().unwrap_or("none");
                write!(f, "request {operation} key {key}")
            }
            Self::Publish(events) => {
                f.write_str("publish")?;
                events
                    .iter()
                    .try_for_each(|event| write!(f, " {}({})", event.kind, short(&event.subject)))
            }
            Self::Send(message) => write!(f, "send mail {}", message.message_id),
            Self::Taken(message_id) => write!(f, "ask for mail {message_id}"),
            Self::Touch => f.write_str("touch what is played"),
            Self::Job(job) => write!(f, "have {job} run"),
            Self::Sleep(duration) => write!(f, "sleep {} ms", duration.as_millis()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(None) => f.write_str("nothing"),
            Self::Record(Some(record)) => write!(f, "version {}", record.version.0),
            Self::Records(records) => {
                write!(f, "{} of them", records.iter().filter(|it| it.is_some()).count())
            }
            Self::Rows(rows) => write!(f, "{} found", rows.records.len()),
            Self::Count(count) => write!(f, "{count}"),
            Self::Committed(Ok(())) => f.write_str("written"),
            Self::Committed(Err(Conflict(key))) => {
                write!(f, "lost to another at {}/{}", key.collection, short(&key.id))
            }
            Self::Replied(reply) => write!(f, "{}", reply.status),
            Self::Done => f.write_str("done"),
            Self::Sent(result) => write!(f, "{result:?}"),
            Self::Taken(taken) => write!(f, "{taken:?}"),
            Self::Broken(why) => write!(f, "BROKEN: {why}"),
        }
    }
}

/// The beginning of an id, which is enough to tell it from others.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn shape(query: &Query) -> String {
    let equals = query.equals.iter().map(|filter| format!("{}={}", filter.field, filter.value));
    let equals: Vec<_> = equals.collect();
    format!("{} {} by {}", query.collection, equals.join(" "), query.order)
}
