//! Pub/Sub over REST, for the few things that people ask of it: pulling by hand
//! must be one call after the other, not a stream.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Http, identity::Metadata};

/// Pub/Sub, or its emulator.
pub(super) struct Rest {
    pub base: String,
    pub http: Arc<Http>,
    /// Nothing, for an emulator.
    pub metadata: Option<Arc<Metadata>>,
}

impl Rest {
    /// An emulator.
    pub fn on_emulator(host: &str) -> Self {
        Self { base: format!("http://{host}"), http: Arc::default(), metadata: None }
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
        if let Some(metadata) = &self.metadata {
            request = request.bearer_auth(metadata.access_token().await?);
        }
        let response = request.send().await.with_context(|| url.clone())?;
        let status = response.status();
        ensure!(status.is_success(), "{url} answered {status}");
        Ok(response.json().await?)
    }
}
