//! A provider of identities, such as Google: how it's asked who someone is.
//!
//! Whatever the protocol, the browser is sent there with a code challenge (PKCE)
//! and brings back a code, which only the platform can turn into who it is. An
//! `OpenID` provider is found by its discovery document, and what it says is
//! signed; GitHub is asked by its API.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use aws_lc_rs::digest;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::{IdentityProvider, ProviderProtocol, prelude::*, same_secret};
use serde_json::Value;

use crate::authorization::Authorization;

/// There's no such provider.
pub const PROVIDER_NOT_FOUND: Problem = Problem::not_found(
    "provider-not-found",
    "Nobody signs in here with that provider.",
    "Aquí no se inicia sesión con ese proveedor.",
);

/// Someone's account elsewhere, as its provider vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Who vouches.
    pub issuer: String,
    /// What the account is called there.
    pub subject: String,
    /// The address that the provider knows to be theirs.
    pub verified_email: Option<String>,
    /// What they are called there.
    pub name: Option<String>,
}

/// The provider with this name.
pub fn find<'a, C>(cx: &'a Context<C>, name: &str) -> Result<Provider<'a>> {
    let found = cx.settings().identity_providers.iter().find(|it| it.name == name);
    let callback = format!("{}/v1/identity-providers/{name}/callback", cx.settings().public_url);
    Ok(Provider { settings: found.ok_or(PROVIDER_NOT_FOUND)?, callback, now: cx.now })
}

/// A provider, and where it sends people back to.
pub struct Provider<'a> {
    settings: &'a IdentityProvider,
    callback: String,
    now: Timestamp,
}

/// Where things are at an `OpenID` provider, as it says.
#[derive(Clone, Debug, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a provider gives for a code.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// What is said of someone by an `OpenID` provider.
#[derive(Debug, Default, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Value>,
    #[serde(default)]
    name: Option<String>,
}

/// How far a provider's clock may be off, in seconds.
const CLOCK_OFF: i64 = 60;
/// How long it's remembered where things are at a provider, in minutes.
const DISCOVERED_MINUTES: i64 = 10;
/// The longest answer of a provider that is read, in bytes.
const ANSWER_MOST: usize = 256 * 1024;

