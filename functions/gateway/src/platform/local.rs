//! The survey of one process: every function is in it, and has its state.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use embedded::Platform;
use runtime::{Bytes, Client, Clock, Key, Outgoing, Served, Store, Trace};

use super::survey::{Dependency, HealthState, LastError, Service, ServiceKind, Surveyed};

/// How long a function counts as failing after a fault of ours.
const FAILING: Duration = Duration::from_mins(1);

/// Who surveys one process.
pub(crate) struct Surveyor {
    pub platform: Arc<Platform>,
    pub clock: Arc<dyn Clock>,
    pub public_url: String,
}

#[async_trait]
impl Client for Surveyor {
    async fn send(&self, _: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let services = self.platform.host().functions().map(|it| self.service(it)).collect();
        Surveyed { services, dependencies: dependencies(&self.platform).await }.answer()
    }
}

impl Surveyor {
    fn service(&self, served: &Served) -> Service {
        let is_failing = served.recent_failure(self.clock.now(), FAILING).is_some();
        let last = served.last_failure();
        Service {
            function: served.function.id.clone(),
            kind: ServiceKind::of(&served.function),
            revision: env!("CARGO_PKG_VERSION").to_owned(),
            url: self.public_url.clone(),
            state: if is_failing { HealthState::Failing } else { HealthState::Ok },
            // There is nobody else who could answer.
            discoverable: true,
            failures_in_a_row: served.failures_in_a_row(),
            checked_at: None,
            last_error: last.map(|it| LastError { at: it.at, message: it.message }),
        }
    }
}

/// What the functions depend on.
pub(crate) async fn dependencies(platform: &Platform) -> Vec<Dependency> {
    let mut stores: BTreeMap<&str, &Arc<dyn Store>> = BTreeMap::new();
    for served in platform.host().functions() {
        stores.insert(served.domain, &served.ports.store);
    }
    let mut dependencies = Vec::new();
    for (domain, store) in stores {
        let any = Key { collection: "requests", id: "health".to_owned() };
        let answers = store.get(&any).await.is_ok();
        dependencies.push(Dependency::of(format!("store/{domain}"), answers));
    }
    let waiting = platform.bus().waiting().await;
    let mut bus = Dependency::of("bus".to_owned(), waiting.is_ok());
    if let Ok(waiting) = waiting {
        if waiting.dead_letters > 0 {
            bus.state = HealthState::Failing;
        }
        bus.unsettled = Some(waiting.unsettled());
        bus.dead_letters = Some(waiting.dead_letters);
    }
    dependencies.push(bus);
    dependencies
}
