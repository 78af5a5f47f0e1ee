//! How a function is declared, and how it is served.
//!
//! A domain declares its functions ([`Domain`]); a [`Host`] runs them on
//! [`Ports`], which are all that they see of the world; [`router`] serves them
//! over HTTP. Nothing here knows which database or bus stands behind a port.

mod answering;
mod batch;
mod caller;
pub mod calling;
mod client;
pub mod conformance;
mod context;
pub mod deadline;
mod decode;
mod domain;
mod error;
mod exchange;
pub mod files;
mod host;
mod idempotency;
mod keyset;
pub mod limits;
mod listen;
pub mod log;
mod machine;
pub mod mail;
#[cfg(feature = "openapi")]
pub mod openapi;
mod outbox;
mod ports;
pub mod problems;
mod remembered;
mod rsa;
mod sender;
mod serve;
mod shape;
mod store;
pub mod token;
mod trace;
mod turns;

pub use axum::body::Bytes;
pub use batch::{Batched, Call, Outcome};
pub use caller::{Access, Admin, Anyone, Caller, Instructor, Origin, System, User};
pub use client::{Client, Outgoing};
pub use context::{Context, page_token, place};
pub use domain::{
    Domain, EventType, Function, Incoming, Job, Need, Operation, Reply, Schedule, Subscription,
    Trigger, service_name,
};
pub use error::{Error, Fault, Faults, Refusal, Result, Said};
pub use files::{FileError, FileInfo, FileName, Files};
pub use host::{Failure, Host, Served};
pub use keyset::{KeySet, KeySource};
pub use listen::listen;
pub use machine::{SystemClock, SystemRandom};
pub use mail::Mail;
pub use outbox::{Bus, Envelope, Parked, Unreadable, relay};
pub use ports::{
    Clock, IdentityProvider, Ports, ProviderProtocol, Random, SecondIssuer, Secret, Settings,
    derived_id, same_secret,
};
pub use rsa::RsaKey;
pub use sender::Sender;
pub use serve::{AnsweredBy, BODY_MOST, Front, Gate, internal_router, router, with_front};
pub use shape::Shape;
pub use store::{
    Changes, Collection, Collections, Conflict, Cursor, Direction, Document, Field, Filter, Index,
    Key, Kind, Query, Record, Rows, Store, Stored, Unreachable, Version, Write, is_plain, time,
};
pub use token::Keyring;
pub use trace::{Digits, Trace};

/// Runs something beside what runs now: the one door to background work.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn spawn<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(work)
}

/// What nearly every file of a domain uses.
pub mod prelude {
    pub use crate::{
        Admin, Anyone, Changes, Context, Document, Error, Faults, Index, Instructor, Job, Query,
        Refusal, Result, Stored, System, User,
    };
    pub use contracts::{
        Endpoint, Event, Idempotency, Language, Line, Page, PageSize, Problem, Rate, Redirect,
        Route, Text, Timestamp, UserId,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
