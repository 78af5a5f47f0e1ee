//! An account: a person, the address that leads to them, and their password.

use runtime::prelude::*;

use crate::{
    email::Email,
    password::Hashed,
    person::{Person, State},
};

/// An address that has an account. That it is a document of its own, by its
/// hash, keeps two accounts from having it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Address {
    id: String,
    user_id: UserId,
}

impl Document for Address {
    const COLLECTION: &'static str = "emails";
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Address {
    fn key_of(email: &Email) -> String {
        email.key("account")
    }

    /// The address, if someone has an account with it.
    pub async fn find<C>(cx: &Context<C>, email: &Email) -> Result<Option<Stored<Self>>> {
        cx.get(&Self::key_of(email)).await
    }

    /// Whose it is.
    pub const fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// The address of a person.
    pub fn of(person: &Person) -> Self {
        Self { id: Self::key_of(&person.email), user_id: person.id.clone() }
    }
}

/// How a person shows that they are themselves. It's kept apart from what is
/// shown of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    user_id: UserId,
    /// Nothing, if the password must be chosen by a code from the person's mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Hashed>,
    changed_at: Timestamp,
}

impl Document for Credentials {
    const COLLECTION: &'static str = "credentials";
    fn key(&self) -> String {
        self.user_id.to_string()
    }
}

impl Credentials {
    /// A new person's; without a password, if they sign in otherwise.
    pub fn new(user_id: UserId, password: Option<Hashed>, now: Timestamp) -> Self {
        Self { user_id, password, changed_at: now }
    }

    /// The password, if there's one.
    pub fn password(&self) -> Option<&Hashed> {
        self.password.as_ref()
    }

    /// Takes another password.
    pub fn change(&mut self, password: Hashed, now: Timestamp) {
        self.password = Some(password);
        self.changed_at = now;
    }

    /// Keeps the same password, hashed at today's cost.
    pub fn upgrade(&mut self, password: Hashed) {
        self.password = Some(password);
    }

    /// Two people have registered with the address and nobody has shown that
    /// it's theirs, so neither's password counts any more.
    pub fn contest(&mut self, now: Timestamp) {
        self.password = None;
        self.changed_at = now;
    }
}

/// An account as it's read at once.
pub struct Account {
    pub person: Stored<Person>,
    pub credentials: Stored<Credentials>,
}

/// Read in place of a person whom there isn't, so that it takes as long.
pub const NOBODY: &str = "nobody";

impl Account {
    /// The account with this address.
    pub async fn with<C: Sync>(cx: &Context<C>, email: &Email) -> Result<Option<Self>> {
        let address = cx.get::<Address>(&Address::key_of(email)).await?;
        let user_id = address.as_ref().map_or(NOBODY, |it| it.user_id.as_str());
        let (person, credentials) =
            tokio::try_join!(cx.get::<Person>(user_id), cx.get::<Credentials>(user_id))?;
        Ok(person.zip(credentials).map(|(person, credentials)| Self { person, credentials }))
    }

    /// Whether someone has registered with the address and not yet shown that it's theirs.
    pub fn is_unverified(&self) -> bool {
        self.person.state == State::Unverified
    }
}

/// The person with this address, whose password doesn't matter.
pub async fn person_with<C>(cx: &Context<C>, email: &Email) -> Result<Option<Stored<Person>>> {
    let address = cx.get::<Address>(&Address::key_of(email)).await?;
    cx.get::<Person>(address.as_ref().map_or(NOBODY, |it| it.user_id.as_str())).await
}
