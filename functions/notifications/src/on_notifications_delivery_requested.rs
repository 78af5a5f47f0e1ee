//! On `notifications.delivery_requested.v1`: the message is sent at once.
//!
//! How far a message has got is noted on it, so a repeated event does no harm.

use contracts::notifications::DeliveryRequested;
use runtime::prelude::*;

use crate::{delivery::Delivery, sending};

pub async fn run(cx: Context<System>, event: DeliveryRequested) -> Result<()> {
    if let Some(delivery) = cx.get::<Delivery>(&event.delivery_id).await? {
        sending::look_after(&cx, delivery).await?;
    }
    Ok(())
}
