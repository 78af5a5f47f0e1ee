//! Public keys that are read from somewhere (RFC 7517), and kept a while.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow, ensure};
use async_trait::async_trait;
use axum::body::Bytes;
use contracts::Timestamp;
use serde::Deserialize;

use crate::token::PublicKey;

/// How long keys are good without asking again, in seconds. A new key of the platform's
/// own is told at least twice as long before it signs; one of others is looked for
/// when its id isn't known.
const FRESH: i64 = 300;

/// How long old keys still serve while they can't be read again, in seconds.
const STALE: i64 = 24 * 60 * 60;

/// How long to leave an address alone that was just asked, in seconds: whoever
/// makes up key ids can't make us ask more often.
const PAUSE: i64 = 10;

/// The same while no key is known at all, in seconds: then nobody can be let in.
const SHORT_PAUSE: i64 = 1;

/// The port: where public keys are read.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// Where that is, for the log.
    fn address(&self) -> &str;
    /// The keys as they stand there: JSON.
    async fn read(&self) -> anyhow::Result<Bytes>;
}

/// The public RSA keys that stand somewhere.
pub struct KeySet<S> {
    source: S,
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
    #[serde(default, rename = "use")]
    used_for: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(flatten)]
    key: PublicKey,
}

impl Jwk {
    /// Whether it's one that RS256 signatures are checked with.
    fn is_ours(&self) -> bool {
        self.kty == "RSA"
            && self.used_for.as_ref().is_none_or(|it| it == "sig")
            && self.alg.as_ref().is_none_or(|it| it == "RS256")
    }
}

impl<S: KeySource> KeySet<S> {
    /// The keys of a source, which is asked when one is needed.
    pub fn of(source: S) -> Self {
        let known = Known { keys: Arc::new([]), read_at: None, tried_at: None };
        Self { source, known: Mutex::new(known), reading: tokio::sync::Mutex::default() }
    }

    /// All keys.
    pub async fn keys(&self, now: Timestamp) -> anyhow::Result<Arc<[PublicKey]>> {
        self.find(|_| true, now).await
    }

    /// The key with this id, if there's one. An error if that can't be said.
    pub async fn key(&self, kid: &str, now: Timestamp) -> anyhow::Result<Option<PublicKey>> {
        let keys = self.find(|keys| keys.iter().any(|key| key.kid == kid), now).await?;
        Ok(keys.iter().find(|key| key.kid == kid).cloned())
    }

    /// The keys, read again if they're old or don't suffice.
    async fn find(
        &self,
        suffice: impl Fn(&[PublicKey]) -> bool,
        now: Timestamp,
    ) -> anyhow::Result<Arc<[PublicKey]>> {
        let known = self.known();
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
            match self.source.read().await.and_then(|json| read(&json)) {
                Ok(keys) => {
                    let mut known = self.known.lock().expect("no holder panics");
                    (known.keys, known.read_at) = (keys, Some(now));
                }
                Err(error) => {
                    let (url, error) = (self.source.address(), format!("{error:#}"));
                    tracing::warn!(url, error, "public keys can't be read");
                }
            }
        }
        drop(reading);
        let known = self.known();
        let are_known = within(known.read_at, STALE, now);
        // A key that isn't among old ones may be new: it isn't known to be wrong.
        let are_told = known.tried_at == known.read_at || suffice(&known.keys);
        ensure!(are_known && are_told, "the keys of {} aren't known", self.source.address());
        Ok(known.keys)
    }

    fn known(&self) -> Known {
        self.known.lock().expect("no holder panics").clone()
    }
}

fn read(json: &[u8]) -> anyhow::Result<Arc<[PublicKey]>> {
    let jwks: Jwks = serde_json::from_slice(json).context("these aren't keys")?;
    // Of a kind that isn't ours there may be some; they're left out.
    let ours = |key| serde_json::from_value::<Jwk>(key).ok().filter(Jwk::is_ours);
    let keys: Arc<[_]> = jwks.keys.into_iter().filter_map(ours).map(|it| it.key).collect();
    if keys.is_empty() { Err(anyhow!("there's no RSA key")) } else { Ok(keys) }
}

