//! The outside world, as a function's ports: everything that isn't pure comes
//! through here, so that tests and the simulator can set it.

use std::{str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hmac,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;

use crate::{Bus, Client, Files, Keyring, Mail, Store, mail::Providers, token::Verifier};

/// The outside world, as adapters. Each domain has its own store and files; the rest is shared.
#[derive(Clone)]
pub struct Ports {
    /// The documents of the domain.
    pub store: Arc<dyn Store>,
    /// The files of the domain, if it says that it needs any.
    pub files: Arc<dyn Files>,
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
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where people reach the platform, without a slash at the end; it's the
    /// issuer of access tokens too.
    pub public_url: String,
    /// Who registers with this address is an admin once it's verified.
    pub admin_email: Option<String>,
    /// With whose accounts people may sign in here.
    pub identity_providers: Vec<IdentityProvider>,
    /// Whose tokens are taken beside the platform's own.
    pub second_issuer: Option<SecondIssuer>,
    /// Who may tell what became of a mail.
    pub mail_providers: Providers,
    /// How many seats go into one document, where a section has enough of them
    /// for several: a document takes about one write a second, so a rush wants
    /// many. 0: a section's seats stay together.
    pub seats_in_block: u32,
    /// Which of the processes that serve the same functions this is. Those with
    /// different numbers keep out of each other's way, where there's a choice.
    pub instance: u32,
}

impl Settings {
    /// How many seats go into one document, unless said otherwise.
    pub const SEATS_IN_BLOCK: u32 = 50;
}

/// Someone else with whose accounts people may sign in here, such as Google.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// What it's called in addresses: small letters, digits and hyphens.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// How it's spoken to.
    #[serde(default)]
    pub protocol: ProviderProtocol,
    /// Where it is: the issuer of its tokens, such as `https://accounts.google.com`.
    pub issuer: String,
    /// What the platform is called there.
    pub client_id: String,
    /// What the platform shows there.
    pub client_secret: String,
}

/// How a provider of identities is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderProtocol {
    /// As `OpenID` Connect says, found by its discovery document.
    #[default]
    Openid,
    /// As GitHub does it: OAuth 2 with an API of its own, at `api.` of the issuer's host.
    Github,
}

impl IdentityProvider {
    /// Reads the providers of a setting: a JSON array.
    pub fn read_all(json: &str) -> Result<Vec<Self>, String> {
        let providers: Vec<Self> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for Self { name, issuer, .. } in &providers {
            let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(format!("{name:?} isn't of small letters, digits and hyphens"));
            }
            if providers.iter().filter(|it| it.name == *name).count() > 1 {
                return Err(format!("{name} is there twice"));
            }
            if !is_safe(issuer) {
                return Err(format!("{issuer} isn't reached by https"));
            }
        }
        Ok(providers)
    }
}

/// Whether an address is spoken to by TLS, or on this very machine, as in tests.
fn is_safe(url: &str) -> bool {
    ["https://", "http://127.0.0.1:", "http://localhost:"].iter().any(|it| url.starts_with(it))
}

/// Someone else whose tokens are taken beside the platform's own, such as Google's
/// Identity Platform: identity exchanges them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondIssuer {
    /// What people call it.
    pub title: String,
    /// What its tokens have as `iss`, to the letter.
    pub issuer: String,
    /// What those for the platform have as `aud`.
    pub audience: String,
    /// Where the keys are that it signs with (RFC 7517).
    pub jwks_uri: String,
}

/// The longest token of a second issuer that is looked at, in bytes; Identity
/// Platform's have about 1200.
const TOKEN_MOST: usize = 8192;

impl SecondIssuer {
    /// Whether a token says that this issuer has made it. It may lie.
    pub fn is_named_by(&self, token: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Named {
            iss: String,
        }
        let read = || {
            let payload = token.split('.').nth(1).filter(|_| token.len() <= TOKEN_MOST)?;
            let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
            serde_json::from_slice::<Named>(&json).ok()
        };
        read().is_some_and(|it| it.iss == self.issuer)
    }
}

impl FromStr for SecondIssuer {
    type Err = String;

