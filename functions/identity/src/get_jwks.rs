//! `GET /.well-known/jwks.json`

use runtime::{prelude::*, token::PublicKey};

/// Get the keys that access tokens are checked with (RFC 7517).
///
/// They change rarely. A key that's new stands here before it signs, and one
/// that signs no more as long as its tokens may be met.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetJwks {}

/// The public keys of the platform.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// A public key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Jwk {
    /// Its family: `RSA`.
    kty: String,
    /// What it's for: signatures, `sig`.
    #[serde(rename = "use")]
    used_for: String,
    /// What it signs with: `RS256`.
    alg: String,
    /// Its id: a token's header names it.
    kid: String,
    /// The modulus, base64url.
    n: String,
    /// The exponent, base64url.
    e: String,
}

impl From<PublicKey> for Jwk {
    fn from(PublicKey { kid, n, e }: PublicKey) -> Self {
        Self { kty: "RSA".into(), used_for: "sig".into(), alg: "RS256".into(), kid, n, e }
    }
}

impl Endpoint for GetJwks {
    const OPERATION: &'static str = "identity.get_jwks";
    const ROUTE: Route = Route::get("/.well-known/jwks.json");
    type Response = Jwks;
}

pub async fn run(cx: Context<Anyone>, _: GetJwks) -> Result<Jwks> {
    let keys = cx.keyring().public_keys().await?;
    Ok(Jwks { keys: keys.into_iter().map(Jwk::from).collect() })
}

#[cfg(test)]
mod tests {
    use testing::json;

    use crate::tests::app;

    #[tokio::test]
    async fn anyone_can_check_tokens() {
        let app = app();
        let keys = app.anyone().get("/.well-known/jwks.json").await.ok();
        let public = app.context().keyring().public_keys().await.unwrap();
        let expected = public.iter().map(|it| {
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": it.kid, "n": it.n, "e": it.e,
            })
        });
        assert_eq!(keys, json!({ "keys": expected.collect::<Vec<_>>() }));
        assert!(!public.is_empty());
        app.user("ada").get("/.well-known/jwks.json").await.ok();
        let refused = app.anyone().get("/.well-known/jwks.json?kid=1").await;
        refused.blames("kid", "unknown-field");
    }
}
