//! The metadata server: it knows who we are, and makes the tokens that say so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::Clock;
use serde::Deserialize;

use crate::Http;

/// How long before its end a token is replaced, in seconds.
const EARLY: i64 = 300;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(3);

/// The metadata server of the machine.
pub struct Metadata {
    base: String,
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    tokens: Mutex<HashMap<String, Token>>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Token {
    text: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: i64,
}

#[derive(Deserialize)]
struct Expiry {
    exp: i64,
}

impl Metadata {
    /// The server at a host, which is asked when a token is needed.
    pub fn at(host: &str, http: Arc<Http>, clock: Arc<dyn Clock>) -> Self {
        let base = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default");
        let (tokens, asking) = Default::default();
        Self { base, http, clock, tokens, asking }
    }

    /// A token that says to an audience who we are.
    pub async fn id_token(&self, audience: &str) -> anyhow::Result<String> {
        let encoded = utf8_percent_encode(audience, NON_ALPHANUMERIC);
        let path = format!("/identity?audience={encoded}&format=full");
        let read = |body: &str, _| {
            let token = body.trim().to_owned();
            let payload = token.split('.').nth(1).context("an ID token has three parts")?;
            let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('='))?;
            let Expiry { exp } = serde_json::from_slice(&payload)?;
            let expires_at = Timestamp::from_millis(exp.saturating_mul(1000));
            Ok(Token { text: token, expires_at })
        };
        self.token(&path, read).await.with_context(|| format!("an ID token for {audience}"))
    }

    /// A token for Google's own APIs.
    pub async fn access_token(&self) -> anyhow::Result<String> {
        self.access_token_at("/token").await
    }

    /// A token for Google's own APIs, with the rights of one scope.
    pub async fn access_token_for(&self, scope: &str) -> anyhow::Result<String> {
        let encoded = utf8_percent_encode(scope, NON_ALPHANUMERIC);
        self.access_token_at(&format!("/token?scopes={encoded}")).await
    }

    async fn access_token_at(&self, path: &str) -> anyhow::Result<String> {
        let read = |body: &str, now: Timestamp| {
            let token: AccessToken = serde_json::from_str(body)?;
            let expires_at = now.plus_seconds(token.expires_in);
            Ok(Token { text: token.access_token, expires_at })
        };
        self.token(path, read).await.context("an access token")
    }

    /// A token that is kept until shortly before its end. While another can't
    /// be had, the one before serves to its very end.
    async fn token(
        &self,
        path: &str,
        read: impl Fn(&str, Timestamp) -> anyhow::Result<Token>,
    ) -> anyhow::Result<String> {
        let is_good = |it: &Token| it.expires_at > self.clock.now().plus_seconds(EARLY);
        if let Some(token) = self.kept(path).filter(is_good) {
            return Ok(token.text);
        }
        let _asking = self.asking.lock().await;
        let kept = self.kept(path);
        if let Some(token) = kept.clone().filter(is_good) {
            return Ok(token.text);
        }
        let now = self.clock.now();
        match self.ask(path).await.and_then(|body| read(&body, now)) {
            Ok(token) => {
                let mut tokens = self.tokens.lock().expect("no holder panics");
                tokens.insert(path.to_owned(), token.clone());
                Ok(token.text)
            }
            Err(error) => match kept.filter(|it| it.expires_at > now) {
                Some(token) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "no new token could be had; the old one serves");
                    Ok(token.text)
                }
                None => Err(error),
            },
        }
    }

    fn kept(&self, path: &str) -> Option<Token> {
        self.tokens.lock().expect("no holder panics").get(path).cloned()
    }

    async fn ask(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.base);
        let request = self.http.client(&url)?.get(&url).timeout(WITHIN);
        let response = request.header("metadata-flavor", "Google").send().await?;
        let status = response.status();
        ensure!(status.is_success(), "the metadata server answered {status}");
        Ok(response.text().await?)
    }
}
