//! Files in Cloud Storage, with links that are signed without a key file.
//!
//! Contents are streamed by the official client; what is known of an object,
//! lists and deletions go by the JSON API, because the client has them over gRPC
//! only. Nothing is connected, read or parsed before it's needed.

mod account;
mod api;
mod links;
mod object;
mod settings;
mod signature;
mod writing;

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use contracts::Page;
use futures_util::{StreamExt as _, stream};
use google_cloud_auth::signer::Signer;
use google_cloud_storage::{client::Storage, read_object::ReadObjectResponse};
use runtime::{
    Clock, FileError, FileInfo, FileName, Files, Random,
    files::{Content, Download, Expected, Generation, Link, NewFile, Upload},
};
use tokio::sync::OnceCell;

pub use self::settings::{LinkSigner, Settings};
use self::{account::Account, api::Api};
use crate::{Http, Metadata};

/// Files in a bucket of Cloud Storage.
pub struct CloudFiles {
    settings: Settings,
    api: Api,
    account: Arc<Account>,
    metadata: Arc<Metadata>,
    clock: Arc<dyn Clock>,
    client: OnceCell<Storage>,
    signer: OnceCell<Signer>,
}

impl CloudFiles {
    /// The files in a bucket. Access tokens, and who signs, come from the
    /// metadata server.
    pub fn new(
        settings: Settings,
        http: Arc<Http>,
        metadata: Arc<Metadata>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let account = Arc::new(Account::new(&settings, http.clone(), metadata.clone()));
        let api = Api::new(&settings, http, account.clone(), clock.clone(), random);
        let (client, signer) = Default::default();
        Self { settings, api, account, metadata, clock, client, signer }
    }

    /// The bucket, as the client names it.
    fn bucket(&self) -> String {
        format!("projects/_/buckets/{}", self.settings.bucket)
    }

    async fn client(&self) -> Result<&Storage, FileError> {
        let build = || async {
            let builder = Storage::builder().with_credentials(self.metadata.credentials(None));
            let builder = builder
                .with_retry_policy(writing::patience())
                .with_backoff_policy(writing::pauses())
                .with_resumable_upload_buffer_size(writing::BUFFER);
            let builder = match &self.settings.endpoint {
                Some(endpoint) => builder.with_endpoint(endpoint),
                None => builder,
            };
            builder.build().await.context("the client of Cloud Storage")
        };
        Ok(self.client.get_or_try_init(build).await?)
    }

    async fn signer(&self) -> Result<&Signer, FileError> {
        let make = || async { links::signer(&self.settings.signer, &self.account) };
        Ok(self.signer.get_or_try_init(make).await?)
    }
}

#[async_trait]
impl Files for CloudFiles {
    async fn upload_link(&self, upload: &Upload) -> Result<Link, FileError> {
        let lasts = (upload.seconds(), self.clock.now());
        let (headers, parameters) = (upload.headers(), <_>::default());
        let wanted = links::Wanted { name: upload.name(), headers, parameters, lasts };
        links::sign(&self.settings, self.signer().await?, "PUT", wanted).await
    }

    async fn download_link(&self, download: &Download) -> Result<Link, FileError> {
        let lasts = (download.seconds(), self.clock.now());
        let (headers, parameters) = (<_>::default(), download.parameters());
        let wanted = links::Wanted { name: download.name(), headers, parameters, lasts };
        links::sign(&self.settings, self.signer().await?, "GET", wanted).await
    }

    async fn info(&self, name: &FileName) -> Result<FileInfo, FileError> {
        Ok(self.api.object(name).await?.into_info()?)
    }

    async fn read(
        &self,
        name: &FileName,
        generation: Option<Generation>,
    ) -> Result<Content, FileError> {
        let request = self.client().await?.read_object(self.bucket(), name.as_str());
        let request = match generation {
            Some(generation) => request.set_generation(generation.number()),
            None => request,
        };
        let response = request.send().await;
        let response = response.map_err(|error| writing::refusal(error, Expected::Anything))?;
        let next = |mut response: ReadObjectResponse| async move {
            let piece = response.next().await?.map_err(std::io::Error::other);
            Some((piece, response))
        };
        Ok(stream::unfold(response, next).boxed())
    }

    async fn write(&self, file: &NewFile, content: Content) -> Result<FileInfo, FileError> {
        writing::write(self.client().await?, self.bucket(), file, content).await
    }

    async fn delete(&self, name: &FileName, generation: Generation) -> Result<(), FileError> {
        match self.api.delete(name, generation).await {
            Err(FileError::Missing) => Ok(()),
            deleted => deleted,
        }
    }

    async fn list(
        &self,
        prefix: &str,
        limit: u32,
        page_token: Option<&str>,
    ) -> Result<Page<FileInfo>, FileError> {
        self.api.list(prefix, limit, page_token).await
    }
}