fn within(then: Option<Timestamp>, seconds: i64, now: Timestamp) -> bool {
    then.is_some_and(|then| now < then.plus_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What stands there; nothing: it can't be reached.
    #[derive(Default)]
    struct Told {
        keys: Mutex<Option<Value>>,
        asked: Mutex<usize>,
    }

    #[async_trait]
    impl KeySource for Arc<Told> {
        fn address(&self) -> &'static str {
            "there"
        }
        async fn read(&self) -> anyhow::Result<Bytes> {
            *self.asked.lock().unwrap() += 1;
            let keys = self.keys.lock().unwrap().clone().context("out of reach")?;
            Ok(json!({ "keys": keys }).to_string().into())
        }
    }

    fn told(keys: Value) -> (KeySet<Arc<Told>>, Arc<Told>) {
        let told = Arc::new(Told { keys: Mutex::new(Some(keys)), asked: Mutex::default() });
        (KeySet::of(told.clone()), told)
    }

    fn key(kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "n": "n", "e": "AQAB" })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus_seconds(1_000_000 + seconds)
    }

    async fn knows(set: &KeySet<Arc<Told>>, kid: &str, seconds: i64) -> Option<bool> {
        set.key(kid, at(seconds)).await.ok().map(|it| it.is_some())
    }

    #[tokio::test]
    async fn an_unknown_id_costs_a_look_and_no_second_one_so_soon() {
        let (set, told) = told(json!([key("a")]));
        assert_eq!(knows(&set, "a", 0).await, Some(true));
        assert_eq!(knows(&set, "a", FRESH - 1).await, Some(true));
        assert_eq!(*told.asked.lock().unwrap(), 1);
        *told.keys.lock().unwrap() = Some(json!([key("b")]));
        for second in 0..PAUSE {
            assert_eq!(knows(&set, "b", FRESH + second).await, Some(true));
            assert_eq!(knows(&set, "made-up", FRESH + second).await, Some(false));
        }
        assert_eq!(*told.asked.lock().unwrap(), 2);
        assert_eq!(knows(&set, "a", FRESH + PAUSE).await, Some(false));
    }

    #[tokio::test]
    async fn old_keys_serve_for_a_day_while_there_are_no_new_ones() {
        let (set, told) = told(json!([key("a")]));
        assert_eq!(knows(&set, "a", 0).await, Some(true));
        *told.keys.lock().unwrap() = None;
        assert_eq!(knows(&set, "a", FRESH).await, Some(true));
        assert_eq!(knows(&set, "a", STALE - 1).await, Some(true));
        assert_eq!(knows(&set, "a", STALE).await, None);
        *told.keys.lock().unwrap() = Some(json!([key("b")]));
        assert_eq!(knows(&set, "a", STALE + 1).await, Some(false));
    }

    #[tokio::test]
    async fn what_does_not_sign_as_ours_do_is_left_out() {
        let with = |name: &str, value: &str| {
            let mut key = key(value);
            key[name] = json!(value);
            key
        };
        let odd =
            [with("kty", "EC"), with("use", "enc"), with("alg", "PS256"), json!({}), json!(7)];
        let (set, told) = told(json!(odd));
        assert_eq!(knows(&set, "enc", 0).await, None);
        let mixed = [odd.as_slice(), &[key("a")]].concat();
        *told.keys.lock().unwrap() = Some(json!(mixed));
        for kid in ["EC", "enc", "PS256"] {
            assert_eq!(knows(&set, kid, 1).await, Some(false), "{kid}");
        }
        assert_eq!(knows(&set, "a", 1).await, Some(true));
    }
}
