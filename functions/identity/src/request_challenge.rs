//! `POST /v1/passkey-challenges`

use runtime::prelude::*;

use crate::{
    challenge::Challenge,
    passkey::{Requirement, Site},
};

/// Begin to sign in by a passkey alone.
///
/// Have the browser ask for a passkey as this says (`navigator.credentials.get`),
/// and send what it gives to `POST /v1/sessions` with the `pending_token`. Nobody
/// says who they are before that: the answer is the same whoever asks, and tells
/// nothing of who has an account or a passkey. It can be answered once, rightly or
/// not, within five minutes. It holds a secret, so it's never kept, whatever the
/// `Idempotency-Key`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestChallenge {}

/// What a browser asks for a passkey with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PasskeyChallenge {
    /// `challenge`, base64url.
    challenge: String,
    /// `rpId`.
    relying_party_id: String,
    /// `allowCredentials`: always empty, so that the device offers whatever passkeys it has for
    /// this platform.
    #[schemars(length(max = 0))]
    allow_credentials: Vec<String>,
    /// `userVerification`.
    user_verification: Requirement,
    /// Send it with the answer. Keep it from others until then.
    pending_token: String,
    /// Until when it can be answered.
    expires_at: Timestamp,
}

impl Endpoint for RequestChallenge {
    const OPERATION: &'static str = "identity.request_challenge";
    const ROUTE: Route = Route::create("/v1/passkey-challenges");
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    type Response = PasskeyChallenge;
}

pub async fn run(cx: Context<Anyone>, _: RequestChallenge) -> Result<PasskeyChallenge> {
    let challenge = Challenge::new(&cx);
    Ok(PasskeyChallenge {
        challenge: challenge.text(cx.secret()),
        relying_party_id: Site::of(&cx.settings().public_url).host().to_owned(),
        allow_credentials: Vec::new(),
        user_verification: Requirement::Required,
        pending_token: challenge.token(&cx),
        expires_at: challenge.expires_at(),
    })
}

#[cfg(test)]
mod tests {
    use testing::json;

    use crate::tests::app;

    const URI: &str = "/v1/passkey-challenges";

    #[tokio::test]
    async fn a_browser_is_told_what_to_ask_for_and_nothing_is_read_or_kept() {
        let app = app();
        let before = (app.commits(), app.reads());
        let answer = app.anyone().post(URI, json!({})).await;
        let body = answer.ok();
        assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
        assert_eq!(body["relying_party_id"], "aula.example");
        assert_eq!(
            (&body["allow_credentials"], &body["user_verification"]),
            (&json!([]), &json!("required"))
        );
        assert_eq!(body["expires_at"], json!(app.now().plus_minutes(5)));
        assert!(body["pending_token"].as_str().unwrap().len() <= 200);
        assert_eq!((app.commits(), app.reads()), before);
    }

    #[tokio::test]
    async fn each_challenge_is_another_whatever_its_key_and_its_token_does_not_tell_it() {
        let app = app();
        let one = app.anyone().post_with_key(URI, json!({}), "k1").await.ok();
        let other = app.anyone().post_with_key(URI, json!({}), "k1").await.ok();
        assert_ne!(one["challenge"], other["challenge"]);
        assert_ne!(one["pending_token"], other["pending_token"]);
        let challenge = one["challenge"].as_str().unwrap();
        assert!(!one["pending_token"].as_str().unwrap().contains(challenge));
    }

    #[tokio::test]
    async fn nobody_is_named() {
        let app = app();
        let named = app.anyone().post(URI, json!({ "email": "ada@example.org" })).await;
        named.blames("email", "unknown-field");
    }
}
