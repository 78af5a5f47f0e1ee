//! On `identity.contact_changed.v1`: messages go where the person wants them.

use contracts::identity::ContactChanged;
use runtime::prelude::*;

use crate::contact;

pub async fn run(cx: Context<System>, event: ContactChanged) -> Result<()> {
    // The contact's revision tells what is known: the event needn't be marked as handled.
    cx.commit_part(contact::learned(&cx, &event.contact).await?).await
}
