//! `GET /v1/health`

use runtime::{prelude::*, problems::UNAVAILABLE};

use super::survey::{Dependency, HealthState, LastError, Service, ServiceKind, Survey, Surveyed};

/// Get the health of the platform.
///
/// Every function and what functions need, each with how it fares. When
/// something that they need doesn't answer, the answer is 503. What has gone
/// wrong is told to admins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetHealth {}

/// How the platform fares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Health {
    /// The worst of all that follows.
    state: HealthState,
    /// The functions, by their ids.
    functions: Vec<FunctionHealth>,
    /// What functions need.
    dependencies: Vec<Dependency>,
}

/// How a function fares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FunctionHealth {
    /// The function's id.
    function: String,
    /// What runs it.
    kind: ServiceKind,
    /// How it fares.
    state: HealthState,
    /// When it failed last, if it doesn't fare well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_at: Option<Timestamp>,
    /// What went wrong then; admins alone are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Endpoint for GetHealth {
    const OPERATION: &'static str = "platform.get_health";
    const ROUTE: Route = Route::get("/v1/health");
    type Response = Health;
}

pub(crate) async fn run(cx: Context<Anyone>, _: GetHealth) -> Result<Health> {
    let Surveyed { services, dependencies } = cx.call(Survey {}).await?;
    let down: Vec<_> = dependencies.iter().filter(|it| it.state == HealthState::Down).collect();
    if !down.is_empty() {
        let names: Vec<_> = down.iter().map(|it| it.name.as_str()).collect();
        let names = names.join(", ");
        let (en, es) = (format!("No answer from {names}."), format!("No responde: {names}."));
        return Err(Refusal::of(UNAVAILABLE).because(en, es).retry_after(1).into());
    }
    let states = services.iter().map(|it| it.state).chain(dependencies.iter().map(|it| it.state));
    let all_well = states.into_iter().all(|state| state == HealthState::Ok);
    let state = if all_well { HealthState::Ok } else { HealthState::Failing };
    let to_admin = cx.caller.user.as_ref().is_some_and(User::is_admin);
    let functions = services.into_iter().map(|it| FunctionHealth::of(it, to_admin)).collect();
    Ok(Health { state, functions, dependencies })
}

impl FunctionHealth {
    fn of(service: Service, to_admin: bool) -> Self {
        let Service { function, kind, state, last_error, .. } = service;
        let error = last_error.filter(|_| state != HealthState::Ok);
        let (failed_at, error) = match error {
            Some(LastError { at, message }) => (Some(at), to_admin.then_some(message)),
            None => (None, None),
        };
        Self { function, kind, state, failed_at, error }
    }
}
