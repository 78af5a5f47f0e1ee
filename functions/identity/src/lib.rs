//! Identity: who people are, how they show it, and what they may do.
//!
//! Someone registers with an address and a password, and gets a one-time code
//! by mail; redeeming it shows that the address is theirs, and from then on
//! they can sign in, by their password or by a passkey alone. That opens a session: an access token, which every
//! function of the platform checks by itself, and a refresh token for the
//! next one. Whoever forgets their password gets a code to choose another, and
//! all their sessions end. Admins decide who teaches, and who is shut out.
//!
//! Nobody learns here who has an account: whatever is asked of an address, the
//! answer, its status and its time are the same for every address.

mod account;
mod add_factor;
mod authorization;
mod authorize;
mod by_passkey;
mod challenge;
mod code;
mod delete_user;
mod device;
mod email;
mod end_session;
mod ending;
mod erase;
mod exchange_token;
mod export_user;
mod factor;
mod finish_authorization;
mod fresh;
mod get_contact;
mod get_jwks;
mod get_openid_configuration;
mod get_user;
mod guesses;
mod identity_link;
mod import_users;
mod linking;
mod list_sessions;
mod list_users;
mod opening;
mod passkey;
pub mod password;
mod pending;
mod person;
mod provider;
mod redeem_code;
mod refresh_session;
mod register;
mod remove_factor;
mod request_challenge;
mod request_code;
mod rotate_keys;
pub mod second_issuer;
mod session;
mod sign_in;
mod sign_statement;
mod still_admin;
#[cfg(test)]
mod tests;
mod tokens;
mod totp;
mod update_user;
mod verify_factor;

use contracts::{
    courses, enrollments,
    identity::{
        AccountClosed, CodeDeclined, CodeRequested, ContactChanged, DataExported, DeviceAdded,
        EmailChangeRequested, EmailChanged, Erased, FactorAdded, FactorRemoved, IdentityLinked,
        PasskeySuspected, PasswordChanged, RecoveryCodeUsed, RegistrationRepeated,
    },
    notifications,
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
        .collection::<device::Devices>()
        .collection::<factor::Factors>()
        .collection::<pending::Pending>()
        .collection::<guesses::Guesses>()
        .collection::<challenge::Answered>()
        .collection::<identity_link::IdentityLink>()
        .event::<CodeRequested>()
        .event::<CodeDeclined>()
        .event::<RegistrationRepeated>()
        .event::<ContactChanged>()
        .event::<PasswordChanged>()
        .event::<EmailChangeRequested>()
        .event::<EmailChanged>()
        .event::<DeviceAdded>()
        .event::<FactorAdded>()
        .event::<FactorRemoved>()
        .event::<RecoveryCodeUsed>()
        .event::<PasskeySuspected>()
        .event::<IdentityLinked>()
        .event::<DataExported>()
        .event::<AccountClosed>()
        .event::<Erased>()
        .calls::<courses::GetPersonalData>()
        .calls::<enrollments::GetPersonalData>()
        .calls::<notifications::GetPersonalData>()
        .needs(Need::Signing)
        .operation(register::run)
        .operation(get_user::run)
        .operation(list_users::run)
        .operation(update_user::run)
        .operation(delete_user::run)
        .operation(export_user::run)
        .operation(request_code::run)
        .operation(redeem_code::run)
        .operation(request_challenge::run)
        .operation(sign_in::run)
        .operation(refresh_session::run)
        .operation(list_sessions::run)
        .operation(end_session::run)
        .operation(authorize::run)
        .operation(finish_authorization::run)
        .operation(add_factor::run)
        .operation(verify_factor::run)
        .operation(remove_factor::run)
        .operation(get_jwks::run)
        .operation(get_openid_configuration::run)
        .operation(get_contact::run)
        .operation(import_users::run)
        .job(erase::run)
        .job(rotate_keys::run)
        .operation(sign_statement::run)
        .operation(exchange_token::run)
}
