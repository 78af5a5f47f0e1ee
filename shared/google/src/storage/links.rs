//! Links, signed as Cloud Storage wants them (V4).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use contracts::Timestamp;
use google_cloud_auth::{credentials::service_account, signer::Signer};
use google_cloud_storage::builder::storage::SignedUrlBuilder;
use runtime::{FileError, FileName, files::Link};

use super::{
    LinkSigner, Settings,
    account::{Account, ByIam},
    signature,
};

/// What signs links, as the settings say.
pub(super) fn signer(signer: &LinkSigner, account: &Arc<Account>) -> anyhow::Result<Signer> {
    match signer {
        LinkSigner::Account => Ok(ByIam(account.clone()).into()),
        LinkSigner::Key(json) => {
            let key = serde_json::from_str(json).context("the key of a service account")?;
            service_account::Builder::new(key)
                .build_signer()
                .context("the key of a service account")
        }
    }
}

/// What is signed beside the method.
pub(super) struct Wanted<'a> {
    pub name: &'a FileName,
    pub headers: BTreeMap<String, String>,
    pub parameters: BTreeMap<String, String>,
    /// For how many seconds, from when on.
    pub lasts: (u32, Timestamp),
}

/// A link to an object.
pub(super) async fn sign(
    settings: &Settings,
    signer: &Signer,
    method: &'static str,
    wanted: Wanted<'_>,
) -> Result<Link, FileError> {
    // The client leaves an asterisk in the query as it is, where Cloud Storage
    // wants it escaped: and that's how a name that isn't ASCII is written.
    let has_asterisk = wanted.parameters.values().any(|it| it.contains('*'));
    let url = if has_asterisk {
        signature::url(settings, signer, method, &wanted).await
    } else {
        by_the_client(settings, signer, method, &wanted).await
    };
    // Whatever it was, it was no fault of the request's: it may work later.
    let url = url.map_err(|error| FileError::Unavailable(format!("no link is signed: {error}")))?;
    let Wanted { headers, lasts: (seconds, now), .. } = wanted;
    let (method, expires_at) = (method.to_owned(), now.plus_seconds(seconds.into()));
    Ok(Link { method, url, headers, expires_at })
}

async fn by_the_client(
    settings: &Settings,
    signer: &Signer,
    method: &'static str,
    wanted: &Wanted<'_>,
) -> anyhow::Result<String> {
    let bucket = format!("projects/_/buckets/{}", settings.bucket);
    let mut builder = SignedUrlBuilder::for_object(bucket, wanted.name.as_str())
        .with_method(method.parse()?)
        .with_endpoint(settings.url())
        .with_expiration(Duration::from_secs(wanted.lasts.0.into()));
    for (name, value) in &wanted.headers {
        builder = builder.with_header(name, value);
    }
    for (name, value) in &wanted.parameters {
        builder = builder.with_query_param(name, value);
    }
    Ok(builder.sign_with(signer).await?)
}
