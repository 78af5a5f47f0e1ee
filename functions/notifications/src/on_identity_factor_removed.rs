//! On `identity.factor_removed.v1`: the account's owner is told.

use contracts::identity::FactorRemoved;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: FactorRemoved) -> Result<()> {
    let FactorRemoved { contact, kind: factor, name, removed_at } = event;
    let news = News::FactorRemoved { factor, name, removed_at };
    telling::owner_told(&cx, &contact, news).await
}
