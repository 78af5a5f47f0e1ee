//! A sign-in that lacks its second factor: the password was right, and nothing
//! more is open yet.

use runtime::{Secret, prelude::*, same_secret};

use crate::{factor::ListedFactor, linking::Claim, person::Person};

/// Signing in takes one more thing.
pub const MFA_REQUIRED: Problem = Problem::new(
    contracts::Code::Unauthenticated,
    "mfa-required",
    "Show one of your factors too: verify it with the pending token.",
    "Muestra también uno de tus factores: verifícalo con el token pendiente.",
);
/// The pending sign-in is over, or there never was one.
pub const INVALID_PENDING_TOKEN: Problem = Problem::new(
    contracts::Code::Unauthenticated,
    "invalid-pending-token",
    "This sign-in is over or took too long; begin it again.",
    "Este inicio de sesión ya terminó o tardó demasiado; empieza de nuevo.",
);

/// How long it waits for the factor, in minutes.
const WAITS_MINUTES: i64 = 5;

/// A sign-in that lacks its second factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    id: String,
    pub user_id: UserId,
    generation: u64,
    /// What the device holds, if it was used before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// The account elsewhere that is linked once it's finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    expires_at: Timestamp,
}

impl Document for Pending {
    const COLLECTION: &'static str = "pending_sign_ins";
    const INDEXES: &'static [Index] = &[Index::ascending("expires_at").equals(&["user_id"])];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Pending {
    /// A person's, who has shown their password.
    pub fn new(
        id: String,
        person: &Person,
        device_token: Option<String>,
        claim: Option<Claim>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            user_id: person.id.clone(),
            generation: person.generation,
            device_token,
            claim,
            expires_at: now.plus_minutes(WAITS_MINUTES),
        }
    }

    /// All of a person.
    pub fn all_of(user_id: &UserId) -> Query {
        Query::ascending::<Self>("expires_at").equals("user_id", user_id)
    }

    /// The one that a token means, if it still waits.
    pub async fn of<C>(cx: &Context<C>, token: &str) -> Result<Stored<Self>> {
        let (id, seal) = token.split_once('.').ok_or(INVALID_PENDING_TOKEN)?;
        if !same_secret(seal_of(id, cx.secret()).as_bytes(), seal.as_bytes()) {
            return Err(INVALID_PENDING_TOKEN.into());
        }
        let found = cx.get::<Self>(id).await?.filter(|it| cx.now < it.expires_at);
        Ok(found.ok_or(INVALID_PENDING_TOKEN)?)
    }

    /// Whether it's still its person's to finish.
    pub fn is_of(&self, person: &Person) -> bool {
        let theirs = self.user_id == person.id && self.generation == person.generation;
        theirs && person.is_active()
    }

    /// What a passkey signs to finish it.
    pub fn challenge(&self, secret: &Secret) -> String {
        secret.seal_text("passkey-challenge", &[&self.id])
    }

    /// Says what is to be shown, and with what.
    pub fn refusal(&self, factors: &[ListedFactor], secret: &Secret) -> Refusal {
        let token = format!("{}.{}", self.id, seal_of(&self.id, secret));
        let factors = serde_json::to_value(factors).unwrap_or_default();
        Refusal::of(MFA_REQUIRED)
            .with("pending_token", token)
            .with("user_id", self.user_id.as_str())
            .with("factors", factors)
            .with("challenge", self.challenge(secret))
            .with("expires_at", self.expires_at.to_string())
    }
}

fn seal_of(id: &str, secret: &Secret) -> String {
    secret.seal_text("pending-sign-in", &[id])
}
