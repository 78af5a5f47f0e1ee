//! Rate limits: how often one caller or one address may ask.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use contracts::{Rate, UserId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

type Limiter<K> =
    RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The limits of a server.
pub struct Limits {
    addresses: Limiter<IpAddr>,
    strict: Limiter<IpAddr>,
    users: Limiter<UserId>,
}

/// What a limit says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many requests may come at once.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// In how many seconds another one may come, if none is left.
    pub retry_after: Option<u32>,
}

/// Requests at once and, in the long run, a second; of an address many people
/// may share, of a school say.
const BY_ADDRESS: (u32, u32) = (600, 100);
/// Of a person with all their devices.
const BY_USER: (u32, u32) = (200, 30);
/// Signing in, registering and codes: at once, and the seconds until one more.
const STRICT: (u32, u64) = (60, 2);

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl Default for Limits {
    fn default() -> Self {
        let quota =
            |(burst, rate): (u32, u32)| Quota::per_second(count(rate)).allow_burst(count(burst));
        let period = Duration::from_secs(STRICT.1);
        let slow = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let slow = slow.allow_burst(count(STRICT.0));
        Self {
            addresses: RateLimiter::keyed(quota(BY_ADDRESS)).with_middleware(),
            strict: RateLimiter::keyed(slow).with_middleware(),
            users: RateLimiter::keyed(quota(BY_USER)).with_middleware(),
        }
    }
}

impl Limits {
    /// Whether an address may ask.
    pub fn address(&self, address: IpAddr, rate: Rate) -> Allowance {
        // A host of IPv6 has a whole /64 to choose its address from.
        let address = match address {
            IpAddr::V6(it) => IpAddr::V6((it.to_bits() & !u128::from(u64::MAX)).into()),
            IpAddr::V4(_) => address,
        };
        match rate {
            Rate::Normal => ask(&self.addresses, &address, BY_ADDRESS.0),
            Rate::Strict => ask(&self.strict, &address, STRICT.0),
        }
    }

    /// Whether a person may ask.
    pub fn user(&self, user_id: &UserId) -> Allowance {
        ask(&self.users, user_id, BY_USER.0)
    }

    /// Forgets those who haven't asked for long; to be called now and then.
    pub fn forget_idle(&self) {
        self.addresses.retain_recent();
        self.strict.retain_recent();
        self.users.retain_recent();
    }
}

fn ask<K: std::hash::Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K, limit: u32) -> Allowance {
    match limiter.check_key(key) {
        Ok(state) => {
            Allowance { limit, remaining: state.remaining_burst_capacity(), retry_after: None }
        }
        Err(denied) => {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Allowance { limit, remaining: 0, retry_after: Some(seconds) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_limits_bite_first_and_say_when_to_come_back() {
        let limits = Limits::default();
        let address = IpAddr::from([127, 0, 0, 1]);
        for left in (0..STRICT.0).rev() {
            let allowance = limits.address(address, Rate::Strict);
            assert_eq!((allowance.remaining, allowance.retry_after), (left, None));
        }
        assert!(limits.address(address, Rate::Strict).retry_after.is_some());
        assert_eq!(limits.address(address, Rate::Normal).retry_after, None);
        let other = IpAddr::from([127, 0, 0, 2]);
        assert_eq!(limits.address(other, Rate::Strict).retry_after, None);
    }

    #[test]
    fn a_network_of_ipv6_shares_one_allowance() {
        let limits = Limits::default();
        let first = limits.address("2001:db8::1".parse().unwrap(), Rate::Strict);
        let second = limits.address("2001:db8::2".parse().unwrap(), Rate::Strict);
        assert_eq!(first.remaining - 1, second.remaining);
    }
}
