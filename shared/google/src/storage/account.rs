//! The service account that we run as: it asks for objects, and signs links.

use std::{fmt, sync::Arc};

use anyhow::{Context as _, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use google_cloud_auth::signer::{SigningError, SigningProvider};
use runtime::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::Settings;
use crate::{Http, Metadata};

/// The service account that we run as.
pub(super) struct Account {
    http: Arc<Http>,
    metadata: Arc<Metadata>,
    email_url: String,
    iam_url: String,
    email: OnceCell<String>,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "signedBlob")]
    signed_blob: String,
}

impl Account {
    pub(super) fn new(settings: &Settings, http: Arc<Http>, metadata: Arc<Metadata>) -> Self {
        let host = &settings.metadata_host;
        let path = "computeMetadata/v1/instance/service-accounts/default/email";
        let (email_url, iam_url) = (format!("http://{host}/{path}"), settings.iam_url.clone());
        Self { http, metadata, email_url, iam_url, email: OnceCell::new() }
    }

    /// A token for Google's own APIs.
    pub(super) async fn token(&self) -> anyhow::Result<String> {
        self.metadata.access_token().await
    }

    async fn email(&self) -> anyhow::Result<&str> {
        let ask = || async {
            let request = self.http.client(&self.email_url)?.get(&self.email_url);
            let response = request.header("metadata-flavor", "Google").send().await?;
            let status = response.status();
            ensure!(status.is_success(), "the metadata server answered {status}");
            anyhow::Ok(response.text().await?.trim().to_owned())
        };
        Ok(self.email.get_or_try_init(ask).await.context("who we are")?)
    }

    /// Has IAM sign some bytes with a key of the account, which it keeps for itself.
    async fn sign(&self, content: &[u8]) -> anyhow::Result<Bytes> {
        let email = self.email().await?;
        let url = format!("{}/v1/projects/-/serviceAccounts/{email}:signBlob", self.iam_url);
        let body = json!({ "payload": BASE64_STANDARD.encode(content) });
        let request = self.http.client(&url)?.post(&url).bearer_auth(self.token().await?);
        let response = request.json(&body).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "IAM answered {status} when it was to sign a link");
        let Signed { signed_blob } = response.json().await?;
        Ok(BASE64_STANDARD.decode(signed_blob)?.into())
    }
}

/// The account, as what signs links.
pub(super) struct ByIam(pub Arc<Account>);

impl fmt::Debug for ByIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByIam(…)")
    }
}

impl SigningProvider for ByIam {
    async fn client_email(&self) -> Result<String, SigningError> {
        let email = self.0.email().await;
        email.map(str::to_owned).map_err(|error| SigningError::from_msg(format!("{error:#}")))
    }

    async fn sign(&self, content: &[u8]) -> Result<Bytes, SigningError> {
        let signed = self.0.sign(content).await;
        signed.map_err(|error| SigningError::from_msg(format!("{error:#}")))
    }
}
