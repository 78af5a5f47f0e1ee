//! On `identity.identity_linked.v1`: the account's owner is told.

use contracts::identity::IdentityLinked;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: IdentityLinked) -> Result<()> {
    let IdentityLinked { contact, provider, linked_at } = event;
    let news = News::IdentityLinked { provider, linked_at };
    telling::owner_told(&cx, &contact, news).await
}
