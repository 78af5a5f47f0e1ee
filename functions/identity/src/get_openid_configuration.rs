//! `GET /.well-known/openid-configuration`

use runtime::prelude::*;

/// Get where those who check access tokens find what they need (`OpenID` Connect Discovery).
///
/// The platform issues tokens to its own people only. It has no authorization
/// endpoint for other sites to send people to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetOpenidConfiguration {}

/// What those who check access tokens need.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OpenidConfiguration {
    /// Who issues the tokens: their `iss` and `aud`.
    issuer: String,
    /// Where the keys are.
    jwks_uri: String,
    /// What the tokens are signed with.
    id_token_signing_alg_values_supported: Vec<String>,
    /// Whose ids they hold: everyone gets to see the same one.
    subject_types_supported: Vec<String>,
    /// Which answers an authorization endpoint gives; there's none.
    response_types_supported: Vec<String>,
    /// What the tokens say.
    claims_supported: Vec<String>,
}

impl Endpoint for GetOpenidConfiguration {
    const OPERATION: &'static str = "identity.get_openid_configuration";
    const ROUTE: Route = Route::get("/.well-known/openid-configuration");
    type Response = OpenidConfiguration;
}

pub async fn run(cx: Context<Anyone>, _: GetOpenidConfiguration) -> Result<OpenidConfiguration> {
    let issuer = cx.settings().public_url.clone();
    let texts = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect();
    Ok(OpenidConfiguration {
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        issuer,
        id_token_signing_alg_values_supported: texts(&["RS256"]),
        subject_types_supported: texts(&["public"]),
        response_types_supported: Vec::new(),
        claims_supported: texts(&["iss", "aud", "sub", "roles", "sid", "iat", "exp"]),
    })
}

#[cfg(test)]
mod tests {
    use testing::App;

    use crate::tests::app;

    #[tokio::test]
    async fn the_issuer_is_the_platform_and_its_keys_are_there() {
        let app = app();
        let found = app.anyone().get("/.well-known/openid-configuration").await.ok();
        assert_eq!(found["issuer"], App::PUBLIC_URL);
        let keys = found["jwks_uri"].as_str().unwrap().strip_prefix(App::PUBLIC_URL).unwrap();
        app.anyone().get(keys).await.ok();
        app.user("ada").get("/.well-known/openid-configuration").await.ok();
    }
}
