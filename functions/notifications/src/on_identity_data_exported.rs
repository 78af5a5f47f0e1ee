//! On `identity.data_exported.v1`: the account's owner is told, in case
//! it was someone else.

use contracts::identity::DataExported;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: DataExported) -> Result<()> {
    let news = News::DataExported { exported_at: event.exported_at };
    telling::owner_told(&cx, &event.contact, news).await
}
