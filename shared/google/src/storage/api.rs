//! The JSON API: what is known of an object, lists and deletions.

use std::{sync::Arc, time::Duration};

use contracts::Page;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, StatusCode};
use runtime::{Clock, FileError, FileInfo, FileName, Random, files::Generation};

use super::{
    Settings,
    account::Account,
    object::{FIELDS, Object, Objects},
};
use crate::Http;

/// How often something is tried, at most.
const TRIES: u32 = 4;

/// How long the first pause is, at most; each one after it may be twice as long.
const PAUSE_MILLIS: u64 = 200;

/// The JSON API of Cloud Storage, for one bucket.
pub(super) struct Api {
    objects_url: String,
    http: Arc<Http>,
    account: Arc<Account>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Api {
    pub(super) fn new(
        settings: &Settings,
        http: Arc<Http>,
        account: Arc<Account>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let objects_url = format!("{}/storage/v1/b/{}/o", settings.url(), settings.bucket);
        Self { objects_url, http, account, clock, random }
    }

    fn url(&self, name: &FileName) -> String {
        let name = utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC);
        format!("{}/{name}", self.objects_url)
    }

    /// An object, without its content.
    pub(super) async fn object(&self, name: &FileName) -> Result<Object, FileError> {
        let query = [("fields", FIELDS.to_owned())];
        let response = self.ask(Method::GET, &self.url(name), &query).await?;
        Ok(response.json().await.map_err(anyhow::Error::from)?)
    }

    /// Deletes this generation of an object.
    pub(super) async fn delete(
        &self,
        name: &FileName,
        generation: Generation,
    ) -> Result<(), FileError> {
        let query = [("ifGenerationMatch", generation.to_string())];
        self.ask(Method::DELETE, &self.url(name), &query).await.map(drop)
    }

    /// A page of the objects whose names begin so.
    pub(super) async fn list(
        &self,
        prefix: &str,
        limit: u32,
        page_token: Option<&str>,
    ) -> Result<Page<FileInfo>, FileError> {
        let mut query = vec![
            ("prefix", prefix.to_owned()),
            ("maxResults", limit.clamp(1, 1000).to_string()),
            ("fields", format!("nextPageToken,items({FIELDS})")),
        ];
        query.extend(page_token.map(|token| ("pageToken", token.to_owned())));
        let response = self.ask(Method::GET, &self.objects_url, &query).await?;
        let objects: Objects = response.json().await.map_err(anyhow::Error::from)?;
        // What others have put there under a name that we'd never give is none of ours.
        let ours = objects.items.into_iter().filter(Object::is_ours);
        let items: anyhow::Result<_> = ours.map(Object::into_info).collect();
        Ok(Page { items: items?, next_page_token: objects.next_page_token })
    }

    /// Asks until there's an answer to be had. Everything here can be asked twice.
    async fn ask(
        &self,
        method: Method,
        url: &str,
        query: &[(&str, String)],
    ) -> Result<Response, FileError> {
        let mut tried = 1;
        loop {
            let failed = match self.ask_once(method.clone(), url, query).await {
                Err(FileError::Unavailable(failed)) if tried < TRIES => failed,
                answered => return answered,
            };
            tracing::debug!(tried, failed, "Cloud Storage is asked again");
            self.clock.sleep(self.pause(tried)).await;
            tried += 1;
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        url: &str,
        query: &[(&str, String)],
    ) -> Result<Response, FileError> {
        let unavailable = |error: String| FileError::Unavailable(error);
        let token = self.account.token().await.map_err(|it| unavailable(format!("{it:#}")))?;
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let url = format!("{url}?{}", query.join("&"));
        let request = self.http.client(&url)?.request(method, &url).bearer_auth(token);
        // The URL has the file's name in it, which may be somebody's.
        let response =
            request.send().await.map_err(|it| unavailable(it.without_url().to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(refusal(status)),
        }
    }

    /// A random pause of up to twice as long as the one before.
    fn pause(&self, tried: u32) -> Duration {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        let most = PAUSE_MILLIS << tried.min(10);
        Duration::from_millis(u64::from_le_bytes(bytes) % most)
    }
}

/// What a status means for a file.
fn refusal(status: StatusCode) -> FileError {
    match status {
        StatusCode::NOT_FOUND => FileError::Missing,
        StatusCode::PRECONDITION_FAILED => FileError::Changed,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            FileError::Unavailable(format!("Cloud Storage answered {status}"))
        }
        status if status.is_server_error() => {
            FileError::Unavailable(format!("Cloud Storage answered {status}"))
        }
        status => anyhow::anyhow!("Cloud Storage answered {status}").into(),
    }
}
