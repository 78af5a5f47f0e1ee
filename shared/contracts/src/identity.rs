//! What the others may know of identity: who people are and how to reach them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Code, Endpoint, Event, Idempotency, Language, Line, Problem, Route, TimeZone, Timestamp,
    UserId, id::ids,
};

ids! {
    /// A session's id: one sign-in on one device.
    SessionId,
}

/// What someone may do on the platform; everyone may learn.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Learns.
    Student,
    /// Makes courses and teaches them.
    Instructor,
    /// Runs the platform.
    Admin,
}

/// How to write to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// Who.
    pub user_id: UserId,
    /// The address to write to.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// The language to write in.
    pub locale: Language,
    /// The zone to tell times in.
    pub time_zone: TimeZone,
    /// Grows with each change, so that an older one can't overwrite a newer one.
    pub revision: u64,
}

/// There's no such user.
pub const USER_NOT_FOUND: Problem =
    Problem::not_found("user-not-found", "There is no such user.", "No existe ese usuario.");

/// Get how to write to a person, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetContact {
    /// Who.
    pub user_id: UserId,
}

impl Endpoint for GetContact {
    const OPERATION: &'static str = "identity.get_contact";
    const ROUTE: Route = Route::get("/internal/identity/contacts/{user_id}");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND];
    type Response = Contact;
}

/// A token of the second issuer opens nothing here. Why, isn't told.
pub const TOKEN_NOT_TAKEN: Problem = Problem::new(
    Code::Unauthenticated,
    "token-not-taken",
    "This token isn't good here, or not any more. Sign in again where you got it.",
    "Este token no vale aquí, o ya no. Vuelve a iniciar sesión donde lo obtuviste.",
);
/// The second issuer doesn't know whose the address is.
pub const ADDRESS_NOT_VERIFIED: Problem = Problem::new(
    Code::Unauthenticated,
    "address-not-verified",
    "Your address isn't verified where you got this token. Verify it there; or sign in here by your password with the link token, and the account there is linked.",
    "Tu dirección no está verificada donde obtuviste este token. Verifícala allí, o inicia sesión aquí con tu contraseña y el token de enlace, y la cuenta de allí quedará enlazada.",
);
/// Who has a second factor here shows it here.
pub const SIGN_IN_HERE: Problem = Problem::new(
    Code::Unauthenticated,
    "sign-in-here",
    "Your account has a second factor, which only this platform can check: sign in here.",
    "Tu cuenta tiene un segundo factor, que solo esta plataforma puede comprobar: inicia sesión aquí.",
);

/// Exchange a token of the second issuer for an access token, between domains.
///
/// Whom it's about is looked up, or made if they are new here with an address
/// that the issuer has verified.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeToken {
    /// The token, as somebody has shown it.
    pub token: Line<1, 8192>,
    /// In which language they are answered, and written to if they are new here.
    #[serde(default)]
    pub language: Language,
}

/// An access token in place of another's token.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExchangedToken {
    /// The access token: good for ten minutes, and no longer than the token that it's for.
    pub access_token: String,
}

impl Endpoint for ExchangeToken {
    const OPERATION: &'static str = "identity.exchange_token";
    const ROUTE: Route = Route::act("/internal/identity/exchange-token");
    const PROBLEMS: &'static [Problem] = &[TOKEN_NOT_TAKEN, ADDRESS_NOT_VERIFIED, SIGN_IN_HERE];
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    type Response = ExchangedToken;
}

/// What a one-time code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// To show that an address is one's own.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
}

/// Someone asked for a one-time code that is to be mailed to them.
///
/// The code itself isn't in here, nor in any store: it is derived from the
/// platform's secret and the code's id when the mail is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CodeRequested {
    /// The code to derive.
    pub code_id: String,
    /// What it is for.
    pub purpose: CodePurpose,
    /// Who gets it.
    pub contact: Contact,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl Event for CodeRequested {
    const TYPE: &'static str = "identity.code_requested.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Someone asked for a one-time code, or registered, and no mail goes out: the
/// address has no account, or has had too many mails.
///
/// Nobody needs to act on it. It tells operators of those who guess at
/// addresses, and it makes asking for a stranger's code as much work as asking
/// for one's own, so that the time doesn't tell which it was.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CodeDeclined {
    /// Stands for the address, which isn't told.
    pub address_id: String,
    /// What the code would have been for.
    pub purpose: CodePurpose,
}

