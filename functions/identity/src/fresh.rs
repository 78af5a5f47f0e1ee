//! Who has just shown that it's them: what can't be undone takes more than a
//! token that someone may have found.

use runtime::prelude::*;

use crate::{person::Person, session::Session};

/// It's too long ago that they showed who they are.
pub const REAUTHENTICATION_REQUIRED: Problem = Problem::denied(
    "reauthentication-required",
    "Show again that it's you: sign in, or verify a factor or your password, and repeat this within five minutes.",
    "Demuestra otra vez que eres tú: inicia sesión o verifica un factor o tu contraseña, y repítelo antes de cinco minutos.",
);

/// The caller and their session, if they showed who they are within the last
/// five minutes and the session hasn't ended since.
pub async fn fresh<C: Sync>(
    cx: &Context<C>,
    caller: &User,
) -> Result<(Stored<Person>, Stored<Session>)> {
    let (person, session) = tokio::try_join!(
        cx.get::<Person>(caller.id.as_str()),
        cx.get::<Session>(caller.session_id())
    )?;
    let both = person.zip(session);
    let is_fresh = |(person, session): &(Stored<Person>, Stored<Session>)| {
        person.is_active() && session.is_of(person, cx.now) && session.is_fresh(cx.now)
    };
    Ok(both.filter(is_fresh).ok_or(REAUTHENTICATION_REQUIRED)?)
}
