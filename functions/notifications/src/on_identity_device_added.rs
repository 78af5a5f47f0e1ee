//! On `identity.device_added.v1`: the account's owner is told of a new
//! device, in case it was someone else.

use contracts::identity::DeviceAdded;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: DeviceAdded) -> Result<()> {
    let news = News::DeviceAdded {
        session_id: event.session_id.to_string(),
        device: event.device,
        network: event.network,
        signed_in_at: event.signed_in_at,
    };
    telling::owner_told(&cx, &event.contact, news).await
}
