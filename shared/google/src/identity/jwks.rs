//! Public keys that are read from an address.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use async_trait::async_trait;
use runtime::{Bytes, Clock, KeySource, token::PublicKey};

use crate::Http;

/// How long an answer may take: someone waits for it.
const WITHIN: Duration = Duration::from_secs(3);

/// The most bytes that are read.
const MOST: usize = 256 * 1024;

/// The public keys at an address.
pub struct RemoteKeys {
    keys: runtime::KeySet<Address>,
    clock: Arc<dyn Clock>,
}

struct Address {
    url: String,
    http: Arc<Http>,
}

impl RemoteKeys {
    /// The keys at an address, which is asked when one is needed.
    pub fn at(url: String, http: Arc<Http>, clock: Arc<dyn Clock>) -> Self {
        Self { keys: runtime::KeySet::of(Address { url, http }), clock }
    }

    /// All keys.
    pub async fn keys(&self) -> anyhow::Result<Arc<[PublicKey]>> {
        self.keys.keys(self.clock.now()).await
    }

    /// The key with this id, if there's one.
    pub async fn key(&self, kid: &str) -> anyhow::Result<Option<PublicKey>> {
        self.keys.key(kid, self.clock.now()).await
    }
}

#[async_trait]
impl KeySource for Address {
    fn address(&self) -> &str {
        &self.url
    }

    async fn read(&self) -> anyhow::Result<Bytes> {
        let request = self.http.client(&self.url)?.get(&self.url).timeout(WITHIN);
        let body = request.send().await?.error_for_status()?.bytes().await?;
        ensure!(body.len() <= MOST, "{} bytes of keys", body.len());
        Ok(body)
    }
}
