//! A survey of the platform: what whoever runs the functions knows of them.

use contracts::{Endpoint, Route, Timestamp};
use runtime::{Bytes, Function, Trigger};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Survey the platform.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Survey {}

impl Endpoint for Survey {
    const OPERATION: &'static str = "gateway.survey";
    const ROUTE: Route = Route::get("/internal/gateway/survey");
    type Response = Surveyed;
}

/// What is known of the platform.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Surveyed {
    pub services: Vec<Service>,
    pub dependencies: Vec<Dependency>,
}

impl Surveyed {
    /// As the answer of a client.
    pub fn answer(&self) -> anyhow::Result<(u16, Bytes)> {
        Ok((200, serde_json::to_vec(self)?.into()))
    }
}

/// What runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServiceKind {
    /// A request.
    Operation,
    /// An event.
    Subscriber,
    /// The clock.
    Job,
}

impl ServiceKind {
    /// What runs a function.
    pub fn of(function: &Function) -> Self {
        match function.trigger {
            Trigger::Http(_) => Self::Operation,
            Trigger::Event(_) => Self::Subscriber,
            Trigger::Schedule(_) => Self::Job,
        }
    }
}

/// How something fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthState {
    /// Well.
    Ok,
    /// It answers, but something has gone wrong lately.
    Failing,
    /// It doesn't answer.
    Down,
}

/// Something that has gone wrong.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LastError {
    /// When.
    pub at: Timestamp,
    /// What, for operators.
    pub message: String,
}

/// A function, and where it answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Service {
    /// The function's id.
    pub function: String,
    /// What runs it.
    pub kind: ServiceKind,
    /// Which version of the program it runs.
    pub revision: String,
    /// Where it answers.
    pub url: String,
    /// How it fares.
    pub state: HealthState,
    /// Whether it's sent requests. Not after three failed checks in a row,
    /// until one succeeds.
    pub discoverable: bool,
    /// How often in a row it has failed.
    pub failures_in_a_row: u32,
    /// When it was checked last; null: it's watched as it runs.
    pub checked_at: Option<Timestamp>,
    /// What has gone wrong last; null: nothing since it was started.
    pub last_error: Option<LastError>,
}

/// Something that functions need.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Dependency {
    /// What it is.
    #[serde(rename = "dependency")]
    pub name: String,
    /// How it fares.
    pub state: HealthState,
    /// How many deliveries of events aren't settled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<u64>,
    /// How many events some subscriber couldn't take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
}

impl Dependency {
    /// One that answers, or doesn't.
    pub fn of(name: String, answers: bool) -> Self {
        let state = if answers { HealthState::Ok } else { HealthState::Down };
        Self { name, state, unsettled: None, dead_letters: None }
    }
}