impl Event for CodeDeclined {
    const TYPE: &'static str = "identity.code_declined.v1";
    fn subject(&self) -> String {
        self.address_id.clone()
    }
}

/// Someone registered with an address that has an account already.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationRepeated {
    /// The account's owner, who is told.
    pub contact: Contact,
}

impl Event for RegistrationRepeated {
    const TYPE: &'static str = "identity.registration_repeated.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// A person is new here, or what is known of them has changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContactChanged {
    /// How to write to them now.
    pub contact: Contact,
}

impl Event for ContactChanged {
    const TYPE: &'static str = "identity.contact_changed.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// A password was changed, and every session of its owner ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PasswordChanged {
    /// Who is told.
    pub contact: Contact,
    /// When.
    pub changed_at: Timestamp,
}

impl Event for PasswordChanged {
    const TYPE: &'static str = "identity.password_changed.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Someone signed in on a device that the account hadn't been used on before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceAdded {
    /// Who is told.
    pub contact: Contact,
    /// The session, which they can end.
    pub session_id: SessionId,
    /// What the device says it is, such as `Firefox on Linux`.
    pub device: String,
    /// The network that it was used from, such as `203.0.113.0/24`; nothing if it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// When.
    pub signed_in_at: Timestamp,
}

impl Event for DeviceAdded {
    const TYPE: &'static str = "identity.device_added.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Someone wants their account at another address: a code goes to that one,
/// which [`contact`](Self::contact) doesn't have yet.
///
/// The code is derived from its id, as with [`CodeRequested`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EmailChangeRequested {
    /// The code to derive.
    pub code_id: String,
    /// Where the code is mailed: the address that they want.
    pub new_email: String,
    /// Who asked, with the address that they still have.
    pub contact: Contact,
    /// Until when the code can be used.
    pub expires_at: Timestamp,
}

impl Event for EmailChangeRequested {
    const TYPE: &'static str = "identity.email_change_requested.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// An account moved to another address. The old one is told, in case it was
/// someone else; the new contact is told by [`ContactChanged`] too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EmailChanged {
    /// How to write to them from now on.
    pub contact: Contact,
    /// Who is told: the address that the account had.
    pub old_email: String,
    /// When.
    pub changed_at: Timestamp,
}

impl Event for EmailChanged {
    const TYPE: &'static str = "identity.email_changed.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// An account is closed: nobody signs in with it any more, and after some time
/// it's [`Erased`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccountClosed {
    /// Who is told.
    pub contact: Contact,
    /// When.
    pub closed_at: Timestamp,
    /// When everything of it is erased.
    pub erased_at: Timestamp,
}

impl Event for AccountClosed {
    const TYPE: &'static str = "identity.account_closed.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Someone got everything that the platform keeps of them; they are told, in
/// case it was someone else.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DataExported {
    /// Who is told.
    pub contact: Contact,
    /// When.
    pub exported_at: Timestamp,
}

impl Event for DataExported {
    const TYPE: &'static str = "identity.data_exported.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// What a person shows besides their password, or, if it's a passkey, in place of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// A passkey (`WebAuthn`).
    Passkey,
}

/// Signing in takes one more thing from now on; the account's owner is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FactorAdded {
    /// Who is told.
    pub contact: Contact,
    /// What it takes.
    pub kind: FactorKind,
    /// What they call it.
    pub name: String,
    /// When.
    pub added_at: Timestamp,
}

