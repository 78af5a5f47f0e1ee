//! An identity elsewhere: an account of Google, say, with which someone signs
//! in here.

use runtime::{derived_id, prelude::*};

/// Someone's account elsewhere. That it's a document of its own, by what it's
/// called there, keeps two people from having it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdentityLink {
    id: String,
    pub user_id: UserId,
    /// Who vouches for it.
    provider: String,
    /// What it's called there.
    subject: String,
    linked_at: Timestamp,
}

impl Document for IdentityLink {
    const COLLECTION: &'static str = "identities";
    const INDEXES: &'static [Index] = &[Index::ascending("linked_at").equals(&["user_id"])];
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl IdentityLink {
    /// Where the link of an account elsewhere is.
    pub fn key_of(issuer: &str, subject: &str) -> String {
        derived_id(&["identity", issuer, subject])
    }

    /// Links an account elsewhere to a person.
    pub fn new(issuer: &str, subject: &str, user_id: &UserId, now: Timestamp) -> Self {
        Self {
            id: Self::key_of(issuer, subject),
            user_id: user_id.clone(),
            provider: issuer.to_owned(),
            subject: subject.to_owned(),
            linked_at: now,
        }
    }

    /// All of a person.
    pub fn all_of(user_id: &UserId) -> Query {
        Query::ascending::<Self>("linked_at").equals("user_id", user_id)
    }
}
