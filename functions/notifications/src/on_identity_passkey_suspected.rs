//! On `identity.passkey_suspected.v1`: the account's owner is told.

use contracts::identity::PasskeySuspected;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: PasskeySuspected) -> Result<()> {
    let PasskeySuspected { contact, name, noticed_at } = event;
    let news = News::PasskeySuspected { name, noticed_at };
    telling::owner_told(&cx, &contact, news).await
}
