//! What the others may know of notifications: what people have read, what they
//! want to hear of, and what came back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Event, Route, Timestamp, UserId, identity::PersonalData};

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

/// A person has read some notifications.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NotificationsRead {
    /// Who.
    pub user_id: UserId,
    /// What they have read.
    pub notification_ids: Vec<String>,
    /// When.
    pub read_at: Timestamp,
}

impl Event for NotificationsRead {
    const TYPE: &'static str = "notifications.read.v1";
    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// A person wants to hear of other things than before, or at other times.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreferencesUpdated {
    /// Who.
    pub user_id: UserId,
}

impl Event for PreferencesUpdated {
    const TYPE: &'static str = "notifications.preferences_updated.v1";
    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// A message came back, or its reader complained of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryBounced {
    /// The message.
    pub delivery_id: String,
    /// Who it was for.
    pub user_id: UserId,
}

impl Event for DeliveryBounced {
    const TYPE: &'static str = "notifications.delivery_bounced.v1";
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