    /// Reads a setting: a JSON object.
    fn from_str(json: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for (name, value) in [("issuer", &read.issuer), ("jwks_uri", &read.jwks_uri)] {
            if !is_safe(value) {
                return Err(format!("{name}: {value} isn't reached by https"));
            }
        }
        for (name, value) in [("title", &read.title), ("audience", &read.audience)] {
            if value.trim().is_empty() {
                return Err(format!("{name} is empty"));
            }
        }
        Ok(read)
    }
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityProvider({})", self.name)
    }
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
    /// Somebody has lost so many races, and begins anew: they know nothing any more of what
    /// they had read. Only where time is played anybody goes by that.
    fn begins_anew(&self, _losses: u32) {}
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

    /// Encrypts a text for a purpose and a thing: it can be read again with both
    /// alone. What the platform must know again, and a lost store mustn't tell.
    pub fn lock(&self, purpose: &str, thing: &str, text: &str, random: &dyn Random) -> String {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let (mut locked, aad) = (text.as_bytes().to_vec(), Aad::from(thing.as_bytes()));
        self.key(purpose)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut locked)
            .expect("a text isn't too long to be encrypted");
        BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &locked].concat())
    }

    /// Reads what [`lock`](Self::lock) made, if it was made for this purpose and this thing.
    pub fn unlock(&self, purpose: &str, thing: &str, locked: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(locked).ok()?;
        let (nonce, locked) = bytes.split_at_checked(NONCE_LEN)?;
        let (mut text, aad) = (locked.to_vec(), Aad::from(thing.as_bytes()));
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key(purpose).open_in_place(nonce, aad, &mut text).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn key(&self, purpose: &str) -> LessSafeKey {
        let key = self.seal("lock", &[purpose]);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("the key has 256 bits"))
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
    fn a_second_issuer_is_read_whole_and_reached_safely() {
        let json = |issuer: &str, jwks_uri: &str, audience: &str| {
            serde_json::json!({
                "title": "School", "issuer": issuer, "audience": audience, "jwks_uri": jwks_uri,
            })
            .to_string()
        };
        let (there, keys) = ("https://idp.example/p", "https://keys.example/jwks");
        let read: SecondIssuer = json(there, keys, "p").parse().unwrap();
        assert_eq!((read.issuer.as_str(), read.audience.as_str()), (there, "p"));
        assert_eq!(serde_json::to_string(&read).unwrap().parse(), Ok(read));
        json("http://127.0.0.1:1", "http://localhost:1/k", "p").parse::<SecondIssuer>().unwrap();
        for wrong in [
            json("http://idp.example", keys, "p"),
            json(there, "http://keys.example", "p"),
            json(there, "file:///etc/passwd", "p"),
            json(there, keys, " "),
            r#"{"issuer": "https://idp.example"}"#.to_owned(),
            String::new(),
        ] {
            assert!(wrong.parse::<SecondIssuer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_of_parts_depends_on_where_they_are_cut() {
        assert_eq!(derived_id(&["ab", "c"]), derived_id(&["ab", "c"]));
        assert_ne!(derived_id(&["ab", "c"]), derived_id(&["a", "bc"]));
        assert_eq!(derived_id(&["ab", "c"]).len(), 26);
    }

    #[test]
    fn what_is_locked_is_read_for_its_purpose_and_its_thing_alone() {
        let (secret, random) = (Secret::new(&[7; 32]), crate::SystemRandom);
        let locked = secret.lock("totp", "ada", "a secret", &random);
        assert!(!locked.contains("secret"));
        assert_ne!(locked, secret.lock("totp", "ada", "a secret", &random));
        assert_eq!(secret.unlock("totp", "ada", &locked).as_deref(), Some("a secret"));
        assert_eq!(secret.unlock("totp", "eve", &locked), None);
        assert_eq!(secret.unlock("cookie", "ada", &locked), None);
        assert_eq!(Secret::new(&[8; 32]).unlock("totp", "ada", &locked), None);
        for broken in ["", "AAAA", &locked[..locked.len() - 1], "not base64!"] {
            assert_eq!(secret.unlock("totp", "ada", broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_sealed_for_one_purpose_is_worth_nothing_for_another() {
        let secret = Secret::new(&[7; 32]);
        assert_ne!(secret.seal("code", &["a"]), secret.seal("key", &["a"]));
        assert_ne!(secret.seal("code", &["a", "b"]), secret.seal("code", &["ab"]));
    }
}
