//! The second issuer, Google's Identity Platform say: what its tokens tell of
//! who bears them.
//!
//! Such a token is an ID token of `OpenID` Connect that says when its bearer signed
//! in. It's signed by RS256 with a key that the issuer publishes, is for the
//! platform alone, and is of now.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use runtime::{Bytes, KeySet, KeySource, SecondIssuer, derived_id, prelude::*};
use serde_json::Value;

use crate::provider::{self, Vouched};

/// How far the issuer's clock may be ahead, in seconds.
const CLOCK_OFF: i64 = 60;

/// The longest name of an account there, in bytes; an identity platform's have 128 at most.
const SUBJECT_MOST: usize = 255;

/// Someone as a token of the second issuer shows them.
pub(crate) struct Shown {
    pub vouched: Vouched,
    /// When they signed in there: a token that is refreshed keeps that.
    pub signed_in_at: Timestamp,
    /// When the token expires, in seconds since 1970.
    pub expires_at: i64,
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Value>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    firebase: Option<Firebase>,
}

/// What only Identity Platform says.
#[derive(Deserialize)]
struct Firebase {
    /// A part of the project whose accounts others look after.
    #[serde(default)]
    tenant: Option<Value>,
}

/// Whether the issuer has signed a token for the platform that is of now: what a
/// gateway in front can tell. An error if the issuer's keys can't be had.
pub async fn is_good(issuer: &SecondIssuer, token: &str, now: Timestamp) -> Result<bool> {
    Ok(claims(issuer, token, now).await?.is_some())
}

impl Shown {
    /// Who bears a token, if it's good here. An error if the issuer's keys can't be had.
    pub async fn by(issuer: &SecondIssuer, token: &str, now: Timestamp) -> Result<Option<Self>> {
        Ok(claims(issuer, token, now).await?.and_then(|claims| Self::of(claims, now)))
    }

    fn of(claims: Claims, now: Timestamp) -> Option<Self> {
        let signed_in_at = claims.auth_time.filter(|it| *it <= now.as_seconds() + CLOCK_OFF)?;
        // A tenant of the project says by itself whose an address is.
        let is_tenants = claims.firebase.is_some_and(|it| it.tenant.is_some());
        let is_verified = claims.email_verified == Some(Value::Bool(true));
        (!is_tenants).then_some(Self {
            vouched: Vouched {
                issuer: claims.iss,
                subject: claims.sub,
                verified_email: claims.email.filter(|_| is_verified),
                name: claims.name,
            },
            signed_in_at: Timestamp::from_millis(signed_in_at.saturating_mul(1000)),
            expires_at: claims.exp,
        })
    }

    /// The session here that goes on from the sign-in there.
    pub fn session_id(&self) -> String {
        let Vouched { issuer, subject, .. } = &self.vouched;
        derived_id(&["session", issuer, subject, &self.signed_in_at.to_string()])
    }
}

/// What a token says, if it's the issuer's, for the platform, and of now.
async fn claims(issuer: &SecondIssuer, token: &str, now: Timestamp) -> Result<Option<Claims>> {
    let header = jsonwebtoken::decode_header(token).ok();
    let kid = header.filter(|it| it.alg == Algorithm::RS256).and_then(|it| it.kid);
    let Some(kid) = kid else { return Ok(None) };
    let key = keys_of(&issuer.jwks_uri).key(&kid, now).await.map_err(|error| {
        tracing::warn!(error = format!("{error:#}"), "the second issuer can't be asked");
        Error::Unavailable(5)
    })?;
    let key = key.and_then(|it| DecodingKey::from_rsa_components(&it.n, &it.e).ok());
    let mut validation = Validation::new(Algorithm::RS256);
    // What it says is judged below, by the platform's clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = key.and_then(|it| jsonwebtoken::decode::<Claims>(token, &it, &validation).ok());
    Ok(decoded.map(|it| it.claims).filter(|it| it.are_for_us(issuer, now)))
}

impl Claims {
    fn are_for_us(&self, issuer: &SecondIssuer, now: Timestamp) -> bool {
        let now = now.as_seconds();
        let is_of_now = now < self.exp && self.iat <= now + CLOCK_OFF;
        let names_someone = (1..=SUBJECT_MOST).contains(&self.sub.len());
        self.iss == issuer.issuer && self.aud == issuer.audience && is_of_now && names_someone
    }
}

/// How long the issuer may take to show its keys, in seconds: less than who asks for
/// an exchange waits, so that older keys can serve.
const KEYS_SECONDS: u64 = 2;

/// The keys at an address.
struct Address(String);

#[async_trait]
impl KeySource for Address {
    fn address(&self) -> &str {
        &self.0
    }

    async fn read(&self) -> anyhow::Result<Bytes> {
        let read = provider::fetch(&self.0);
        let read = tokio::time::timeout(Duration::from_secs(KEYS_SECONDS), read).await;
        Ok(read.context("it takes too long")??.into())
    }
}

/// The keys at an address, as far as this process knows them.
fn keys_of(url: &str) -> Arc<KeySet<Address>> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<KeySet<Address>>>>> =
        LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("no holder panics");
    let keys = || Arc::new(KeySet::of(Address(url.to_owned())));
    known.entry(url.to_owned()).or_insert_with(keys).clone()
}
