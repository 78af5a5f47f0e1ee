//! Public keys that are read from an address (RFC 7517), and kept a while.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, anyhow, ensure};
use contracts::Timestamp;
use runtime::{Clock, token::PublicKey};
use serde::Deserialize;

use crate::Http;

/// How long keys are good without asking again, in seconds: a new key is told
/// at least twice as long before it signs.
const FRESH: i64 = 300;

/// How long old keys still serve while they can't be read again, in seconds.
const STALE: i64 = 24 * 60 * 60;

/// How long to leave an address alone that was just asked, in seconds: whoever
/// makes up key ids can't make us ask more often.
const PAUSE: i64 = 10;

/// The same while no key is known at all, in seconds: then nobody can be let in.
const SHORT_PAUSE: i64 = 1;

/// How long an answer may take: someone waits for it.
const WITHIN: Duration = Duration::from_secs(3);

/// The most bytes that are read.
const MOST: usize = 256 * 1024;

/// The public keys at an address.
pub struct KeySet {
    url: String,
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held while they're read: by one at a time.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<[PublicKey]>,
    read_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(flatten)]
    key: PublicKey,
}

impl KeySet {
    /// The keys at an address, which is asked when one is needed.
    pub fn at(url: String, http: Arc<Http>, clock: Arc<dyn Clock>) -> Self {
        let known = Known { keys: Arc::new([]), read_at: None, tried_at: None };
        Self { url, http, clock, known: Mutex::new(known), reading: tokio::sync::Mutex::default() }
    }

    /// All keys.
    pub async fn keys(&self) -> anyhow::Result<Arc<[PublicKey]>> {
        self.find(|_| true).await
    }

    /// The key with this id, if there's one.
    pub async fn key(&self, kid: &str) -> anyhow::Result<Option<PublicKey>> {
        let keys = self.find(|keys| keys.iter().any(|key| key.kid == kid)).await?;
        Ok(keys.iter().find(|key| key.kid == kid).cloned())
    }

    /// The keys, read again if they're old or don't suffice.
    async fn find(
        &self,
        suffice: impl Fn(&[PublicKey]) -> bool,
    ) -> anyhow::Result<Arc<[PublicKey]>> {
        let known = self.known();
        let now = self.clock.now();
        if within(known.read_at, FRESH, now) && suffice(&known.keys) {
            return Ok(known.keys);
        }
        // One reads; who has what they need from before doesn't wait for that.
        let reading = self.reading.try_lock();
        let reading = match reading {
            Ok(reading) => reading,
            Err(_) if within(known.read_at, STALE, now) && suffice(&known.keys) => {
                return Ok(known.keys);
            }
            Err(_) => self.reading.lock().await,
        };
        let known = self.known();
        let pause = if within(known.read_at, STALE, now) { PAUSE } else { SHORT_PAUSE };
        if !within(known.tried_at, pause, now) {
            self.known.lock().expect("no holder panics").tried_at = Some(now);
            match self.read().await {
                Ok(keys) => {
                    let mut known = self.known.lock().expect("no holder panics");
                    (known.keys, known.read_at) = (keys, Some(now));
                }
                Err(error) => {
                    tracing::warn!(
                        url = self.url,
                        error = format!("{error:#}"),
                        "public keys can't be read"
                    );
                }
            }
        }
        drop(reading);
        let known = self.known();
        ensure!(within(known.read_at, STALE, now), "the keys of {} aren't known", self.url);
        Ok(known.keys)
    }

    fn known(&self) -> Known {
        self.known.lock().expect("no holder panics").clone()
    }

    async fn read(&self) -> anyhow::Result<Arc<[PublicKey]>> {
        let request = self.http.client(&self.url)?.get(&self.url).timeout(WITHIN);
        let response = request.send().await?.error_for_status()?;
        let body = response.bytes().await?;
        ensure!(body.len() <= MOST, "{} bytes of keys", body.len());
        let jwks: Jwks = serde_json::from_slice(&body).context("these aren't keys")?;
        // Of a kind that isn't ours there may be some; they're left out.
        let read = |key: serde_json::Value| {
            let jwk = serde_json::from_value::<Jwk>(key).ok()?;
            (jwk.kty == "RSA").then_some(jwk.key)
        };
        let keys: Arc<[_]> = jwks.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() { Err(anyhow!("there's no RSA key")) } else { Ok(keys) }
    }
}

fn within(then: Option<Timestamp>, seconds: i64, now: Timestamp) -> bool {
    then.is_some_and(|then| now < then.plus_seconds(seconds))
}
