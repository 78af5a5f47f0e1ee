//! A domain under test: served over HTTP on an embedded store, with its peers,
//! the clock, randomness and the mail provider played.
//!
//! ```
//! use testing::App;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app = App::of(|| runtime::Domain::new("things"));
//! let answer = app.user("ada").get("/v1/nothing").await;
//! answer.is(runtime::problems::NO_SUCH_PATH);
//! # }
//! ```

mod answer;
mod app;
mod bus;
mod caller;
pub mod emulators;
pub mod facts;
mod mailbox;
mod peers;
pub mod physics;
pub mod simulation;
mod store;
mod world;

pub use answer::Answer;
pub use app::App;
pub use caller::As;
pub use serde_json::{Value, json};
pub use world::{SeededRandom, StandingClock};
