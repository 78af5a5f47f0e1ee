//! Opening a session, however its person has shown who they are.

use contracts::identity::DeviceAdded;
use runtime::prelude::*;

use crate::{
    device::{self, Device, Devices},
    person::Person,
    session::Session,
    tokens::SignedIn,
};

/// Opens a session for someone on the device that asks, which may hold a token
/// of its own. If the device is new, its person is told by mail.
pub async fn open<C: Sync>(
    cx: &Context<C>,
    person: &Person,
    mut devices: Stored<Devices>,
    device_token: Option<&str>,
) -> Result<(Changes, SignedIn)> {
    let device = Device::of(cx.sender());
    let seen = devices.see(device_token, &device, cx.random().id(), cx.secret(), cx.now);
    let (id, token) = (cx.random().id(), cx.random().secret());
    let (mut session, token) = Session::open(id, token, person, cx.secret(), cx.now);
    session.on(device.clone(), seen.device_id.clone());

    let mut changes = Changes::new().create(&session);
    if seen.has_changed {
        changes = changes.save(&devices);
    }
    if seen.is_news {
        changes = changes.emit(&DeviceAdded {
            contact: person.contact(),
            session_id: token.session_id().into(),
            device: device.name,
            network: device.network,
            signed_in_at: cx.now,
        });
    }
    let device_token = device::token(&person.id, &seen.device_id, cx.secret());
    Ok((changes, SignedIn::new(cx, person, &token, Some(device_token)).await?))
}
