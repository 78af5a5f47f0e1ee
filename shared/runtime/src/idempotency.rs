//! Idempotency keys: a repeated request gets the first definite answer again,
//! and has no second effect, however late it arrives.
//!
//! The answer is recorded in the commit of the effect, so neither exists
//! without the other; a refusal is recorded alone, for it is final too. Two
//! copies that run at once both try to create the record: one wins, the other
//! runs again and finds it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use aws_lc_rs::digest;
use axum::body::Bytes;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::{Idempotency, Method, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Document, Key, Record, Refusal, Result, Secret, Store, Stored, Write,
    answering::Declared,
    caller::Origin,
    domain::{Incoming, Reply},
    ports::derived_id,
    problems::{IDEMPOTENCY_KEY_REQUIRED, INVALID_IDEMPOTENCY_KEY, KEY_REUSED, STILL_RUNNING},
};

/// How long an answer is kept: a day is promised, and some clients sleep over the weekend.
const KEPT_SECONDS: i64 = 3 * 24 * 60 * 60;

/// The first definite answer to a request with a key.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    id: String,
    fingerprint: String,
    status: u16,
    body: String,
    expires_at: Timestamp,
}

impl Document for Answered {
    const COLLECTION: &'static str = "requests";
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The collection that every domain keeps its answers in.
pub(crate) const COLLECTION: crate::Collection = crate::Collection::of::<Answered>();

/// A request that came with a key.
#[derive(Debug)]
pub(crate) struct Keyed {
    id: String,
    fingerprint: String,
}

impl Keyed {
    /// The key of a request, if it has one and the operation takes one.
    ///
    /// What is kept of the request is sealed: it may hold a password, and a bare
    /// hash of it could be guessed at, should the store ever get lost.
    pub(crate) fn of(
        declared: &Declared,
        incoming: &Incoming,
        secret: &Secret,
    ) -> Result<Option<Self>> {
        let Declared { operation, route, idempotency, .. } = declared;
        let takes_key = route.method == Method::Post && *idempotency != Idempotency::Off;
        let caller = match &incoming.origin {
            Origin::Nobody if takes_key => "",
            Origin::Bearer(claims) if takes_key => claims.sub.as_str(),
            // Between domains a call says what is to be, so a repeat changes nothing.
            _ => return Ok(None),
        };
        let Some(header) = &incoming.idempotency_key else {
            return match idempotency {
                Idempotency::Required => Err(IDEMPOTENCY_KEY_REQUIRED.into()),
                Idempotency::Optional | Idempotency::Off => Ok(None),
            };
        };
        let key = bare(header).ok_or(INVALID_IDEMPOTENCY_KEY)?;
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(operation.as_bytes());
        for (name, value) in &incoming.bound {
            for part in [name.as_ref(), value] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.update(&incoming.body);
        let hash = BASE64_URL_SAFE_NO_PAD.encode(hash.finish());
        let fingerprint = secret.seal_text("request", &[&hash]);
        Ok(Some(Self { id: derived_id(&[caller, key]), fingerprint }))
    }

    /// The answer that the request got before, if it's this request.
    pub(crate) async fn earlier(&self, store: &dyn Store) -> Result<Option<Reply>> {
        let record = store.get(&self.key()).await?;
        record.map(|record| self.replay(record)).transpose()
    }

    /// The answer that was recorded, if it was to this request.
    pub(crate) fn replay(&self, record: Record) -> Result<Reply> {
        let answered = Stored::<Answered>::read(record)?.into_inner();
        if answered.fingerprint != self.fingerprint {
            return Err(KEY_REUSED.into());
        }
        let body = Bytes::from(answered.body);
        Ok(Reply { replayed: true, ..Reply::new(answered.status, body) })
    }

    /// The write that records the answer.
    pub(crate) fn record(&self, reply: &Reply, now: Timestamp) -> Write {
        let answered = Answered {
            id: self.id.clone(),
            fingerprint: self.fingerprint.clone(),
            status: reply.status,
            body: String::from_utf8_lossy(&reply.body).into_owned(),
            expires_at: now.plus_seconds(KEPT_SECONDS),
        };
        let body = serde_json::to_string(&answered).expect("answers are JSON");
        Write::Create(self.key(), body)
    }

    /// Where the answer is recorded.
    pub(crate) fn key(&self) -> Key {
        Key { collection: Answered::COLLECTION, id: self.id.clone() }
    }
}

/// Whether a refusal is definite: the same request will never fare better.
pub(crate) fn is_definite(reply: &Reply) -> bool {
    matches!(reply.status, 200..=299 | 400 | 403..=422)
}

/// The key in a header: 1 to 255 visible characters, bare or as a quoted string
/// (a Structured Field, as the IETF's draft has it).
fn bare(header: &str) -> Option<&str> {
    let quoted = header.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let key = quoted.unwrap_or(header);
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=255).contains(&key.len()) && visible && !key.contains('"')).then_some(key)
}

/// The keyed requests that are running in this process.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashSet<String>>);

impl Running {
    /// Enters a request, unless the same is running.
    pub(crate) fn enter(self: &Arc<Self>, keyed: &Keyed) -> Result<Entered> {
        let entered = self.0.lock().expect("no holder panics").insert(keyed.id.clone());
        if entered {
            Ok(Entered { running: self.clone(), id: keyed.id.clone() })
        } else {
            Err(Refusal::of(STILL_RUNNING).retry_after(1).into())
        }
    }
}

/// A request that is running; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    running: Arc<Running>,
    id: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.0.lock().expect("no holder panics").remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_and_bare_or_quoted() {
        assert_eq!(bare("abc"), Some("abc"));
        assert_eq!(bare("\"abc\""), Some("abc"));
        for header in ["", "\"\"", "a b", "a\u{e9}", "a\"b", &"x".repeat(256)] {
            assert_eq!(bare(header), None, "{header}");
        }
    }
}
