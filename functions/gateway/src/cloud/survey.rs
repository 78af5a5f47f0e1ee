//! The survey of the cloud on one machine: each function's process is asked
//! again and again whether it's well.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use runtime::{Bytes, Client, Outgoing, Trace};
use tokio::{net::TcpStream, time::timeout};

use super::front::Services;
use crate::platform::survey::{Dependency, HealthState, LastError, Service, ServiceKind, Surveyed};

/// How long an emulator may take to be reached.
const REACHED_WITHIN: Duration = Duration::from_secs(1);

/// Who surveys the cloud on one machine.
pub(super) struct Surveyor {
    /// By the names of their services.
    pub services: Services,
    /// The ids of the functions and what runs them, by the names of their services.
    pub functions: BTreeMap<String, (String, ServiceKind)>,
    /// What checks tokens for it; it must last as long.
    pub _own: embedded::Platform,
    /// The emulators, and where they are.
    pub emulators: Vec<(&'static str, String)>,
}

#[async_trait]
impl Client for Surveyor {
    async fn send(&self, _: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let services = self.functions.iter().filter_map(|(name, function)| {
            Some(surveyed(self.services.get(name)?, function.0.clone(), function.1))
        });
        let mut surveyed = Surveyed { services: services.collect(), dependencies: Vec::new() };
        for (name, address) in &self.emulators {
            let reached = timeout(REACHED_WITHIN, TcpStream::connect(address)).await;
            let answers = matches!(reached, Ok(Ok(_)));
            surveyed.dependencies.push(Dependency::of((*name).to_owned(), answers));
        }
        surveyed.answer()
    }
}

fn surveyed(service: &super::service::Service, function: String, kind: ServiceKind) -> Service {
    let known = service.known();
    let state = match (known.health.is_well(), known.health.failures()) {
        (true, 0) => HealthState::Ok,
        (true, _) => HealthState::Failing,
        (false, _) => HealthState::Down,
    };
    Service {
        function,
        kind,
        revision: env!("CARGO_PKG_VERSION").to_owned(),
        url: service.url(),
        state,
        discoverable: known.health.is_well(),
        failures_in_a_row: known.health.failures(),
        checked_at: known.checked_at,
        last_error: known.last_error.map(|(at, message)| LastError { at, message }),
    }
}
