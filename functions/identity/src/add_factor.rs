//! `POST /v1/users/{user_id}/factors`

use contracts::identity::FactorKind;
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    factor::{self, FactorName, Factors, TOO_MANY_FACTORS},
    fresh::{REAUTHENTICATION_REQUIRED, fresh},
    passkey::{ES256, RS256, Requirement, Site},
    totp,
};

/// Begin to add a second factor.
///
/// For an authenticator app put the secret into it, by hand or by a QR code of
/// the address, and verify the factor with a code of the app. For a passkey have
/// the browser make one as `passkey` says, without attestation, and verify the
/// factor with what it gives: a passkey signs in by itself too, without a
/// password, where the device keeps it with the account that it's for. Only then it
/// counts; there are 15 minutes for it. It takes someone who has shown within five minutes that it's
/// them. The answer holds a secret, so it's never kept, whatever the `Idempotency-Key`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddFactor {
    /// Whose; `me` for your own, and there are no others.
    user_id: UserId,
    /// What it is; an authenticator app unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<NewKind>,
    /// What you call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<FactorName>,
}

/// What can be added.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NewFactorKind")]
enum NewKind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// A passkey (`WebAuthn`).
    Passkey,
}

/// What a browser makes a passkey for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewPasskey {
    /// `challenge`, base64url.
    challenge: String,
    /// `rp.id`.
    relying_party_id: String,
    /// `user.id`, as the bytes of this text.
    user_handle: String,
    /// `pubKeyCredParams`: the algorithms that can be checked.
    algorithms: Vec<i32>,
    /// `authenticatorSelection.residentKey`: a passkey that its device finds by itself, without
    /// being told whose, signs in alone.
    resident_key: Requirement,
    /// `authenticatorSelection.userVerification`.
    user_verification: Requirement,
    /// `excludeCredentials`: the ids of the passkeys that you have, base64url, of which there are
    /// to be no second ones on the same device.
    exclude_credentials: Vec<String>,
}

/// A factor that is to be verified.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct FactorBegun {
    /// The factor's id.
    id: String,
    /// What it is.
    kind: FactorKind,
    /// What to put into the app, in Base32. It's told this one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The same as an address, for a QR code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    otpauth_url: Option<String>,
    /// What the browser makes the passkey for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passkey: Option<NewPasskey>,
    /// Until when it can be verified.
    expires_at: Timestamp,
}

impl Endpoint for AddFactor {
    const OPERATION: &'static str = "identity.add_factor";
    const ROUTE: Route = Route::create("/v1/users/{user_id}/factors");
    const PROBLEMS: &'static [Problem] = &[REAUTHENTICATION_REQUIRED, TOO_MANY_FACTORS];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const RATE: Rate = Rate::Strict;
    type Response = FactorBegun;
}

pub async fn run(cx: Context<User>, request: AddFactor) -> Result<FactorBegun> {
    if cx.caller.resolve(&request.user_id)? != cx.caller.id {
        return Err(FORBIDDEN.into());
    }
    let (person, _) = fresh(&cx, &cx.caller).await?;
    let mut factors = Factors::of(&cx, &person.id).await?;

    let (kind, usual) = match request.kind {
        None | Some(NewKind::Totp) => (FactorKind::Totp, "app"),
        Some(NewKind::Passkey) => (FactorKind::Passkey, "passkey"),
    };
    let name = request.name.map_or_else(|| FactorName::new(usual), Ok);
    let name = name.map_err(anyhow::Error::msg)?;
    let begun = factors.begin(kind, name, cx.random(), cx.secret(), cx.now)?;
    let site = Site::of(&cx.settings().public_url);
    let otpauth_url =
        begun.secret.as_ref().map(|it| totp::address(it, site.host(), person.email.as_str()));
    let passkey = (kind == FactorKind::Passkey).then(|| NewPasskey {
        challenge: factor::creation_challenge(&begun.id, cx.secret()),
        relying_party_id: site.host().to_owned(),
        user_handle: person.id.to_string(),
        algorithms: vec![ES256, RS256],
        resident_key: Requirement::Required,
        user_verification: Requirement::Required,
        exclude_credentials: factors.credential_ids(),
    });
    let answer = FactorBegun {
        id: begun.id,
        kind,
        secret: begun.secret,
        otpauth_url,
        passkey,
        expires_at: cx.now.plus_minutes(15),
    };
    cx.answer(Changes::new().save(&factors), answer).await
}

