//! Digesting: what a digest tells, as it is when the digest is written.

use std::collections::HashMap;

use runtime::prelude::*;

use crate::{
    delivery::Delivery,
    digest::Digest,
    inbox_item::Titles,
    message::Item,
    preferences::{self, MailWhen},
    section,
    sending::unwanted,
};

/// What a digest tells: what still holds, and is still wanted.
pub async fn items(cx: &Context<System>, digest_id: &str) -> Result<Vec<Item>> {
    let Some(digest) = cx.get::<Digest>(digest_id).await? else { return Ok(Vec::new()) };
    let preferences = preferences::of(cx, &digest.user_id).await?;
    let deliveries = cx.get_all::<Delivery>(&digest.delivery_ids).await?;
    let (mut items, mut sections) = (Vec::new(), HashMap::new());
    for delivery in deliveries.into_iter().flatten() {
        if preferences.mail(delivery.kind) == MailWhen::Off {
            continue;
        }
        let mut section = None;
        if let Some(about) = delivery.news.about() {
            if !sections.contains_key(&about.section_id) {
                let found = section::of(cx, &about.section_id).await?;
                sections.insert(about.section_id.clone(), found);
            }
            section = sections.get(&about.section_id).and_then(Option::as_ref);
            if section.is_none() {
                continue;
            }
        }
        if unwanted(cx, &delivery, section).await?.is_none() {
            let titles = section.map(Titles::of);
            items.push(Item { news: delivery.into_inner().news, titles });
        }
    }
    Ok(items)
}
