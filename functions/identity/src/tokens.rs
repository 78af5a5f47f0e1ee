//! What a session's holder gets: an access token to show, and a refresh token
//! for the next one.

use runtime::{
    prelude::*,
    token::{ACCESS_TOKEN_SECONDS, Claims, sign},
};

use crate::{
    person::{Person, Profile},
    session::RefreshToken,
};

/// A person is signed in.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// Send it with each request, as `Authorization: Bearer …`. It's a JWT that
    /// anyone can check with the keys at `/.well-known/jwks.json`.
    access_token: String,
    /// How the access token is sent.
    token_type: TokenType,
    /// In how many seconds the access token expires.
    expires_in: i64,
    /// Gives the next access token, and another refresh token; good once. Keep it secret.
    refresh_token: String,
    /// Keep it on this device and send it when you sign in here again: it shows that the device is
    /// known, and opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    /// Who is signed in.
    user: Profile,
}

/// How an access token is sent.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum TokenType {
    /// In the `Authorization` header, after this word.
    Bearer,
}

impl SignedIn {
    /// Signs an access token for a person in the session of this refresh token.
    pub async fn new<C: Sync>(
        cx: &Context<C>,
        person: &Person,
        token: &RefreshToken,
        device_token: Option<String>,
    ) -> Result<Self> {
        let expires_at = cx.now.as_seconds() + ACCESS_TOKEN_SECONDS;
        Ok(Self {
            access_token: access_token(cx, person, token.session_id(), expires_at).await?,
            token_type: TokenType::Bearer,
            expires_in: ACCESS_TOKEN_SECONDS,
            refresh_token: token.write(cx.secret()),
            device_token,
            user: person.profile(),
        })
    }
}

/// An access token for a person in a session of theirs, which expires so many
/// seconds after 1970.
pub async fn access_token<C: Sync>(
    cx: &Context<C>,
    person: &Person,
    session_id: &str,
    expires_at: i64,
) -> Result<String> {
    let platform = &cx.settings().public_url;
    let claims = Claims {
        iss: platform.clone(),
        aud: platform.clone(),
        sub: person.id.clone(),
        roles: person.roles.clone(),
        sid: session_id.to_owned(),
        iat: cx.now.as_seconds(),
        exp: expires_at,
    };
    Ok(sign(cx.keyring(), &claims).await?)
}
