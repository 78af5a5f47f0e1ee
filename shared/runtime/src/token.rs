//! Access tokens: RS256 JWTs that say who calls, checked by every function.
//!
//! A function trusts no gateway's header: it checks the signature itself.
//! RS256 is the cheapest of the asymmetric checks, and API Gateway takes it. A
//! checked token is remembered until it expires, so that the second request of
//! a session costs a hash instead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock},
};

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::{Timestamp, UserId, identity::Role};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long an access token is good for, in seconds.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;

/// The port: what signs access tokens. The private key may be in a file, or in
/// Cloud KMS, which never gives it away.
#[async_trait]
pub trait Keyring: Send + Sync + 'static {
    /// The id of the key that signs now.
    async fn key_id(&self) -> anyhow::Result<String>;
    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256.
    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>>;
    /// The public keys, those included that no longer sign but may still be met.
    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>>;
    /// Makes the next key when it's time, lets it sign once it has been published
    /// long enough, and drops those whose tokens are all over. Where the operator
    /// does that, with versions of a key in Cloud KMS say, there's nothing to do.
    async fn rotate(&self, _now: Timestamp) -> anyhow::Result<()> {
        Ok(())
    }
    /// The public key with this id, if there's one.
    async fn public_key(&self, kid: &str) -> anyhow::Result<Option<PublicKey>> {
        Ok(self.public_keys().await?.into_iter().find(|key| key.kid == kid))
    }
}

/// A public RSA key, as a JWK has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its id.
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: the platform's address.
    pub iss: String,
    /// What it's for: the platform's address.
    pub aud: String,
    /// Whom it's about.
    pub sub: UserId,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Their session.
    pub sid: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

/// Writes and signs a token.
pub async fn sign(keyring: &dyn Keyring, claims: &Claims) -> anyhow::Result<String> {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let mut kid = keyring.key_id().await?;
    loop {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
        let mut token = format!("{}.{}", part(&header), part(&serde_json::to_value(claims)?));
        let signature = keyring.sign(token.as_bytes()).await?;
        // Between the two another key may have begun to sign.
        let kid_after = keyring.key_id().await?;
        if kid == kid_after {
            token.push('.');
            token.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
            return Ok(token);
        }
        kid = kid_after;
    }
}

/// Checks tokens and remembers those that it has checked.
pub struct Verifier {
    keyring: Arc<dyn Keyring>,
    validation: Validation,
    keys: RwLock<HashMap<String, Known>>,
    checked: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

/// A public key, ready to check with.
#[derive(Clone)]
struct Known {
    key: Arc<DecodingKey>,
    learned_at: Timestamp,
}

/// How long a key is good without looking at the keyring again, in seconds: so
/// long a key that was taken back may still be met.
const LOOK_AGAIN: i64 = 300;

/// The most keys that are remembered; there are two or three.
const KEYS: usize = 64;

/// The most tokens that are remembered: about 12 MiB of them.
const REMEMBERED: usize = 32_768;

/// The longest token that is looked at, in bytes; ours have about 700.
const LONGEST: usize = 4096;

impl Verifier {
    /// Checks what this keyring signs for the platform at this address.
    pub fn new(keyring: Arc<dyn Keyring>, public_url: &str) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[public_url]);
        validation.set_audience(&[public_url]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The expiry is checked against the platform's clock, not the machine's.
        validation.validate_exp = false;
        let (keys, checked) = (RwLock::default(), Mutex::default());
        Self { keyring, validation, keys, checked }
    }

    /// Who bears this token; nothing if it isn't good. An error if that can't be
    /// said, because the keys can't be had: whoever asks is to try again, not to
    /// be turned away.
    pub async fn check(&self, token: &str, now: Timestamp) -> anyhow::Result<Option<Arc<Claims>>> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let hash: [u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let known = self.checked.lock().expect("no holder panics").get(&hash).cloned();
        let claims = if let Some(claims) = known {
            claims
        } else {
            let Some(claims) = self.decode(token, now).await? else { return Ok(None) };
            let claims = Arc::new(claims);
            self.remember(hash, claims.clone(), now);
            claims
        };
        let now = now.as_seconds();
        // A minute of grace for clocks that disagree; the expiry itself is exact.
        Ok((claims.exp > now && claims.iat <= now + 60).then_some(claims))
    }

    async fn decode(&self, token: &str, now: Timestamp) -> anyhow::Result<Option<Claims>> {
        let kid = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
        let Some(kid) = kid else { return Ok(None) };
        let Some(key) = self.key(&kid, now).await? else { return Ok(None) };
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &self.validation);
        Ok(decoded.ok().map(|decoded| decoded.claims))
    }

    async fn key(&self, kid: &str, now: Timestamp) -> anyhow::Result<Option<Arc<DecodingKey>>> {
        let known = self.keys.read().expect("no holder panics").get(kid).cloned();
        if let Some(known) = &known
            && now < known.learned_at.plus_seconds(LOOK_AGAIN)
        {
            return Ok(Some(known.key.clone()));
        }
        // A key that isn't known yet may be new; a foreign one costs a look at the keyring.
        let public = match (self.keyring.public_key(kid).await, known) {
            (Ok(public), _) => public,
            // Where the keys can't be had just now, the old one serves.
            (Err(_), Some(known)) => return Ok(Some(known.key)),
            (Err(error), None) => return Err(error),
        };
        let mut keys = self.keys.write().expect("no holder panics");
        let Some(public) = public else {
            keys.remove(kid);
            return Ok(None);
        };
        let key = Arc::new(DecodingKey::from_rsa_components(&public.n, &public.e)?);
        if keys.len() >= KEYS {
            keys.clear();
        }
        keys.insert(public.kid, Known { key: key.clone(), learned_at: now });
        Ok(Some(key))
    }

    fn remember(&self, hash: [u8; 32], claims: Arc<Claims>, now: Timestamp) {
        let mut checked = self.checked.lock().expect("no holder panics");
        if checked.len() >= REMEMBERED {
            checked.retain(|_, claims| claims.exp > now.as_seconds());
            if checked.len() >= REMEMBERED {
                checked.clear(); // Rarer than once in 15 minutes, and it only costs time.
            }
        }
        checked.insert(hash, claims);
    }
}
