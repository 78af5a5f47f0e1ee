//! Google's ID tokens, by which a function knows who of the platform calls it.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;
use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use runtime::{Clock, Gate, token::PublicKey};
use serde::Deserialize;

use super::RemoteKeys;

/// Who issues Google's ID tokens.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// What Cloud Run puts in the place of a signature that it has checked.
const CHECKED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8192;

/// How far clocks may be apart, in seconds.
const GRACE: i64 = 60;

/// Checks Google's ID tokens.
pub struct GoogleTokens {
    keys: RemoteKeys,
    clock: Arc<dyn Clock>,
    audiences: Vec<String>,
    /// Whether Cloud Run has checked the signature before us.
    behind_iam: bool,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
    iat: i64,
    exp: i64,
}

impl GoogleTokens {
    /// Checks tokens for these audiences with these keys. `behind_iam` says that
    /// nobody gets here whose token Cloud Run hasn't checked.
    pub fn new(
        keys: RemoteKeys,
        clock: Arc<dyn Clock>,
        audiences: Vec<String>,
        behind_iam: bool,
    ) -> Self {
        Self { keys, clock, audiences, behind_iam }
    }

    /// The service account that bears a token; or why the token isn't good. An
    /// error if Google's keys can't be had to say so.
    pub async fn check(&self, token: &str) -> anyhow::Result<Result<String, &'static str>> {
        if token.len() > LONGEST {
            return Ok(Err("it's too long"));
        }
        let removed = token.rsplit_once('.').is_some_and(|(_, it)| it == CHECKED);
        let claims = if removed {
            if !self.behind_iam {
                return Ok(Err("it isn't signed"));
            }
            payload::<Claims>(token).ok_or("it can't be read")
        } else {
            match jsonwebtoken::decode_header(token).map(|header| header.kid) {
                Ok(Some(kid)) => signed(token, self.keys.key(&kid).await?),
                Ok(None) => Err("it names no key"),
                Err(_) => Err("it can't be read"),
            }
        };
        Ok(claims.and_then(|claims| self.judge(claims)))
    }

    fn judge(&self, claims: Claims) -> Result<String, &'static str> {
        let now: Timestamp = self.clock.now();
        let now = now.as_seconds();
        match () {
            () if !ISSUERS.contains(&claims.iss.as_str()) => Err("it isn't Google's"),
            () if !self.audiences.contains(&claims.aud) => Err("it's for another audience"),
            // A pushed token may be an hour old: only its end counts.
            () if claims.exp + GRACE <= now => Err("it has expired"),
            () if claims.iat > now + GRACE => Err("it's from the future"),
            () if !claims.email_verified || claims.email.is_empty() => Err("it names nobody"),
            () => Ok(claims.email),
        }
    }
}

/// What a token says, if it's signed with a key.
fn signed(token: &str, key: Option<PublicKey>) -> Result<Claims, &'static str> {
    let key = key.ok_or("its key isn't known")?;
    let key = DecodingKey::from_rsa_components(&key.n, &key.e);
    let key = key.map_err(|_| "its key isn't one")?;
    let mut validation = Validation::new(Algorithm::RS256);
    // What it says is judged by the platform's clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    Ok(decoded.map_err(|_| "it isn't signed well")?.claims)
}

/// Lets certain service accounts of the platform pass.
pub struct Callers {
    tokens: Arc<GoogleTokens>,
    accounts: Vec<String>,
    /// Whether everyone is let in: emulators send no tokens.
    open: bool,
}

impl Callers {
    /// These accounts may pass.
    pub fn new(tokens: Arc<GoogleTokens>, accounts: Vec<String>) -> Self {
        Self { tokens, accounts, open: false }
    }

    /// Who comes without a token may pass too, as emulators do.
    #[must_use]
    pub const fn or_anyone(mut self, open: bool) -> Self {
        self.open = open;
        self
    }
}

#[async_trait]
impl Gate for Callers {
    async fn admits(&self, headers: &HeaderMap) -> anyhow::Result<bool> {
        let Some(token) = bearer(headers) else { return Ok(self.open) };
        Ok(match self.tokens.check(token).await? {
            Ok(account) if self.accounts.contains(&account) => true,
            // Neither the token nor the account gets into the log.
            Ok(_) => {
                tracing::warn!("a service account called that may not");
                false
            }
            Err(reason) => {
                tracing::warn!(reason, "a caller's ID token isn't good");
                false
            }
        })
    }
}

/// The token that a request bears.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What a token says, unchecked.
fn payload<T: serde::de::DeserializeOwned>(token: &str) -> Option<T> {
    let payload = token.split('.').nth(1)?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}

/// Whether a request bears one of Google's tokens, good or not. Whoever calls a
/// service behind IAM shows one, API Gateway too; it says nothing of a user.
pub(crate) fn bears_googles(headers: &HeaderMap) -> bool {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let issuer = bearer(headers).and_then(payload::<Issuer>);
    issuer.is_some_and(|it| ISSUERS.contains(&it.iss.as_str()))
}
