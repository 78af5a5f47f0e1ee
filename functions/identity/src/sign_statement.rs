//! `POST /internal/identity/sign-statement`
//!
//! Statements in the platform's name: only here are they signed, with the keys
//! that access tokens are signed with.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::identity::{SignStatement, SignedStatement};
use runtime::prelude::*;
use serde_json::json;

/// What a statement is in its header. It keeps it apart from access tokens, as
/// its claims do: it has neither `aud` nor `sub`, and what is stated stands apart.
const TYPE: &str = "statement+jwt";

pub async fn run(cx: Context<System>, request: SignStatement) -> Result<SignedStatement> {
    let header = json!({ "alg": "RS256", "typ": TYPE, "kid": cx.keyring().key_id().await? });
    let claims = json!({
        "iss": cx.settings().public_url,
        "iat": cx.now.as_seconds(),
        "statement": request.statement,
    });
    let part = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let mut jws = format!("{}.{}", part(&header), part(&claims));
    let signature = cx.keyring().sign(jws.as_bytes()).await?;
    jws.push('.');
    jws.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature));
    Ok(SignedStatement { jws })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use testing::json;

    use crate::tests::app;

    const PATH: &str = "/internal/identity/sign-statement";

    async fn signed(app: &testing::App) -> String {
        let statement = json!({ "statement": { "sub": "ada", "roles": ["admin"], "exp": 9e9 } });
        let signed = app.platform().post(PATH, statement).await.ok();
        signed["jws"].as_str().expect("a JWS").to_owned()
    }

    #[tokio::test]
    async fn anyone_can_check_a_statement_with_the_published_keys() {
        let app = app();
        let jws = signed(&app).await;
        let kid = jsonwebtoken::decode_header(&jws).unwrap().kid.unwrap();
        let keys = app.anyone().get("/.well-known/jwks.json").await.ok();
        let keys = keys["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == kid.as_str()).unwrap();
        let (n, e) = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
        let key = DecodingKey::from_rsa_components(n, e).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<serde_json::Value>(&jws, &key, &validation);
        let claims = claims.unwrap().claims;
        assert_eq!(claims["statement"]["sub"], "ada");
        assert_eq!(claims["iss"], testing::App::PUBLIC_URL);
        assert_eq!(claims["iat"], app.now().as_seconds());
    }

    #[tokio::test]
    async fn a_statement_opens_nothing_whatever_it_states() {
        let app = app();
        let jws = signed(&app).await;
        let answer = app.bearer(&jws).get("/v1/users/me").await;
        answer.is(runtime::problems::UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn nobody_outside_has_anything_signed() {
        let app = app();
        let statement = json!({ "statement": {} });
        app.admin("root").post(PATH, statement).await.is(runtime::problems::NO_SUCH_PATH);
    }
}
