//! The outside world, as a function's ports: everything that isn't pure comes
//! through here, so that tests and the simulator can set it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;

use crate::{Bus, Client, Keyring, Mail, Store, token::Verifier};

/// The outside world, as adapters. Each domain has its own store; the rest is shared.
#[derive(Clone)]
pub struct Ports {
    /// The documents of the domain.
    pub store: Arc<dyn Store>,
    /// The way to the other domains.
    pub client: Arc<dyn Client>,
    /// What carries events.
    pub bus: Arc<dyn Bus>,
    /// What takes mail.
    pub mail: Arc<dyn Mail>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What signs access tokens.
    pub keyring: Arc<dyn Keyring>,
    /// What checks access tokens.
    pub verifier: Arc<Verifier>,
    /// The platform's secret.
    pub secret: Arc<Secret>,
    /// What the platform's operator has set.
    pub settings: Arc<Settings>,
}

/// What the platform's operator has set, that functions must know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where people reach the platform, without a slash at the end; it's the
    /// issuer of access tokens too.
    pub public_url: String,
    /// Who registers with this address is an admin once it's verified.
    pub admin_email: Option<String>,
}

/// The port: the time.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits a while.
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The port: randomness, fit for secrets.
pub trait Random: Send + Sync + 'static {
    /// Fills some bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The letters of ids: no vowels to swear with beyond a few, none to mistake for a digit.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes bytes as lower-case letters and digits, five bits each.
pub(crate) fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

impl dyn Random {
    /// A new id: 100 random bits, URL-safe, lower case, spread over the key space.
    pub fn id(&self) -> String {
        let mut bytes = [0; 20];
        self.fill(&mut bytes);
        letters(&bytes)
    }

    /// A new secret of 256 random bits, URL-safe.
    pub fn secret(&self) -> String {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// An id made of its parts: the same for the same parts, and for no others.
pub fn derived_id(parts: &[&str]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        // The length in front keeps ("ab", "c") apart from ("a", "bc").
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    letters(&hash.finish().as_ref()[..26])
}

/// The platform's secret: what is sealed with it can be made and checked by the
/// platform alone.
pub struct Secret(hmac::Key);

impl Secret {
    /// The secret of these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Seals some parts for a purpose; what is sealed for one is worth nothing for another.
    pub fn seal(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in [&[purpose], parts].concat() {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The same, as URL-safe text.
    pub fn seal_text(&self, purpose: &str, parts: &[&str]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.seal(purpose, parts))
    }

    /// The one-time code with this id: 8 digits, which no store ever holds.
    pub fn code(&self, code_id: &str) -> String {
        let seal = self.seal("code", &[code_id]);
        let number = seal[..8].iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        format!("{:08}", number % 100_000_000)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether two secrets are equal, in a time that doesn't depend on where they differ.
pub fn same_secret(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_parts_depends_on_where_they_are_cut() {
        assert_eq!(derived_id(&["ab", "c"]), derived_id(&["ab", "c"]));
        assert_ne!(derived_id(&["ab", "c"]), derived_id(&["a", "bc"]));
        assert_eq!(derived_id(&["ab", "c"]).len(), 26);
    }

    #[test]
    fn what_is_sealed_for_one_purpose_is_worth_nothing_for_another() {
        let secret = Secret::new(&[7; 32]);
        assert_ne!(secret.seal("code", &["a"]), secret.seal("key", &["a"]));
        assert_ne!(secret.seal("code", &["a", "b"]), secret.seal("code", &["ab"]));
    }
}
