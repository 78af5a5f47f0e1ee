//! On `identity.factor_added.v1`: the account's owner is told.

use contracts::identity::FactorAdded;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: FactorAdded) -> Result<()> {
    let FactorAdded { contact, kind: factor, name, added_at } = event;
    let news = News::FactorAdded { factor, name, added_at };
    telling::owner_told(&cx, &contact, news).await
}
