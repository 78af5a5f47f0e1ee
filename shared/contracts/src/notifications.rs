//! What the others may know of notifications: nothing yet; it only listens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Event, Route, UserId, identity::PersonalData};

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

/// Get what notifications keep of a person, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPersonalData {
    /// Who.
    pub user_id: UserId,
}

impl Endpoint for GetPersonalData {
    const OPERATION: &'static str = "notifications.get_personal_data";
    const ROUTE: Route = Route::get("/internal/notifications/users/{user_id}/personal-data");
    type Response = PersonalData;
}
