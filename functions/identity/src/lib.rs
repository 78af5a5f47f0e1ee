//! Identity: who people are, how they show it, and what they may do.
//!
//! Someone registers with an address and a password, and gets a one-time code
//! by mail; redeeming it shows that the address is theirs, and from then on
//! they can sign in. That opens a session: an access token, which every
//! function of the platform checks by itself, and a refresh token for the
//! next one. Whoever forgets their password gets a code to choose another, and
//! all their sessions end. Admins decide who teaches, and who is shut out.
//!
//! Nobody learns here who has an account: whatever is asked of an address, the
//! answer, its status and its time are the same for every address.

mod account;
mod code;
mod email;
mod end_session;
mod ending;
mod get_contact;
mod get_jwks;
mod get_openid_configuration;
mod get_user;
mod list_sessions;
pub mod password;
mod person;
mod redeem_code;
mod refresh_session;
mod register;
mod request_code;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
mod update_user;

use contracts::identity::{
    CodeDeclined, CodeRequested, ContactChanged, PasswordChanged, RegistrationRepeated,
};
use runtime::{Domain, Need};

/// The domain's table of contents.
pub fn domain() -> Domain {
    Domain::new("identity")
        .collection::<person::Person>()
        .collection::<account::Address>()
        .collection::<account::Credentials>()
        .collection::<code::Code>()
        .collection::<session::Session>()
        .event::<CodeRequested>()
        .event::<CodeDeclined>()
        .event::<RegistrationRepeated>()
        .event::<ContactChanged>()
        .event::<PasswordChanged>()
        .needs(Need::Signing)
        .operation(register::run)
        .operation(get_user::run)
        .operation(update_user::run)
        .operation(request_code::run)
        .operation(redeem_code::run)
        .operation(sign_in::run)
        .operation(refresh_session::run)
        .operation(list_sessions::run)
        .operation(end_session::run)
        .operation(get_jwks::run)
        .operation(get_openid_configuration::run)
        .operation(get_contact::run)
}
