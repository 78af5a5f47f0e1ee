//! Whether whoever acts as an admin is one still. A token says what its holder was
//! when it was made, up to a quarter of an hour ago; who was thrown out meanwhile
//! must not put themselves back, nor throw out others.

use contracts::identity::Role;
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::person::Person;

/// Refuses who is an admin no longer.
pub async fn still_admin(cx: &Context<User>) -> Result<()> {
    let caller = cx.get::<Person>(cx.caller.id.as_str()).await?;
    match caller {
        Some(it) if !it.is_active() || !it.roles.contains(&Role::Admin) => Err(FORBIDDEN.into()),
        _ => Ok(()),
    }
}
