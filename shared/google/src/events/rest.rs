//! Pub/Sub over REST: what a container publishes goes out by the client that it
//! has anyway, and pulling by hand must be one call after the other, not a stream.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
#[cfg(feature = "tools")]
use google_cloud_auth::credentials::{self, AccessTokenCredentials};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Http, identity::Metadata};

/// Where Pub/Sub always is.
const GOOGLE: &str = "https://pubsub.googleapis.com";

/// The rights to publish, to pull, and to do nothing else.
#[cfg(feature = "tools")]
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";

/// Pub/Sub, or its emulator.
pub(super) struct Rest {
    base: String,
    http: Arc<Http>,
    bearer: Bearer,
}

/// Who asks.
enum Bearer {
    /// Anybody: an emulator lets everyone in.
    Anybody,
    /// The service account of a container.
    Container(Arc<Metadata>),
    /// Who is signed in on this machine.
    #[cfg(feature = "tools")]
    Operator(Box<AccessTokenCredentials>),
}

impl Rest {
    /// An emulator.
    pub fn on_emulator(host: &str) -> Self {
        Self { base: format!("http://{host}"), http: Arc::default(), bearer: Bearer::Anybody }
    }

    /// Google's, asked by a container; or an emulator, if there's one.
    pub fn of_container(emulator: Option<&str>, http: Arc<Http>, metadata: Arc<Metadata>) -> Self {
        match emulator {
            Some(host) => Self { http, ..Self::on_emulator(host) },
            None => Self { base: GOOGLE.to_owned(), http, bearer: Bearer::Container(metadata) },
        }
    }

    /// Google's, asked by who is signed in on this machine.
    #[cfg(feature = "tools")]
    pub fn of_operator() -> anyhow::Result<Self> {
        let credentials = credentials::Builder::default().with_scopes([SCOPE]);
        let credentials = credentials
            .build_access_token_credentials()
            .context("nobody is signed in; `gcloud auth application-default login` does it")?;
        let bearer = Bearer::Operator(Box::new(credentials));
        Ok(Self { base: GOOGLE.to_owned(), http: Arc::default(), bearer })
    }

    /// Makes a resource, unless it's there.
    pub async fn put(&self, resource: &str, body: &(impl Serialize + Sync)) -> anyhow::Result<()> {
        let url = format!("{}/v1/{resource}", self.base);
        let request = self.http.client(&url)?.put(&url).json(body);
        let status = request.send().await.with_context(|| url.clone())?.status();
        let is_there = status == http::StatusCode::CONFLICT;
        ensure!(status.is_success() || is_there, "{url} answered {status}");
        Ok(())
    }

    /// Does something to a resource.
    pub async fn post<T: DeserializeOwned>(
        &self,
        resource: &str,
        verb: &str,
        body: &(impl Serialize + Sync),
    ) -> anyhow::Result<T> {
        let url = format!("{}/v1/{resource}:{verb}", self.base);
        let mut request = self.http.client(&url)?.post(&url).json(body);
        request = request.timeout(Duration::from_secs(30));
        if let Some(token) = self.token().await? {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.with_context(|| url.clone())?;
        let status = response.status();
        ensure!(status.is_success(), "{url} answered {status}");
        Ok(response.json().await?)
    }

    async fn token(&self) -> anyhow::Result<Option<String>> {
        Ok(match &self.bearer {
            Bearer::Anybody => None,
            Bearer::Container(metadata) => Some(metadata.access_token().await?),
            #[cfg(feature = "tools")]
            Bearer::Operator(credentials) => {
                let token = credentials.access_token().await;
                Some(token.context("an access token for who is signed in")?.token)
            }
        })
    }
}
