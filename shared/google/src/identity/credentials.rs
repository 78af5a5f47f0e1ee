//! The service account that a container runs as, as Google's clients want to
//! hear of it.
//!
//! Their own way to find out who they are tries all that there is, from a key
//! file to a federation of identities; a container asks the metadata server.

use std::{fmt, sync::Arc};

use google_cloud_auth::{
    credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag},
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap, HeaderValue, header};

use super::Metadata;

/// Bears the tokens of a container's service account.
struct Bearer {
    metadata: Arc<Metadata>,
    scope: Option<&'static str>,
}

impl Metadata {
    /// The service account, with the rights of a scope, or with all that it has.
    pub(crate) fn credentials(self: &Arc<Self>, scope: Option<&'static str>) -> Credentials {
        Bearer { metadata: self.clone(), scope }.into()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl CredentialsProvider for Bearer {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let failed = |error: anyhow::Error| CredentialsError::from_msg(true, format!("{error:#}"));
        let token = match self.scope {
            Some(scope) => self.metadata.access_token_for(scope).await.map_err(failed)?,
            None => self.metadata.access_token().await.map_err(failed)?,
        };
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|error| CredentialsError::from_source(false, error))?;
        value.set_sensitive(true);
        let data = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}
