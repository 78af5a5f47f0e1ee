//! An erasure: somebody of whom nothing is kept any more, so that what is told
//! of them late isn't kept either.
//!
//! It's known by a seal, which tells nobody who they were, and forgotten when
//! nothing is told of them any more.

use runtime::prelude::*;

/// Somebody was erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Erasure {
    id: String,
    expires_at: Timestamp,
}

/// For how many days: longer than any bus keeps an event.
const KEPT_DAYS: i64 = 40;

impl Document for Erasure {
    const COLLECTION: &'static str = "erasures";
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Erasure {
    /// Of somebody, now.
    pub fn new<C>(cx: &Context<C>, user_id: &UserId) -> Self {
        Self { id: id(cx, user_id), expires_at: cx.now.plus_minutes(KEPT_DAYS * 24 * 60) }
    }
}

fn id<C>(cx: &Context<C>, user_id: &UserId) -> String {
    cx.secret().seal_text("erasure", &[user_id.as_str()])
}

/// Whether somebody was erased.
pub async fn is_erased<C>(cx: &Context<C>, user_id: &UserId) -> Result<bool> {
    Ok(cx.get::<Erasure>(&id(cx, user_id)).await?.is_some())
}
