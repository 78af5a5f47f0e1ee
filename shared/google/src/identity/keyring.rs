//! What signs access tokens, and what checks them: Cloud KMS, which never gives
//! its key away, a key of one's own, or, where nothing is signed, the public
//! keys at an address.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{RequestBuilder, StatusCode};
use runtime::{Clock, Keyring, Random, RsaKey, Unreachable, token::PublicKey};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::OnceCell;

use super::{Metadata, RemoteKeys};
use crate::Http;

/// What signs access tokens, as the environment says.
#[derive(Clone)]
pub enum SigningKey {
    /// Versions of a key of Cloud KMS: the first one signs, and what the others
    /// have signed is still good.
    Kms(Vec<String>),
    /// A file with an RSA key in PEM, as Secret Manager mounts it.
    File(String),
    /// An RSA key in PEM.
    Pem(String),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kms(versions) => f.debug_tuple("Kms").field(versions).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Pem(_) => f.write_str("Pem(…)"),
        }
    }
}

impl SigningKey {
    /// Reads what the environment says.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("projects/") {
            let versions: Vec<_> = text.split(',').map(|it| it.trim().to_owned()).collect();
            let is_version = |it: &String| {
                let parts: Vec<_> = it.split('/').collect();
                parts.len() == 10 && parts[8] == "cryptoKeyVersions"
            };
            return versions.iter().all(is_version).then_some(Self::Kms(versions));
        }
        if text.starts_with('/') {
            return Some(Self::File(text.to_owned()));
        }
        RsaKey::of_pem(text).is_ok().then(|| Self::Pem(text.to_owned()))
    }
}

/// The keys of the platform's access tokens, as this service needs them.
pub struct CloudKeyring(Kind);

enum Kind {
    Kms(Kms),
    Own { key: SigningKey, read: OnceCell<RsaKey> },
    Remote(RemoteKeys),
}

struct Kms {
    url: String,
    versions: Vec<String>,
    http: Arc<Http>,
    metadata: Arc<Metadata>,
    keys: OnceCell<Vec<PublicKey>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// How long Cloud KMS may take for one answer, and how often it's asked for it. Whoever signs
/// in waits meanwhile: it's well below the 30 seconds that a request has.
const WITHIN: Duration = Duration::from_secs(3);
const TRIES: u32 = 3;

/// Before the second try it's a random part of twice this; before the third, of four times.
const PAUSE_MILLIS: u64 = 100;

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
struct Told {
    pem: String,
    algorithm: String,
}

impl CloudKeyring {
    /// Signs with a key.
    pub fn signing(
        key: SigningKey,
        kms_url: &str,
        (http, metadata): (Arc<Http>, Arc<Metadata>),
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    ) -> Self {
        Self(match key {
            SigningKey::Kms(versions) => {
                let (url, keys) = (kms_url.to_owned(), OnceCell::new());
                Kind::Kms(Kms { url, versions, http, metadata, keys, clock, random })
            }
            key => Kind::Own { key, read: OnceCell::new() },
        })
    }

    /// Only checks.
    pub const fn checking(keys: RemoteKeys) -> Self {
        Self(Kind::Remote(keys))
    }
}

async fn own<'a>(key: &SigningKey, read: &'a OnceCell<RsaKey>) -> anyhow::Result<&'a RsaKey> {
    let find = || async {
        match key {
            SigningKey::File(path) => {
                let pem = std::fs::read_to_string(path).with_context(|| path.clone())?;
                RsaKey::of_pem(&pem).with_context(|| path.clone())
            }
            SigningKey::Pem(pem) => RsaKey::of_pem(pem),
            SigningKey::Kms(_) => bail!("Cloud KMS doesn't give its keys away"),
        }
    };
    read.get_or_try_init(find).await
}

