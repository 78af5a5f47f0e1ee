//! A service: the process of a function, as those see it who send it requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use contracts::Timestamp;
use http::Request;
use runtime::Clock;
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
    known: Mutex<Known>,
    /// The process that runs now.
    pub process: Mutex<Option<u32>>,
}

/// What is known of a service's health: it begins ill, and is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    failures: u32,
}

/// What is known of a service.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub health: Health,
    /// When it was asked last.
    pub checked_at: Option<Timestamp>,
    /// What it answered when it wasn't well, and when that was last.
    pub last_error: Option<(Timestamp, String)>,
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

    /// How often in a row it has failed.
    pub const fn failures(self) -> u32 {
        self.failures
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
            known: Mutex::new(Known {
                health: Health::UNKNOWN,
                checked_at: None,
                last_error: None,
            }),
            process: Mutex::default(),
        }
    }

    /// Its address, which is the audience of ID tokens for it too.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it gets requests.
    pub fn is_well(&self) -> bool {
        self.known.lock().expect("no holder panics").health.is_well()
    }

    /// What is known of it.
    pub fn known(&self) -> Known {
        self.known.lock().expect("no holder panics").clone()
    }

    /// Asks it again and again whether it's well.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut ticks = interval(ASKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let said = self.says_it_is_well().await;
            let now = clock.now();
            let (before, after) = {
                let mut known = self.known.lock().expect("no holder panics");
                let before = known.health;
                known.health = before.after(said.is_ok());
                known.checked_at = Some(now);
                if let Err(error) = said {
                    known.last_error = Some((now, error));
                }
                (before, known.health)
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

    async fn says_it_is_well(&self) -> Result<(), String> {
        let request = Request::get("/health/live").body(Body::empty()).expect("it's a request");
        let asked = self.wire.send(request, Duration::ZERO);
        match timeout(SAYS_WITHIN, asked).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("it answered {}", answer.status())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("no answer within {} s", SAYS_WITHIN.as_secs())),
        }
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
