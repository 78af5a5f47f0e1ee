//! Linking an account elsewhere to one here.

use contracts::identity::IdentityLinked;
use runtime::prelude::*;

use crate::{identity_link::IdentityLink, person::Person, provider::Vouched};

/// The token isn't one, or is too old.
pub const INVALID_LINK_TOKEN: Problem = Problem::invalid(
    "invalid-link-token",
    "This link token is too old or isn't one; begin again with the provider.",
    "Este token de enlace es demasiado antiguo o no lo es; empieza de nuevo con el proveedor.",
);

/// How long a link can be made, in minutes.
const LASTS_MINUTES: i64 = 15;
const PURPOSE: &str = "link";

/// An account elsewhere that is to be linked to whoever shows that one here is theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    issuer: String,
    subject: String,
    title: String,
    expires_at: Timestamp,
}

impl Claim {
    /// An account that a provider vouches for.
    pub fn new(vouched: &Vouched, title: &str, now: Timestamp) -> Self {
        Self {
            issuer: vouched.issuer.clone(),
            subject: vouched.subject.clone(),
            title: title.to_owned(),
            expires_at: now.plus_minutes(LASTS_MINUTES),
        }
    }

    /// What its holder shows when they sign in here.
    pub fn token<C>(&self, cx: &Context<C>) -> String {
        let json = serde_json::to_string(self).expect("tokens are JSON");
        cx.secret().lock(PURPOSE, "", &json, cx.random())
    }

    /// What a token claims.
    pub fn read<C>(cx: &Context<C>, token: &str) -> Result<Self> {
        let json = cx.secret().unlock(PURPOSE, "", token);
        let claim = json.and_then(|it| serde_json::from_str::<Self>(&it).ok());
        Ok(claim.filter(|it| cx.now < it.expires_at).ok_or(INVALID_LINK_TOKEN)?)
    }

    /// Links it to a person, who is told; an account that is linked already stays as it is.
    pub async fn link<C: Sync>(&self, cx: &Context<C>, person: &Person) -> Result<Changes> {
        let key = IdentityLink::key_of(&self.issuer, &self.subject);
        if cx.get::<IdentityLink>(&key).await?.is_some() {
            return Ok(Changes::new());
        }
        let link = IdentityLink::new(&self.issuer, &self.subject, &person.id, cx.now);
        let event = IdentityLinked {
            contact: person.contact(),
            provider: self.title.clone(),
            linked_at: cx.now,
        };
        Ok(Changes::new().create(&link).emit(&event))
    }
}
