//! Someone who uses the platform as everybody does: by its API.

use anyhow::{Context as _, Result, bail};
use axum::{Router, body::Body, http::Request};
use serde_json::Value;
use tower::ServiceExt as _;

use super::catalog::Person;

/// Someone at the platform's door, who may have signed in.
#[derive(Clone, Debug)]
pub struct Visitor {
    platform: Router,
    account: Option<Account>,
}

/// Who someone is once they have signed in.
#[derive(Clone, Debug)]
struct Account {
    user_id: String,
    token: String,
}

/// More than any answer here.
const ANSWER_MOST: usize = 1 << 20;

impl Visitor {
    /// Someone who isn't signed in.
    pub const fn new(platform: Router) -> Self {
        Self { platform, account: None }
    }

    /// Registers a person, whose address is then to be verified.
    pub async fn register(&self, person: &Person, password: &str, role: &str) -> Result<()> {
        let account = serde_json::json!({
            "email": person.email(),
            "password": password,
            "name": person.name,
            "locale": person.locale,
            "time_zone": person.time_zone,
            "roles": [role],
        });
        self.post("/v1/users", &account).await?;
        Ok(())
    }

    /// Shows that an address is one's own, by the code that was mailed to it.
    pub async fn verify(&self, email: &str, code: &str) -> Result<()> {
        let code = serde_json::json!({ "email": email, "purpose": "verify_email", "code": code });
        self.post("/v1/codes/redeem", &code).await?;
        Ok(())
    }

    /// The same visitor, signed in.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Self> {
        let credentials = serde_json::json!({ "email": email, "password": password });
        let session = self.post("/v1/sessions", &credentials).await?;
        let account = Account {
            user_id: text(&session["user"]["id"])?,
            token: text(&session["access_token"])?,
        };
        Ok(Self { platform: self.platform.clone(), account: Some(account) })
    }

    /// Who they are, if they have signed in.
    pub fn user_id(&self) -> &str {
        self.account.as_ref().map_or("", |account| &account.user_id)
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, None, None).await
    }

    /// Makes or does something.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, None, Some(body)).await
    }

    /// Makes or does something that may happen only once under this key.
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, Some(("idempotency-key", key)), Some(body)).await
    }

    /// Changes something that was seen at a version.
    pub async fn patch(&self, path: &str, etag: &str, body: &Value) -> Result<Value> {
        self.ask("PATCH", path, Some(("if-match", etag)), Some(body)).await
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(account) = &self.account {
            request = request.header("authorization", format!("Bearer {}", account.token));
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let content = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.platform.clone().oneshot(request.body(content)?).await?;
        let status = answer.status();
        let content = axum::body::to_bytes(answer.into_body(), ANSWER_MOST).await?;
        if !status.is_success() {
            bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&content));
        }
        Ok(if content.is_empty() { Value::Null } else { serde_json::from_slice(&content)? })
    }
}

/// A text in an answer.
pub fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("the answer lacks something")?.to_owned())
}