#[async_trait]
impl Keyring for CloudKeyring {
    async fn key_id(&self) -> anyhow::Result<String> {
        match &self.0 {
            Kind::Kms(kms) => Ok(kms.signing_key().await?.kid.clone()),
            Kind::Own { key, read } => Ok(own(key, read).await?.public().kid.clone()),
            Kind::Remote(_) => bail!("AULA_SIGNING_KEY isn't set: nothing is signed here"),
        }
    }

    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        match &self.0 {
            Kind::Kms(kms) => kms.sign(message).await.context("Cloud KMS"),
            Kind::Own { key, read } => own(key, read).await?.sign(message),
            Kind::Remote(_) => bail!("AULA_SIGNING_KEY isn't set: nothing is signed here"),
        }
    }

    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        match &self.0 {
            Kind::Kms(kms) => Ok(kms.public_keys().await.context("Cloud KMS")?.to_vec()),
            Kind::Own { key, read } => Ok(vec![own(key, read).await?.public().clone()]),
            Kind::Remote(keys) => Ok(keys.keys().await?.to_vec()),
        }
    }

    async fn public_key(&self, kid: &str) -> anyhow::Result<Option<PublicKey>> {
        match &self.0 {
            Kind::Remote(keys) => keys.key(kid).await,
            _ => Ok(self.public_keys().await?.into_iter().find(|key| key.kid == kid)),
        }
    }
}

impl Kms {
    async fn public_keys(&self) -> anyhow::Result<&[PublicKey]> {
        let ask = || async {
            let asked = self.versions.iter().map(|version| self.public_key(version));
            futures_util::future::try_join_all(asked).await
        };
        Ok(self.keys.get_or_try_init(ask).await?)
    }

    async fn signing_key(&self) -> anyhow::Result<&PublicKey> {
        self.public_keys().await?.first().context("there's no key")
    }

    async fn public_key(&self, version: &str) -> anyhow::Result<PublicKey> {
        let url = format!("{}/v1/{version}/publicKey", self.url);
        let request = self.http.client(&url)?.get(&url);
        let told: Told = self.ask(request).await?;
        ensure!(
            told.algorithm == "RSA_SIGN_PKCS1_2048_SHA256",
            "{version} is for {}, and access tokens are RS256",
            told.algorithm
        );
        PublicKey::of_pem(&told.pem)
    }

    async fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let version = self.versions.first().context("there's no key")?;
        let url = format!("{}/v1/{version}:asymmetricSign", self.url);
        let hash = digest::digest(&digest::SHA256, message);
        let digest = json!({ "digest": { "sha256": BASE64_STANDARD.encode(hash.as_ref()) } });
        let request = self.http.client(&url)?.post(&url).json(&digest);
        let signed: Signed = self.ask(request).await?;
        BASE64_STANDARD.decode(signed.signature).context("a signature is Base64")
    }

    /// Asks until there's an answer. To sign the same twice does no harm.
    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let mut tried = 1;
        loop {
            let again = request.try_clone().context("what is asked is at hand")?;
            match self.ask_once(again).await {
                Err(error) if tried < TRIES && error.is::<Unreachable>() => {
                    let error = format!("{error:#}");
                    tracing::debug!(tried, error, "Cloud KMS is asked again");
                }
                answered => return answered,
            }
            self.clock.sleep(self.pause(tried)).await;
            tried += 1;
        }
    }

    async fn ask_once<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let unreachable = |why: String| Unreachable(format!("Cloud KMS: {why}"));
        let token =
            self.metadata.access_token().await.map_err(|it| unreachable(format!("{it:#}")))?;
        let response = request.timeout(WITHIN).bearer_auth(token).send().await;
        let response = response.map_err(|it| unreachable(it.to_string()))?;
        match response.status() {
            status if status.is_success() => {}
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                return Err(unreachable(format!("it answered {status}")).into());
            }
            status if status.is_server_error() => {
                return Err(unreachable(format!("it answered {status}")).into());
            }
            status => bail!("it answered {status}"),
        }
        let body = response.bytes().await.map_err(|it| unreachable(it.to_string()))?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// A random pause.
    fn pause(&self, tried: u32) -> Duration {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        Duration::from_millis(u64::from_le_bytes(bytes) % (PAUSE_MILLIS << tried))
    }
}
