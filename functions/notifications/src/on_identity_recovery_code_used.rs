//! On `identity.recovery_code_used.v1`: the account's owner is told.

use contracts::identity::RecoveryCodeUsed;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: RecoveryCodeUsed) -> Result<()> {
    let RecoveryCodeUsed { contact, codes_left, used_at } = event;
    let news = News::RecoveryCodeUsed { codes_left, used_at };
    telling::owner_told(&cx, &contact, news).await
}
