//! Ending all of a person's sessions at once.

use runtime::prelude::*;

use crate::{person::Person, session::Session};

/// The most sessions that are marked as ended one by one.
const MOST: u32 = 400;

/// Ends all sessions of a person, who is to be saved with the changes: by their
/// generation, which also ends those that are just being opened, however many
/// they are, and by themselves, as many as a commit takes.
pub async fn end_all<C>(cx: &Context<C>, person: &mut Person) -> Result<Changes> {
    let (sessions, _rest) = cx.query::<Session>(&Session::of(person).limit(MOST)).await?;
    person.end_sessions(cx.now);
    Ok(sessions.into_iter().fold(Changes::new(), |changes, mut session| {
        session.end();
        changes.save(&session)
    }))
}
