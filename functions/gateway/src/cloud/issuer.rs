//! ID tokens as Google makes them, by a key of our own: who of the platform calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;
use runtime::{Clock, RsaKey};
use serde_json::{Value, json};

/// How long a token is good for, in seconds, as Google's.
const GOOD_FOR: i64 = 3600;

/// How long before its end another one is made.
const EARLY: i64 = 600;

/// What makes ID tokens.
pub(super) struct Issuer {
    key: RsaKey,
    clock: Arc<dyn Clock>,
    made: Mutex<HashMap<(String, String), (String, Timestamp)>>,
}

impl Issuer {
    /// One with a new key.
    pub fn new(clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        Ok(Self { key: RsaKey::generate()?, clock, made: Mutex::default() })
    }

    /// What its tokens are checked with.
    pub fn certs(&self) -> Value {
        let key = self.key.public();
        json!({ "keys": [{
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": key.kid, "n": key.n, "e": key.e,
        }] })
    }

    /// A token by which a service account shows itself to an audience.
    pub fn id_token(&self, account: &str, audience: &str) -> anyhow::Result<String> {
        let now = self.clock.now();
        let whose = (account.to_owned(), audience.to_owned());
        let mut made = self.made.lock().expect("no holder panics");
        if let Some((token, until)) = made.get(&whose)
            && *until > now.plus_seconds(EARLY)
        {
            return Ok(token.clone());
        }
        let (iat, exp) = (now.as_seconds(), now.plus_seconds(GOOD_FOR));
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key.public().kid });
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": audience, "sub": account, "email": account,
            "email_verified": true, "iat": iat, "exp": exp.as_seconds(),
        });
        let part = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let mut token = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
        made.insert(whose, (token.clone(), exp));
        Ok(token)
    }
}

/// The service account of a domain, or of what calls functions.
pub(super) fn account(name: &str, project: &str) -> String {
    format!("{name}@{project}.iam.gserviceaccount.com")
}
