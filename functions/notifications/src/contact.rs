//! A contact: how to write to a person, as identity has told or is asked.

use contracts::identity::{Contact, GetContact, USER_NOT_FOUND};
use runtime::prelude::*;

use crate::erasure::is_erased;

/// How to write to a person, as it is kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownContact {
    #[serde(flatten)]
    pub contact: Contact,
    /// Since when their account is closed: they hear of its safety, and of nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

impl Document for KnownContact {
    const COLLECTION: &'static str = "contacts";
    fn key(&self) -> String {
        self.contact.user_id.to_string()
    }
}

impl From<Contact> for KnownContact {
    fn from(contact: Contact) -> Self {
        Self { contact, closed_at: None }
    }
}

/// The changes that keep what was told of a contact; none if as much is known.
pub async fn learned(cx: &Context<System>, told: &Contact) -> Result<Changes> {
    let known = cx.get::<KnownContact>(told.user_id.as_str()).await?;
    Ok(match known {
        // What is told of somebody late isn't kept once they are erased.
        None if is_erased(cx, &told.user_id).await? => Changes::new(),
        None => Changes::new().create(&KnownContact::from(told.clone())),
        Some(mut known) if known.contact.revision < told.revision => {
            // Whose account is open again has a newer contact.
            *known = told.clone().into();
            Changes::new().save(&known)
        }
        Some(_) => Changes::new(),
    })
}

/// The changes that keep that an account was closed, with the contact that it
/// had; none if it was opened again since.
pub async fn closed(cx: &Context<System>, last: &Contact, at: Timestamp) -> Result<Changes> {
    let known = cx.get::<KnownContact>(last.user_id.as_str()).await?;
    let closed = KnownContact { contact: last.clone(), closed_at: Some(at) };
    Ok(match known {
        None if is_erased(cx, &last.user_id).await? => Changes::new(),
        None => Changes::new().create(&closed),
        Some(mut known) if known.contact.revision <= last.revision && *known != closed => {
            *known = closed;
            Changes::new().save(&known)
        }
        Some(_) => Changes::new(),
    })
}

/// How to write to a person; identity is asked if it hasn't told yet. Nothing
/// if there's no such person.
pub async fn of(cx: &Context<System>, user_id: &UserId) -> Result<Option<KnownContact>> {
    if let Some(known) = cx.get::<KnownContact>(user_id.as_str()).await? {
        return Ok(Some(known.into_inner()));
    }
    if is_erased(cx, user_id).await? {
        return Ok(None);
    }
    let contact = match cx.call(GetContact { user_id: user_id.clone() }).await {
        Ok(contact) => KnownContact::from(contact),
        Err(Error::Refused(refusal)) if refusal.problem == USER_NOT_FOUND => return Ok(None),
        Err(error) => return Err(error),
    };
    match cx.commit_part(Changes::new().create(&contact)).await {
        // Lost to its event, which is as good.
        Ok(()) | Err(Error::Stale(_)) => Ok(Some(contact)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use contracts::identity::ContactChanged;

    use super::*;
    use crate::tests::{app, contact};

    #[tokio::test]
    async fn an_older_contact_does_not_overwrite_a_newer_one() {
        let app = app();
        let told = |email: &str, revision| ContactChanged {
            contact: Contact { email: email.into(), revision, ..contact("ada") },
        };
        app.deliver(&told("b@mail.example", 2)).await;
        app.deliver(&told("a@mail.example", 1)).await;
        let cx = app.context();
        let known = of(&cx, &"ada".into()).await.unwrap().unwrap();
        assert_eq!(known.contact.email, "b@mail.example");
    }

    #[tokio::test]
    async fn identity_is_asked_once_for_a_person_whom_it_has_not_told_of() {
        let app = app();
        let cx = app.context();
        assert_eq!(of(&cx, &"ada".into()).await.unwrap(), Some(contact("ada").into()));
        app.now_answering::<GetContact>(|_| Err(USER_NOT_FOUND));
        assert_eq!(of(&cx, &"ada".into()).await.unwrap(), Some(contact("ada").into()));
        assert_eq!(of(&cx, &"bob".into()).await.unwrap(), None);
    }
}
