//! Linking an account elsewhere to one here.

use contracts::identity::{ContactChanged, IdentityLinked};
use runtime::prelude::*;

use crate::{
    account::{Account, Address, Credentials},
    email::Email,
    identity_link::IdentityLink,
    person::{Name, Person},
    provider::Vouched,
};

/// The token isn't one, or is too old.
pub const INVALID_LINK_TOKEN: Problem = Problem::invalid(
    "invalid-link-token",
    "This link token is too old or isn't one; begin again with the provider.",
    "Este token de enlace es demasiado antiguo o no lo es; empieza de nuevo con el proveedor.",
);

/// How long a link can be made, in minutes.
const LASTS_MINUTES: i64 = 15;
const PURPOSE: &str = "link";

/// How many accounts elsewhere someone may have linked. Nobody has so many; who is
/// in with a stolen password could link more than a [reset](crate::redeem_code) lets go.
const MOST: u64 = 20;

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

    /// Links it to a person, who is told; an account that is linked already stays as it
    /// is, and beyond so many none is linked.
    pub async fn link<C: Sync>(&self, cx: &Context<C>, person: &Person) -> Result<Changes> {
        let key = IdentityLink::key_of(&self.issuer, &self.subject);
        if cx.get::<IdentityLink>(&key).await?.is_some() {
            return Ok(Changes::new());
        }
        if cx.count(&IdentityLink::all_of(&person.id)).await? >= MOST {
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

/// Whose an account elsewhere is that isn't linked yet.
pub enum Owner {
    /// This person's, once the changes are made; nobody's who may be let in.
    Person(Option<Box<Stored<Person>>>, Changes),
    /// Theirs who show that an account here is theirs.
    Unknown(Claim),
}

/// Whose an account elsewhere is: theirs who have the address here that is known
/// to be its owner's, or someone's who is new.
pub async fn owner<C: Sync>(cx: &Context<C>, vouched: &Vouched, title: &str) -> Result<Owner> {
    let claim = Claim::new(vouched, title, cx.now);
    let email = vouched.verified_email.as_deref().and_then(|it| Email::new(it).ok());
    let Some(email) = email else { return Ok(Owner::Unknown(claim)) };
    let Some(Account { mut person, mut credentials }) = Account::with(cx, &email).await? else {
        let (person, made) = newcomer(cx, email, vouched);
        let changes = made.and(claim.link(cx, &person).await?);
        return Ok(Owner::Person(Some(Box::new(person)), changes));
    };
    if !person.may_have_codes() {
        return Ok(Owner::Person(None, Changes::new()));
    }
    let mut changes = claim.link(cx, &person).await?;
    if person.verify(cx.settings().admin_email.as_deref(), cx.now) {
        // Whoever registered with the address first needn't be its owner.
        credentials.contest(cx.now);
        let contact = person.contact();
        changes = changes.save(&person).save(&credentials).emit(&ContactChanged { contact });
    }
    Ok(Owner::Person(Some(Box::new(person)), changes))
}

/// Someone new, without a password.
fn newcomer<C>(cx: &Context<C>, email: Email, vouched: &Vouched) -> (Stored<Person>, Changes) {
    let local = email.as_str().split('@').next().unwrap_or_default();
    let name = vouched.name.as_deref().and_then(|it| Name::new(it).ok());
    let name = name.or_else(|| Name::new(local).ok());
    let name = name.unwrap_or_else(|| Name::new("?").expect("a sign is a name"));
    let mut person = Person::new(cx.random().id(), email, name, cx.now);
    person.locale = cx.language;
    person.verify(cx.settings().admin_email.as_deref(), cx.now);
    let credentials = Credentials::new(person.id.clone(), None, cx.now);
    let changes = Changes::new()
        .create(&Address::of(&person))
        .create(&person)
        .create(&credentials)
        .emit(&ContactChanged { contact: person.contact() });
    (Stored::new(person), changes)
}
