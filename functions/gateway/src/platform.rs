//! What the platform tells of itself: its health, and where its functions answer.
//!
//! These operations are declared and served as every other, but they are of no
//! domain: what they tell, only whoever runs all functions knows. That is the
//! gateway, in one process and as the cloud on one machine; each has a
//! [`survey`] of its own.

mod get_health;
mod list_services;
pub(crate) mod local;
pub(crate) mod survey;

use std::sync::Arc;

use axum::Router;
use runtime::{Client, Domain, Front, Host, Ports};

/// The operations, as the documents tell of them.
pub(crate) fn domain() -> Domain {
    Domain::new("platform")
        .calls::<survey::Survey>()
        .operation(get_health::run)
        .operation(list_services::run)
}

/// The routes of the operations, which ask this surveyor.
pub(crate) fn router(front: &Front, surveyor: Arc<dyn Client>) -> Router {
    let ports = Ports { client: surveyor, ..(*front.ports).clone() };
    runtime::router(&Host::new(vec![(domain(), Arc::new(ports))], None), front)
}
