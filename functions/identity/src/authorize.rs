//! `GET /v1/identity-providers/{provider}/authorize`

use runtime::prelude::*;

use crate::{
    authorization::Authorization,
    provider::{self, PROVIDER_NOT_FOUND},
};

/// Begin to sign in with an account elsewhere, such as Google's.
///
/// Open it in the browser: it goes on to the provider, with a cookie that binds
/// what follows to this browser, and comes back to `…/callback` within ten minutes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// Which provider, by its name in the platform's settings.
    provider: Line<1, 64>,
}

impl Endpoint for Authorize {
    const OPERATION: &'static str = "identity.authorize";
    const ROUTE: Route = Route::redirect("/v1/identity-providers/{provider}/authorize");
    const PROBLEMS: &'static [Problem] = &[PROVIDER_NOT_FOUND];
    const RATE: Rate = Rate::Strict;
    type Response = Redirect;
}

pub async fn run(cx: Context<Anyone>, request: Authorize) -> Result<Redirect> {
    let provider = provider::find(&cx, &request.provider)?;
    let begun = Authorization::new(&cx);
    let location = provider.authorization_url(&begun).await?;
    Ok(begun.send(&cx, &request.provider, location))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app;

    #[tokio::test]
    async fn only_known_providers_are_gone_to() {
        let app = app();
        let anyone = app.anyone();
        let path = "/v1/identity-providers/google/authorize";
        anyone.get(path).await.is(PROVIDER_NOT_FOUND);
        let with_more = format!("{path}?redirect_uri=https://evil.example");
        anyone.get(&with_more).await.blames("redirect_uri", "unknown-field");
    }
}
