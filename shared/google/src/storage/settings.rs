//! Where files are, and what signs the links to them.

use std::fmt;

/// What signs links.
#[derive(Clone)]
pub enum LinkSigner {
    /// The service account that we run as, through the IAM API: no key ever
    /// leaves Google. It costs a call for each link.
    Account,
    /// The key of a service account, as JSON: for tests, and for machines elsewhere.
    Key(String),
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "Account",
            Self::Key(_) => "Key(…)",
        })
    }
}

/// Where files are, and what signs the links to them.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) bucket: String,
    /// Where Cloud Storage is, unless it's where it always is.
    pub(super) endpoint: Option<String>,
    pub(super) iam_url: String,
    pub(super) metadata_host: String,
    pub(super) signer: LinkSigner,
}

impl Settings {
    /// A bucket of Cloud Storage, with links signed by the account that we run as.
    pub fn of(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            endpoint: None,
            iam_url: "https://iamcredentials.googleapis.com".to_owned(),
            metadata_host: "metadata.google.internal".to_owned(),
            signer: LinkSigner::Account,
        }
    }

    /// The same at another address, as `STORAGE_EMULATOR_HOST` says it: a URL,
    /// or a host and a port, which are spoken to without TLS.
    #[must_use]
    pub fn at(self, endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/');
        let endpoint = if endpoint.contains("://") {
            endpoint.to_owned()
        } else {
            format!("http://{endpoint}")
        };
        Self { endpoint: Some(endpoint), ..self }
    }

    /// The same with the IAM API at another address.
    #[must_use]
    pub fn with_iam_at(self, url: &str) -> Self {
        Self { iam_url: url.to_owned(), ..self }
    }

    /// The same with the metadata server at another host.
    #[must_use]
    pub fn with_metadata_at(self, host: &str) -> Self {
        Self { metadata_host: host.to_owned(), ..self }
    }

    /// The same with links signed otherwise.
    #[must_use]
    pub fn signed_by(self, signer: LinkSigner) -> Self {
        Self { signer, ..self }
    }

    /// Where Cloud Storage is.
    pub(super) fn url(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("https://storage.googleapis.com")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_may_be_told_by_its_host_or_its_url() {
        let settings = Settings::of("b");
        assert_eq!(settings.url(), "https://storage.googleapis.com");
        assert_eq!(settings.clone().at("127.0.0.1:1").url(), "http://127.0.0.1:1");
        assert_eq!(settings.at("http://127.0.0.1:1/").url(), "http://127.0.0.1:1");
    }

    #[test]
    fn a_key_is_never_shown() {
        let settings = Settings::of("b").signed_by(LinkSigner::Key("secret".to_owned()));
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
