//! Signing in with an account elsewhere, while the browser is there.
//!
//! What the browser must bring back is in a cookie that it alone has, encrypted
//! for the platform alone: nothing is stored, and nobody can slip their own
//! sign-in under another's browser.

use runtime::{prelude::*, same_secret};

/// The sign-in wasn't begun in this browser, or too long ago.
pub const INVALID_AUTHORIZATION: Problem = Problem::invalid(
    "invalid-authorization",
    "This sign-in wasn't begun in this browser, or too long ago; begin it again.",
    "Este inicio de sesión no se empezó en este navegador o fue hace demasiado; empieza de nuevo.",
);
/// The provider doesn't vouch for anyone, or the account is shut.
pub const NOT_VOUCHED_FOR: Problem = Problem::new(
    contracts::Code::Unauthenticated,
    "not-vouched-for",
    "The provider doesn't say who you are, or that account doesn't let you in.",
    "El proveedor no dice quién eres, o esa cuenta no te da acceso.",
);
/// Whose account it is here must be shown.
pub const PROVE_ACCOUNT: Problem = Problem::conflict(
    "prove-account",
    "The provider doesn't know that the address is yours. Sign in by your password or a passkey with the link token, and the account there is linked.",
    "El proveedor no sabe que la dirección es tuya. Inicia sesión con tu contraseña o una llave de acceso y el token de enlace, y la cuenta de allí quedará enlazada.",
);

/// The name of the cookie.
const COOKIE: &str = "aula-authorization";
/// How long someone may take at the provider, in seconds.
const LASTS_SECONDS: i64 = 600;
const PURPOSE: &str = "authorization";

/// What a browser must bring back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authorization {
    pub state: String,
    pub nonce: String,
    /// What the code is redeemed with (PKCE).
    pub verifier: String,
    expires_at: Timestamp,
}

impl Authorization {
    /// A new one.
    pub fn new<C>(cx: &Context<C>) -> Self {
        let secret = || cx.random().secret();
        let expires_at = cx.now.plus_seconds(LASTS_SECONDS);
        Self { state: secret(), nonce: secret(), verifier: secret(), expires_at }
    }

    /// Sends the browser to the provider, with the cookie.
    pub fn send<C>(&self, cx: &Context<C>, provider: &str, location: String) -> Redirect {
        let json = serde_json::to_string(self).expect("cookies are JSON");
        let locked = cx.secret().lock(PURPOSE, provider, &json, cx.random());
        let secure = if cx.settings().public_url.starts_with("https://") { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE}={locked}; Path=/v1/identity-providers/{provider}; Max-Age={LASTS_SECONDS}; HttpOnly; SameSite=Lax{secure}"
        );
        Redirect { location, cookie: Some(cookie) }
    }

    /// What was begun in the browser that comes back with this state.
    pub fn of<C>(cx: &Context<C>, provider: &str, state: &str) -> Result<Self> {
        let read = || {
            let locked = cx.sender().cookie(COOKIE)?;
            let json = cx.secret().unlock(PURPOSE, provider, locked)?;
            serde_json::from_str::<Self>(&json).ok()
        };
        let is_it = |it: &Self| {
            same_secret(it.state.as_bytes(), state.as_bytes()) && cx.now < it.expires_at
        };
        Ok(read().filter(is_it).ok_or(INVALID_AUTHORIZATION)?)
    }
}
