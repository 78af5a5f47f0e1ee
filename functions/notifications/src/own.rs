//! One's own: what only the person themself may change, not an admin either.

use runtime::{prelude::*, problems::FORBIDDEN};

/// The caller's own id, if that is whom a path means.
pub fn own(cx: &Context<User>, user_id: &UserId) -> Result<UserId> {
    let user_id = cx.caller.resolve(user_id)?;
    if user_id == cx.caller.id { Ok(user_id) } else { Err(FORBIDDEN.into()) }
}
