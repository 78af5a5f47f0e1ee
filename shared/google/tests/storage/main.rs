//! Files in Cloud Storage keep the rules of all files, on a stand-in that
//! checks signatures.

mod container;
mod fake;
mod faults;
mod links;
mod signature;

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, HttpBody as _};
use fake::{BUCKET, Fake};
use google::{
    Http, Metadata,
    storage::{CloudFiles, LinkSigner, Settings},
};
use runtime::{
    Bytes, Files, SystemClock, SystemRandom,
    conformance::files::{self as must, Cabinet},
};

/// A bucket, and the adapter on it.
struct Cloud {
    fake: Fake,
    files: Arc<dyn Files>,
    http: Http,
}

impl Cloud {
    async fn start() -> Self {
        let fake = Fake::start().await;
        Self::with(&fake, LinkSigner::Account)
    }

    fn with(fake: &Fake, signer: LinkSigner) -> Self {
        let settings = Settings::of(BUCKET)
            .at(&fake.url())
            .with_iam_at(&fake.url())
            .with_metadata_at(&fake.address)
            .signed_by(signer);
        let (http, clock, random) = (Arc::<Http>::default(), Arc::new(SystemClock), SystemRandom);
        let metadata = Metadata::at(&fake.address, http.clone(), clock.clone());
        let files = CloudFiles::new(settings, http, Arc::new(metadata), clock, Arc::new(random));
        Self { fake: fake.clone(), files: Arc::new(files), http: Http::default() }
    }
}

#[async_trait]
impl Cabinet for Cloud {
    fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    async fn send(&self, request: http::Request<Body>) -> Option<http::Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let body = match body.size_hint().exact() {
            Some(size) => {
                let size = usize::try_from(size).unwrap();
                axum::body::to_bytes(body, size).await.unwrap().into()
            }
            None => reqwest::Body::wrap_stream(body.into_data_stream()),
        };
        let client = self.http.client(&url).unwrap();
        let request = client.request(parts.method, url).headers(parts.headers).body(body);
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = http::Response::new(answer.bytes().await.ok()?);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Some(response)
    }

    async fn pass(&self, seconds: u32) {
        self.fake.pass(seconds);
    }
}

macro_rules! tests {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            must::$rule(&Cloud::start().await).await;
        }
    )+};
}

runtime::files_rules!(tests);
