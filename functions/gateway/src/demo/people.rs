//! The people of the demonstration: how they arrive on the platform.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result};
use embedded::Platform;
use serde_json::json;

use super::{
    catalog::{self, Catalog, Person},
    visitor::{Visitor, text},
};

/// What the admin signs in with.
pub const ADMIN_PASSWORD: &str = "cuidar-la-academia";
/// What every instructor signs in with.
pub const INSTRUCTOR_PASSWORD: &str = "ensenar-es-aprender";
/// What every student signs in with.
pub const STUDENT_PASSWORD: &str = "aprender-cada-dia";

/// Everybody, signed in.
pub struct People {
    signed_in: HashMap<String, Visitor>,
}

impl People {
    /// Everybody registers, verifies their address and signs in; the admin makes
    /// instructors of those who asked for it.
    pub async fn arrive(catalog: &Catalog, anyone: &Visitor, platform: &Platform) -> Result<Self> {
        let everyone = everyone(&catalog.people);
        for (person, password, role) in &everyone {
            anyone.register(person, password, role).await?;
        }
        mail_is_out(platform).await?;
        let mut signed_in = HashMap::new();
        for (person, password, _) in &everyone {
            let email = person.email();
            let code = code_for(&email, platform).await?;
            anyone.verify(&email, &code).await?;
            let visitor = anyone.sign_in(&email, password).await?;
            signed_in.insert(person.address.clone(), visitor);
        }
        let mut people = Self { signed_in };
        for instructor in &catalog.people.instructors {
            people.make_instructor(&catalog.people.admin, instructor).await?;
        }
        Ok(people)
    }

    /// The admin grants the role; it counts from the next sign-in on.
    async fn make_instructor(&mut self, admin: &Person, instructor: &Person) -> Result<()> {
        let visitor = self.visitor(&instructor.address)?;
        let profile = format!("/v1/users/{}", visitor.user_id());
        let etag = text(&visitor.get(&profile).await?["etag"])?;
        let roles = json!({ "roles": ["instructor"] });
        self.visitor(&admin.address)?.patch(&profile, &etag, &roles).await?;
        let again = visitor.sign_in(&instructor.email(), INSTRUCTOR_PASSWORD).await?;
        self.signed_in.insert(instructor.address.clone(), again);
        Ok(())
    }

    /// Someone, by their address without its domain.
    pub fn visitor(&self, address: &str) -> Result<&Visitor> {
        self.signed_in.get(address).with_context(|| format!("nobody is {address}"))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.signed_in.len()
    }
}

/// Everybody, with their password and what they want to be.
fn everyone(people: &catalog::People) -> Vec<(&Person, &'static str, &'static str)> {
    let instructors = people.instructors.iter().map(|it| (it, INSTRUCTOR_PASSWORD, "instructor"));
    let students = people.students.iter().map(|it| (it, STUDENT_PASSWORD, "student"));
    // The admin is known by the address alone.
    std::iter::once((&people.admin, ADMIN_PASSWORD, "student"))
        .chain(instructors)
        .chain(students)
        .collect()
}

/// Far more than it takes to send the mail of everybody.
const MAIL_IS_OUT_WITHIN: Duration = Duration::from_mins(1);

/// Waits until all that has happened is told, and all mail is in the inbox.
pub async fn mail_is_out(platform: &Platform) -> Result<()> {
    let settled = tokio::time::timeout(MAIL_IS_OUT_WITHIN, platform.bus().settled()).await;
    settled.context("the mail doesn't go out")?
}

/// The code that was mailed to an address last.
async fn code_for(email: &str, platform: &Platform) -> Result<String> {
    let letters = platform.inbox().newest(Some(email), 1, None).await;
    let letters = letters.map_err(|error| anyhow::anyhow!("{error}"))?;
    let code = letters.items.first().and_then(|letter| code_in(&letter.message.text));
    Ok(code.with_context(|| format!("no code was mailed to {email}"))?.to_owned())
}

/// The one-time code in a mail: its first run of eight digits.
fn code_in(mail: &str) -> Option<&str> {
    mail.split(|character: char| !character.is_ascii_digit()).find(|digits| digits.len() == 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_among_other_numbers() {
        assert_eq!(code_in("2026: your code is 01234567, for 15 minutes."), Some("01234567"));
        assert_eq!(code_in("No code, but 123456789."), None);
    }
}
