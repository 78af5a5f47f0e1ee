//! `GET /v1/deliveries`

use runtime::prelude::*;

use crate::{
    delivery::{Delivery, DeliveryState, Reason},
    news::Kind,
};

/// List the messages that were sent, skipped, delayed or lost, the newest
/// first, and why.
///
/// Admins see everyone's; everyone else their own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    /// Only messages to this person: `me` is the caller; another only an admin may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// Only messages that have got so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<DeliveryState>,
    /// Only messages that were skipped, delayed, lost or given up because of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// Only messages of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// How many at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

/// The way that a message goes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mail.
    Email,
}

/// One message to one person, and how far it has got.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub struct DeliveryView {
    /// Its id.
    id: String,
    /// To whom.
    user_id: UserId,
    /// What it is about.
    kind: Kind,
    /// The resource that it is about: `enrollments/` or `users/`, and its id.
    #[serde(rename = "ref")]
    reference: String,
    /// The way that it goes.
    channel: Channel,
    /// How far it has got.
    state: DeliveryState,
    /// Why it was skipped, delayed, lost or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// What the provider said last, without addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// How often it was handed to the provider.
    attempts: u32,
    /// When it is looked after next; absent when there's nothing more to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// When the provider took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    /// When an admin had it sent once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resent_at: Option<Timestamp>,
    /// Its `Message-ID`, without angle brackets.
    message_id: String,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// Changes with each change.
    etag: String,
}

impl Endpoint for ListDeliveries {
    const OPERATION: &'static str = "notifications.list_deliveries";
    const ROUTE: Route = Route::get("/v1/deliveries");
    type Response = Page<DeliveryView>;
}

pub async fn run(cx: Context<User>, request: ListDeliveries) -> Result<Page<DeliveryView>> {
    let ListDeliveries { user_id, state, reason, kind, page_size, page_token } = request;
    let user_id = match user_id {
        Some(user_id) => Some(cx.caller.resolve(&user_id)?),
        None if cx.caller.is_admin() => None,
        None => Some(cx.caller.id.clone()),
    };
    let mut query = Query::descending::<Delivery>("created_at");
    if let Some(user_id) = user_id {
        query = query.equals("user_id", user_id);
    }
    if let Some(state) = state {
        query = query.equals("state", state);
    }
    if let Some(kind) = kind {
        query = query.equals("kind", kind);
    }
    if let Some(reason) = reason {
        query = query.equals("reason", reason);
    }
    let page = cx.page(query, page_size, page_token.as_deref()).await?;
    Ok(page.map(|delivery: Stored<Delivery>| DeliveryView::of(delivery.into_inner())))
}

impl DeliveryView {
    /// A message as it is now.
    pub fn of(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            user_id: delivery.user_id,
            kind: delivery.kind,
            reference: delivery.reference,
            channel: Channel::Email,
            state: delivery.state,
            reason: delivery.reason,
            last_error: delivery.last_error,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            sent_at: delivery.sent_at,
            resent_at: delivery.resent_at,
            message_id: delivery.message_id,
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
            etag: delivery.revision.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, Value};

    use crate::tests::{app_with_section, confirmed, left};

    async fn with_messages() -> App {
        let app = app_with_section().await;
        for name in ["ada", "bob", "nobody"] {
            app.deliver(&confirmed(name, 1)).await;
            app.advance_seconds(1);
        }
        app.settle().await;
        app.deliver(&left("ada", 2)).await;
        app
    }

    async fn ids(answer: impl Future<Output = testing::Answer>) -> Vec<String> {
        let body = answer.await.ok();
        let items = body["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|it| format!("{} {}", it["kind"], it["user_id"]).replace('"', ""))
            .collect()
    }

    #[tokio::test]
    async fn admins_see_everyones_and_choose() {
        let app = with_messages().await;
        let root = app.admin("root");
        let all = ["cancelled ada", "enrolled nobody", "enrolled bob", "enrolled ada"];
        assert_eq!(ids(root.get("/v1/deliveries")).await, all);
        for (filter, found) in [
            ("user_id=ada", vec!["cancelled ada", "enrolled ada"]),
            ("state=skipped", vec!["enrolled nobody"]),
            ("kind=enrolled", vec!["enrolled nobody", "enrolled bob", "enrolled ada"]),
            ("user_id=ada&state=sent", vec!["enrolled ada"]),
            ("user_id=ada&kind=cancelled", vec!["cancelled ada"]),
            ("state=scheduled&kind=cancelled", vec!["cancelled ada"]),
            ("user_id=bob&state=sent&kind=enrolled", vec!["enrolled bob"]),
            ("reason=no_contact", vec!["enrolled nobody"]),
            ("reason=no_contact&user_id=ada", vec![]),
            ("reason=no_contact&state=skipped&kind=enrolled", vec!["enrolled nobody"]),
            ("user_id=me", vec![]),
        ] {
            assert_eq!(ids(root.get(&format!("/v1/deliveries?{filter}"))).await, found, "{filter}");
        }
    }

    #[tokio::test]
    async fn everyone_else_sees_their_own() {
        let app = with_messages().await;
        let own = ["cancelled ada", "enrolled ada"];
        assert_eq!(ids(app.user("ada").get("/v1/deliveries")).await, own);
        assert_eq!(
            ids(app.user("ada").get("/v1/deliveries?user_id=me&state=sent")).await,
            own[1..]
        );
        app.user("ada").get("/v1/deliveries?user_id=bob").await.is(FORBIDDEN);
        app.instructor("ines").get("/v1/deliveries?user_id=bob").await.is(FORBIDDEN);
        app.anyone().get("/v1/deliveries").await.is(UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn a_message_is_told_with_how_far_it_has_got() {
        let app = with_messages().await;
        let body = app.user("bob").get("/v1/deliveries").await.ok();
        let Value::Object(it) = &body["items"][0] else { panic!("{body}") };
        assert_eq!(it["ref"], "enrollments/e-bob");
        assert_eq!((&it["channel"], &it["state"]), (&"email".into(), &"sent".into()));
        assert_eq!((&it["attempts"], &it["etag"]), (&1.into(), &"3".into()));
        assert_eq!(it["sent_at"], "2026-03-02T12:00:03.000Z");
        assert!(!it.contains_key("due_at") && !it.contains_key("reason"));
        let message_id = it["message_id"].as_str().unwrap();
        assert!(message_id.starts_with("enrolled.") && message_id.ends_with("@aula.example"));
    }

    #[tokio::test]
    async fn bad_filters_are_refused_by_name() {
        let app = with_messages().await;
        let root = app.admin("root");
        for (filter, field) in [
            ("state=gone", "state"),
            ("kind=advert", "kind"),
            ("reason=boredom", "reason"),
            ("user_id=a%20b", "user_id"),
            ("channel=email", "channel"),
            ("page_size=1000", "page_size"),
        ] {
            let answer = root.get(&format!("/v1/deliveries?{filter}")).await;
            assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (400, &field.into()));
        }
    }
}
