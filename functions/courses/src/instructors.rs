//! Instructors: that those who are to teach a course exist.

use contracts::identity::{GetContact, USER_NOT_FOUND};
use runtime::{Error, prelude::*};

use crate::course::INSTRUCTORS;

/// Notes those who are to teach, don't teach yet, and don't exist. Whether
/// they have the role, each of their requests shows.
pub async fn find_missing<C>(
    cx: &Context<C>,
    teaching: &[UserId],
    sent: &[UserId],
    faults: &mut Faults,
) -> Result<()> {
    // More than that are refused anyway; they needn't be asked for.
    for (at, user_id) in sent.iter().enumerate().take(INSTRUCTORS) {
        if teaching.contains(user_id) || sent[..at].contains(user_id) {
            continue;
        }
        faults.unless(
            exists(cx, user_id).await?,
            &format!("instructors[{at}]"),
            "unknown-user",
            "There is no such user.",
            "No existe ese usuario.",
        );
    }
    Ok(())
}

/// Whether there is such a person.
pub async fn exists<C>(cx: &Context<C>, user_id: &UserId) -> Result<bool> {
    match cx.call(GetContact { user_id: user_id.clone() }).await {
        Ok(_) => Ok(true),
        Err(Error::Refused(refusal)) if refusal.problem == USER_NOT_FOUND => Ok(false),
        Err(error) => Err(error),
    }
}