impl Event for FactorAdded {
    const TYPE: &'static str = "identity.factor_added.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Signing in takes one thing less from now on; the account's owner is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FactorRemoved {
    /// Who is told.
    pub contact: Contact,
    /// What it took.
    pub kind: FactorKind,
    /// What they called it.
    pub name: String,
    /// When.
    pub removed_at: Timestamp,
}

impl Event for FactorRemoved {
    const TYPE: &'static str = "identity.factor_removed.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Someone signed in by a recovery code in place of their second factor; the
/// account's owner is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodeUsed {
    /// Who is told.
    pub contact: Contact,
    /// How many they have left.
    pub codes_left: u32,
    /// When.
    pub used_at: Timestamp,
}

impl Event for RecoveryCodeUsed {
    const TYPE: &'static str = "identity.recovery_code_used.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// A passkey was shown whose count of signatures has gone back: there may be a copy of it.
/// Nobody was let in by it, and the account's owner is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PasskeySuspected {
    /// Who is told.
    pub contact: Contact,
    /// What they call it.
    pub name: String,
    /// When.
    pub noticed_at: Timestamp,
}

impl Event for PasskeySuspected {
    const TYPE: &'static str = "identity.passkey_suspected.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// An account can be signed in to by another provider from now on, such as
/// Google; the account's owner is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdentityLinked {
    /// Who is told.
    pub contact: Contact,
    /// The provider, as people know it.
    pub provider: String,
    /// When.
    pub linked_at: Timestamp,
}

impl Event for IdentityLinked {
    const TYPE: &'static str = "identity.identity_linked.v1";
    fn subject(&self) -> String {
        self.contact.user_id.to_string()
    }
}

/// Import people who were registered elsewhere, by the platform's operator.
///
/// It may be repeated: who has an account already keeps it as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportUsers {
    /// The people, a hundred at most.
    #[schemars(length(max = 100))]
    pub rows: Vec<UserRow>,
}

/// A person who was registered elsewhere.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRow {
    /// Their address, which whoever imports them vouches for.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// Their password; without one and without a hash they choose one by a `reset_password` code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Their password as other software hashed it: Django's `pbkdf2_sha256$…`, Moodle's `$6$…` or
    /// `$2y$…`, or `$argon2id$…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// The language to write to them in: `en` or `es`, or a variant of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The zone to tell them times in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What they may do beside learning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub roles: Vec<Role>,
}

impl std::fmt::Debug for UserRow {
    /// Names, addresses and passwords stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserRow(…)")
    }
}

/// What has come of importing people, row by row in their order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UsersImported {
    /// One for each row.
    pub outcomes: Vec<UserImported>,
}

/// What has come of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum UserImported {
    /// They have an account from now on.
    Created {
        /// Who.
        user_id: UserId,
    },
    /// They have had one before, which stays as it is.
    Exists {
        /// Who.
        user_id: UserId,
    },
    /// The row isn't right.
    Refused {
        /// What isn't: the field.
        field: String,
        /// Why: a name and an explanation.
        reason: String,
    },
}

impl Endpoint for ImportUsers {
    const OPERATION: &'static str = "identity.import_users";
    const ROUTE: Route = Route::act("/internal/identity/users/import");
    type Response = UsersImported;
}

/// A person's account is erased for good: every domain drops what it keeps of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// Who is no more.
    pub user_id: UserId,
}

impl Event for Erased {
    const TYPE: &'static str = "identity.erased.v1";
    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// What a domain keeps of a person: documents by collection, as they are stored,
/// without what would let others in (hashes of passwords and the like).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PersonalData {
    /// Collections, and what is in them of this person.
    pub collections: BTreeMap<String, Vec<serde_json::Value>>,
}

/// Sign a statement in the platform's name, between domains.
///
/// The answer can be checked by anyone with the keys at
/// `/.well-known/jwks.json`. It's no access token, and can't be taken for one:
/// what is stated stands in a claim of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignStatement {
    /// What is stated.
    pub statement: serde_json::Map<String, serde_json::Value>,
}

/// A statement, signed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedStatement {
    /// The statement as a compact JWS (RFC 7515), signed with RS256. Its claims
    /// are `iss`, `iat` and `statement`.
    pub jws: String,
}

impl Endpoint for SignStatement {
    const OPERATION: &'static str = "identity.sign_statement";
    const ROUTE: Route = Route::act("/internal/identity/sign-statement");
    type Response = SignedStatement;
}
