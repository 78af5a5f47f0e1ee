//! `GET /v1/services`

use runtime::prelude::*;

use super::survey::{Service, Survey};

/// List the functions of the platform.
///
/// Every one with its revision, where it answers, how it fares, and what has
/// gone wrong last. One that fails three checks in a row gets no requests until
/// it's well again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListServices {}

/// The functions of the platform.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Services {
    /// All of them, by their ids.
    items: Vec<Service>,
}

impl Endpoint for ListServices {
    const OPERATION: &'static str = "platform.list_services";
    const ROUTE: Route = Route::get("/v1/services");
    type Response = Services;
}

pub(crate) async fn run(cx: Context<Admin>, _: ListServices) -> Result<Services> {
    let mut items = cx.call(Survey {}).await?.services;
    items.sort_by(|one, other| one.function.cmp(&other.function));
    Ok(Services { items })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use contracts::identity::Role;
    use runtime::{Bytes, Client, Front, Outgoing, Trace};
    use serde_json::{Value, json};
    use testing::App;
    use tower::ServiceExt as _;

    use super::super::survey::{Dependency, HealthState, LastError, ServiceKind, Surveyed};
    use super::*;

    /// What the surveyor tells.
    struct Told(Mutex<Surveyed>);

    #[async_trait]
    impl Client for Told {
        async fn send(&self, request: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
            assert_eq!(request.operation, Survey::OPERATION);
            self.0.lock().unwrap().answer()
        }
    }

    fn service(function: &str, state: HealthState) -> Service {
        let at = Timestamp::from_millis(5);
        Service {
            function: function.to_owned(),
            kind: ServiceKind::Operation,
            revision: "1".to_owned(),
            url: "http://localhost".to_owned(),
            state,
            discoverable: state == HealthState::Ok,
            failures_in_a_row: 3,
            checked_at: None,
            last_error: Some(LastError { at, message: "out of ink".to_owned() }),
        }
    }

    async fn ask(told: Surveyed, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let app = App::of(courses::domain);
        let front = Front { limits: None, ports: app.ports().clone() };
        let router = super::super::router(&front, Arc::new(Told(Mutex::new(told))));
        let mut request = Request::get(path);
        if let Some(role) = role {
            let token = app.token("root", &[role], "s").await;
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = runtime::with_front(router, &front);
        let answer = answer.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn told() -> Surveyed {
        Surveyed {
            services: vec![service("b.x", HealthState::Down), service("a.x", HealthState::Ok)],
            dependencies: vec![Dependency::of("bus".to_owned(), true)],
        }
    }

    #[tokio::test]
    async fn admins_alone_are_told_where_functions_answer() {
        let (status, services) = ask(told(), "/v1/services", Some(Role::Admin)).await;
        assert_eq!(status, 200);
        assert_eq!(services["items"][0]["function"], "a.x");
        assert_eq!(services["items"][1]["discoverable"], false);
        assert_eq!(services["items"][1]["last_error"]["message"], "out of ink");
        assert_eq!(ask(told(), "/v1/services", None).await.0, 401);
        assert_eq!(ask(told(), "/v1/services", Some(Role::Instructor)).await.0, 403);
        assert_eq!(ask(told(), "/v1/services?x=1", Some(Role::Admin)).await.0, 400);
    }

    #[tokio::test]
    async fn health_tells_anyone_how_things_are_and_admins_why() {
        let (status, health) = ask(told(), "/v1/health", None).await;
        assert_eq!((status.as_u16(), &health["state"]), (200, &json!("failing")));
        let failed = &health["functions"][0];
        assert_eq!(
            (&failed["state"], &failed["failed_at"]),
            (&json!("down"), &json!(Timestamp::from_millis(5)))
        );
        assert_eq!(failed.get("error"), None);
        assert_eq!(health["functions"][1].get("failed_at"), None);
        let (_, health) = ask(told(), "/v1/health", Some(Role::Admin)).await;
        assert_eq!(health["functions"][0]["error"], "out of ink");
        let gone = Surveyed {
            dependencies: vec![Dependency::of("store/courses".to_owned(), false)],
            ..Surveyed::default()
        };
        let (status, problem) = ask(gone, "/v1/health", None).await;
        assert_eq!((status.as_u16(), &problem["reason"]), (503, &json!("unavailable")));
        assert_eq!(problem["detail"], "No answer from store/courses.");
    }
}
