//! A service: the process of a function, as those see it who send it requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use http::Request;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{layout::Place, wire::Wire};

/// How often it's asked whether it's well.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// How long it may take to say so.
const SAYS_WITHIN: Duration = Duration::from_secs(3);

/// A service.
pub(super) struct Service {
    pub place: Place,
    pub address: SocketAddr,
    pub wire: Wire,
    health: Mutex<Health>,
    /// The process that runs now.
    pub process: Mutex<Option<u32>>,
}

/// What is known of a service's health: it begins ill, and is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    failures: u32,
}

impl Health {
    /// So often in a row it may fail before it gets no requests.
    const PATIENCE: u32 = 3;

    const UNKNOWN: Self = Self { failures: Self::PATIENCE };

    /// How it is after it was asked once more.
    #[must_use]
    pub const fn after(self, well: bool) -> Self {
        Self { failures: if well { 0 } else { self.failures.saturating_add(1) } }
    }

    /// Whether it gets requests.
    pub const fn is_well(self) -> bool {
        self.failures < Self::PATIENCE
    }
}

impl Service {
    /// The service at a place, which isn't known to be well.
    pub fn new(place: Place, address: SocketAddr) -> Self {
        Self {
            place,
            address,
            wire: Wire::to(address),
            health: Mutex::new(Health::UNKNOWN),
            process: Mutex::default(),
        }
    }

    /// Its address, which is the audience of ID tokens for it too.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it gets requests.
    pub fn is_well(&self) -> bool {
        self.health.lock().expect("no holder panics").is_well()
    }

    /// Asks it again and again whether it's well.
    pub async fn watch(self: Arc<Self>) {
        let mut ticks = interval(ASKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let well = self.says_it_is_well().await;
            let (before, after) = {
                let mut health = self.health.lock().expect("no holder panics");
                let before = *health;
                *health = before.after(well);
                (before, *health)
            };
            match (before.is_well(), after.is_well()) {
                (true, false) => tracing::warn!(service = self.place.name, "isn't well"),
                (false, true) => tracing::debug!(service = self.place.name, "is well"),
                _ => {}
            }
            if !after.is_well() {
                // Who waits for it shouldn't wait a second longer than it does.
                ticks.reset_after(Duration::from_millis(100));
            }
        }
    }

    async fn says_it_is_well(&self) -> bool {
        let request = Request::get("/health/live").body(Body::empty()).expect("it's a request");
        let asked = self.wire.send(request, Duration::ZERO);
        matches!(timeout(SAYS_WITHIN, asked).await, Ok(Ok(answer)) if answer.status().is_success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_take_a_service_out_and_one_success_brings_it_back() {
        let told = |told: &[bool]| told.iter().fold(Health::UNKNOWN, |it, well| it.after(*well));
        assert!(!told(&[]).is_well());
        assert!(told(&[true]).is_well());
        assert!(told(&[true, false, false]).is_well());
        assert!(!told(&[true, false, false, false]).is_well());
        assert!(told(&[true, false, false, true, false, false]).is_well());
        assert!(told(&[true, false, false, false, false, true]).is_well());
    }
}
