//! The gateway: the one crate that knows every domain.
//!
//! In the cloud it is a document that API Gateway reads; here it is a server
//! that runs every function in one process, the pages that a developer wants
//! beside it, the cloud on one machine, and the tests of the whole house.

mod audit;
mod cloud;
pub mod command;
mod demo;
mod events;
mod generated;
mod import;
pub mod log;
mod operator;
mod pages;
mod platform;
mod serve;

use runtime::Domain;
use testing::simulation::platform::Platform;

pub use generated::{File, generated};

/// Every domain of the platform.
pub fn domains() -> Vec<Domain> {
    vec![identity::domain(), courses::domain(), enrollments::domain(), notifications::domain()]
}

/// The platform, to be simulated: all of it but identity, and the audit.
pub fn simulated() -> Platform {
    Platform {
        domains: || vec![courses::domain(), enrollments::domain(), notifications::domain()],
        audit: audit::violations_in,
    }
}

/// Every domain, and what the gateway itself answers.
fn documented() -> Vec<Domain> {
    domains().into_iter().chain([platform::domain()]).collect()
}
