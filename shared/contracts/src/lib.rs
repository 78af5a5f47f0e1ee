//! What domains say to one another, and to the world.
//!
//! Types only: nothing here reads, writes or waits. A page for each domain,
//! and what they share: how a request is declared ([`Endpoint`]), a fact told
//! ([`Event`]), a refusal named ([`Problem`]), a list paged ([`Page`]).

mod content;
pub mod courses;
mod endpoint;
pub mod enrollments;
mod event;
mod id;
pub mod identity;
mod language;
pub mod notifications;
mod page;
mod problem;
mod text;
mod time;

pub use content::Content;
pub use endpoint::{Body, Endpoint, Idempotency, JSON, Method, Rate, Redirect, Route};
pub use event::Event;
pub use id::UserId;
pub use language::Language;
pub use page::{Page, PageSize};
pub use problem::{Code, FieldError, Problem, ProblemDetails};
pub use text::{Line, Text};
pub use time::{TimeZone, Timestamp};
