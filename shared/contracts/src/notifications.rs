//! What the others may know of notifications: nothing yet; it only listens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// A message is to be sent now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryRequested {
    /// The message.
    pub delivery_id: String,
}

impl Event for DeliveryRequested {
    const TYPE: &'static str = "notifications.delivery_requested.v1";
    fn subject(&self) -> String {
        self.delivery_id.clone()
    }
}