#[cfg(test)]
mod tests {
    use runtime::problems::UNAUTHENTICATED;
    use testing::json;

    use super::*;
    use crate::{
        factor::WRONG_FACTOR,
        passkey::software::Authenticator,
        tests::{app, enter, holder, member},
    };

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn a_factor_is_begun_and_does_not_count_yet() {
        let app = app();
        member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        let begun = holder(&app, &ada).post("/v1/users/me/factors", json!({})).await;
        assert_eq!((begun.status, begun.header("cache-control")), (201, "no-store"));
        let url = begun.body["otpauth_url"].as_str().unwrap();
        assert!(url.starts_with("otpauth://totp/aula.example:ada%40example.org?secret="), "{url}");
        enter(&app, ADA).await;
        let me = holder(&app, &ada).get("/v1/users/me").await.ok();
        assert_eq!(me["factors"], json!([]));
    }

    #[tokio::test]
    async fn a_passkey_is_made_to_be_found_without_a_name_and_not_twice_in_one_place() {
        let app = app();
        let id = member(&app, ADA).await;
        let session = enter(&app, ADA).await;
        let ada = holder(&app, &session);
        let kind = json!({ "kind": "passkey" });
        let begun = ada.post("/v1/users/me/factors", &kind).await.ok();
        let options = &begun["passkey"];
        assert_eq!(options["user_handle"], json!(id));
        assert_eq!(options["resident_key"], "required");
        assert_eq!(options["user_verification"], "required");
        assert_eq!(options["exclude_credentials"], json!([]));
        let mut device = Authenticator::new();
        let made = device.make(options["challenge"].as_str().unwrap());
        let uri = format!("/v1/users/me/factors/{}/verify", begun["id"].as_str().unwrap());
        ada.post(&uri, json!({ "passkey": made })).await.ok();

        let second = ada.post("/v1/users/me/factors", &kind).await.ok();
        assert_eq!(second["passkey"]["exclude_credentials"], json!([made["id"]]));
        // Whoever doesn't heed that gets no second one either.
        let again = device.make(second["passkey"]["challenge"].as_str().unwrap());
        let uri = format!("/v1/users/me/factors/{}/verify", second["id"].as_str().unwrap());
        ada.post(&uri, json!({ "passkey": again })).await.is(WRONG_FACTOR);
    }

    #[tokio::test]
    async fn a_factor_is_begun_by_who_has_just_shown_that_it_is_them() {
        let app = app();
        let id = member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        let uri = format!("/v1/users/{id}/factors");
        app.anyone().post(&uri, json!({})).await.is(UNAUTHENTICATED);
        app.user("eve").post(&uri, json!({})).await.is(FORBIDDEN);
        app.admin("root").post(&uri, json!({})).await.is(FORBIDDEN);
        app.user(id.as_str()).post(&uri, json!({})).await.is(REAUTHENTICATION_REQUIRED);
        app.advance_minutes(6);
        holder(&app, &ada).post(&uri, json!({})).await.is(REAUTHENTICATION_REQUIRED);
    }

    #[tokio::test]
    async fn one_has_ten_factors_at_most() {
        let app = app();
        member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        for _ in 0..10 {
            holder(&app, &ada).post("/v1/users/me/factors", json!({})).await.ok();
        }
        let refused = holder(&app, &ada).post("/v1/users/me/factors", json!({})).await;
        refused.is(TOO_MANY_FACTORS);
    }

    #[tokio::test]
    async fn bad_fields_are_named() {
        let app = app();
        let ada = app.user("ada");
        let cases = [
            (json!({ "kind": "sms" }), "kind", "unknown-value"),
            (json!({ "name": "" }), "name", "empty"),
            (json!({ "secret": "AAAA" }), "secret", "unknown-field"),
        ];
        for (body, field, reason) in cases {
            ada.post("/v1/users/me/factors", body).await.blames(field, reason);
        }
    }
}
