//! Telling: what must be kept so that a person hears of something.

use runtime::prelude::*;

use contracts::notifications::DeliveryRequested;

use crate::{
    delivery::{self, Delivery, Reason},
    inbox_item::InboxItem,
    news::News,
    section::KnownSection,
};

/// The changes that have a person told: the message, the item in their list,
/// and the event that has the message sent. They belong into the commit of
/// what is told; what guards that against repeats guards these too.
pub fn told(
    cx: &Context<System>,
    user_id: &UserId,
    news: News,
    section: Option<&KnownSection>,
) -> Changes {
    let host = delivery::mail_host(&cx.settings().public_url);
    let delivery = Delivery::new(user_id, news.clone(), host, cx.now);
    let requested = DeliveryRequested { delivery_id: delivery.id.clone() };
    let changes = Changes::new().create(&delivery).emit(&requested);
    if news.is_listed() {
        changes.create(&InboxItem::new(user_id, news, section, cx.now))
    } else {
        changes
    }
}

/// The changes that record that a person isn't told, and why.
pub fn untold(cx: &Context<System>, user_id: &UserId, news: News, reason: Reason) -> Changes {
    let host = delivery::mail_host(&cx.settings().public_url);
    let mut delivery = Delivery::new(user_id, news, host, cx.now);
    delivery.skip(reason, cx.now);
    Changes::new().create(&delivery)
}

/// The same as [`told`], for news that nothing else guards against repeats:
/// nothing if there's such a message already.
pub async fn told_once(cx: &Context<System>, user_id: &UserId, news: News) -> Result<Changes> {
    let known = cx.get::<Delivery>(&news.id(user_id)).await?;
    Ok(if known.is_some() { Changes::new() } else { told(cx, user_id, news, None) })
}