impl Provider<'_> {
    /// What people call it.
    pub fn title(&self) -> &str {
        &self.settings.title
    }

    /// Where a browser is sent to begin.
    pub async fn authorization_url(&self, asked: &Authorization) -> Result<String> {
        let (endpoint, scope) = match self.settings.protocol {
            ProviderProtocol::Openid => {
                (self.discover().await?.authorization_endpoint, "openid email profile")
            }
            ProviderProtocol::Github => {
                (format!("{}/login/oauth/authorize", self.settings.issuer), "read:user user:email")
            }
        };
        let hash = digest::digest(&digest::SHA256, asked.verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
        let query = encoded(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.callback),
            ("scope", scope),
            ("state", &asked.state),
            ("nonce", &asked.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{query}"))
    }

    /// Who it is that brings this code; nothing if the provider doesn't take it.
    pub async fn who_brings(&self, code: &str, asked: &Authorization) -> Result<Option<Vouched>> {
        match self.settings.protocol {
            ProviderProtocol::Openid => self.openid(code, asked).await,
            ProviderProtocol::Github => self.github(code, asked).await,
        }
    }

    async fn openid(&self, code: &str, asked: &Authorization) -> Result<Option<Vouched>> {
        let found = self.discover().await?;
        let methods = found.token_endpoint_auth_methods_supported.as_ref();
        let in_body = methods.is_some_and(|it| it.iter().any(|it| it == "client_secret_post"));
        let given = self.redeem(&found.token_endpoint, code, asked, in_body).await?;
        let Some(Given { id_token: Some(id_token), access_token }) = given else {
            return Ok(None);
        };
        let keys: JwkSet = get(&found.jwks_uri, None).await?;
        let Some(mut claims) = self.read(&id_token, &keys, asked) else { return Ok(None) };
        if claims.email.is_none()
            && let Some((url, token)) = found.userinfo_endpoint.as_ref().zip(access_token)
        {
            let told: Claims = get(url, Some(&token)).await?;
            // What is told of somebody else is of no use (OpenID Connect Core, §5.3.2).
            if told.sub == claims.sub {
                claims = Claims {
                    email: told.email,
                    email_verified: told.email_verified,
                    name: claims.name.or(told.name),
                    ..claims
                };
            }
        }
        let is_verified = match &claims.email_verified {
            Some(Value::Bool(is_verified)) => *is_verified,
            // Some write it as a text.
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        Ok(Some(Vouched {
            issuer: found.issuer,
            subject: claims.sub,
            verified_email: claims.email.filter(|_| is_verified),
            name: claims.name,
        }))
    }

    /// What a token says, if it was signed by the provider, for us, just now, and for this browser.
    fn read(&self, token: &str, keys: &JwkSet, asked: &Authorization) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return None;
        }
        let key = match &header.kid {
            Some(kid) => keys.find(kid)?,
            None => keys.keys.first().filter(|_| keys.keys.len() == 1)?,
        };
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.client_id]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The times are checked against the platform's clock, not the machine's.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).ok()?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
        let now = self.now.as_seconds();
        let is_now = claims.exp > now - CLOCK_OFF && claims.iat <= now + CLOCK_OFF;
        let nonce = claims.nonce.as_deref().unwrap_or_default();
        let is_of_browser = same_secret(nonce.as_bytes(), asked.nonce.as_bytes());
        let is_for_us = claims.azp.as_ref().is_none_or(|it| *it == self.settings.client_id);
        Some(claims).filter(|it| is_now && is_of_browser && is_for_us && !it.sub.is_empty())
    }

    async fn github(&self, code: &str, asked: &Authorization) -> Result<Option<Vouched>> {
        #[derive(Deserialize)]
        struct Account {
            id: u64,
            login: String,
            name: Option<String>,
        }
        #[derive(Deserialize)]
        struct Address {
            email: String,
            primary: bool,
            verified: bool,
        }
        let issuer = &self.settings.issuer;
        let token_url = format!("{issuer}/login/oauth/access_token");
        let given = self.redeem(&token_url, code, asked, true).await?;
        let Some(token) = given.and_then(|it| it.access_token) else { return Ok(None) };
        let api = match issuer.as_str() {
            "https://github.com" => "https://api.github.com".to_owned(),
            // GitHub Enterprise Server has it under its own name.
            own => format!("{own}/api/v3"),
        };
        let account: Account = get(&format!("{api}/user"), Some(&token)).await?;
        let addresses: Vec<Address> = get(&format!("{api}/user/emails"), Some(&token)).await?;
        let verified = addresses.into_iter().find(|it| it.primary && it.verified);
        Ok(Some(Vouched {
            issuer: issuer.clone(),
            subject: account.id.to_string(),
            verified_email: verified.map(|it| it.email),
            name: account.name.or(Some(account.login)),
        }))
    }

    /// What the provider gives for a code; nothing if it doesn't take it.
    async fn redeem(
        &self,
        url: &str,
        code: &str,
        asked: &Authorization,
        secret_in_body: bool,
    ) -> Result<Option<Given>> {
        let IdentityProvider { client_id, client_secret, .. } = self.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback),
            ("client_id", client_id),
            ("code_verifier", &asked.verifier),
        ];
        let mut request = client(url)?
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        if secret_in_body {
            form.push(("client_secret", client_secret));
        } else {
            // RFC 6749, §2.3.1: both are encoded before they are joined.
            let both = format!("{}:{}", escaped(client_id), escaped(client_secret));
            let both = BASE64_STANDARD.encode(both);
            request = request.header("authorization", format!("Basic {both}"));
        }
        let response = request.body(encoded(&form)).send().await;
        let response = response.map_err(|error| unreachable(url, &error.into()))?;
        // A code that is wrong or was used before is the browser's doing.
        if response.status().is_client_error() {
            return Ok(None);
        }
        let given = answer(response).await.map_err(|error| unreachable(url, &error))?;
        Ok(Some(given))
    }

    /// Where things are, as the provider says, which says so itself.
    async fn discover(&self) -> Result<Discovered> {
        static KNOWN: LazyLock<Mutex<HashMap<String, (Timestamp, Discovered)>>> =
            LazyLock::new(Mutex::default);
        let issuer = &self.settings.issuer;
        let known = KNOWN.lock().expect("no holder panics").get(issuer).cloned();
        if let Some((at, found)) = known
            && (at..at.plus_minutes(DISCOVERED_MINUTES)).contains(&self.now)
        {
            return Ok(found);
        }
        let base = issuer.trim_end_matches('/');
        let found: Discovered =
            get(&format!("{base}/.well-known/openid-configuration"), None).await?;
        if found.issuer != *issuer {
            return Err(anyhow::anyhow!("{issuer} says that it's {}", found.issuer).into());
        }
        let both = (self.now, found.clone());
        KNOWN.lock().expect("no holder panics").insert(issuer.clone(), both);
        Ok(found)
    }
}

async fn get<T: serde::de::DeserializeOwned>(url: &str, token: Option<&str>) -> Result<T> {
    let mut request = client(url)?.get(url).header("accept", "application/json");
    // GitHub answers nobody who doesn't say what they are.
    request = request.header("user-agent", "aula");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let asked = async { answer(request.send().await?).await };
    asked.await.map_err(|error| unreachable(url, &error))
}

/// What stands at an address.
pub async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let request = client(url).map_err(anyhow::Error::from)?.get(url);
    let request = request.header("accept", "application/json").header("user-agent", "aula");
    body(request.send().await?).await
}

async fn answer<T: serde::de::DeserializeOwned>(response: reqwest::Response) -> anyhow::Result<T> {
    serde_json::from_slice(&body(response).await?).context("its answer can't be read")
}

async fn body(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    ensure!(response.status().is_success(), "it answered {}", response.status());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(body.len() + chunk.len() <= ANSWER_MOST, "its answer is too long");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The provider's fault, or the way's: whoever signs in may try again.
fn unreachable(url: &str, error: &anyhow::Error) -> Error {
    tracing::warn!(url, error = format!("{error:#}"), "an identity provider can't be asked");
    Error::Unavailable(5)
}

/// The way out, made when it's first needed.
fn client(url: &str) -> Result<&'static reqwest::Client> {
    static PLAIN: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    static SECURED: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    let is_plain = url.starts_with("http://");
    let cell = if is_plain { &PLAIN } else { &SECURED };
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(8))
        .redirect(reqwest::redirect::Policy::none());
    if is_plain {
        // It's on this machine, and there may be no certificates to read.
        builder = builder.tls_certs_only([]).no_proxy();
    }
    let client = builder.build().context("the way out over HTTP")?;
    Ok(cell.get_or_init(|| client))
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}
