//! The way out over HTTP: one client, made when it's first needed.

use std::{sync::OnceLock, time::Duration};

use anyhow::Context as _;

/// The way out. Where everything is spoken without TLS, as with the metadata
/// server and the emulators, no certificates are read.
#[derive(Default)]
pub struct Http {
    plain: OnceLock<reqwest::Client>,
    secured: OnceLock<reqwest::Client>,
}

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How long a request may take, unless it says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses: less than Google's front
/// ends keep theirs.
const KEPT: Duration = Duration::from_mins(1);

impl Http {
    /// The client for an address.
    pub fn client(&self, url: &str) -> anyhow::Result<&reqwest::Client> {
        let is_plain = url.starts_with("http://");
        let cell = if is_plain { &self.plain } else { &self.secured };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_idle_timeout(KEPT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if is_plain {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().context("the way out over HTTP")?;
        Ok(cell.get_or_init(|| client))
    }
}
