//! On `identity.account_closed.v1`: its owner is told until when that can
//! be undone.

use contracts::identity::AccountClosed;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: AccountClosed) -> Result<()> {
    let AccountClosed { contact, closed_at, erased_at } = event;
    let news = News::AccountClosed { closed_at, erased_at };
    telling::owner_told(&cx, &contact, news).await
}
