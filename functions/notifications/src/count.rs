//! `GET /v1/users/{user_id}/notifications/counts`

use runtime::prelude::*;

use crate::inbox_item::InboxItem;

/// Count a person's notifications.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountNotifications {
    /// Whose: `me` is the caller; another only an admin may name.
    user_id: UserId,
}

/// How many notifications a person has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NotificationCounts {
    /// All of them.
    total: u64,
    /// Those that they haven't read.
    unread: u64,
}

impl Endpoint for CountNotifications {
    const OPERATION: &'static str = "notifications.count";
    const ROUTE: Route = Route::get("/v1/users/{user_id}/notifications/counts");
    type Response = NotificationCounts;
}

pub async fn run(cx: Context<User>, request: CountNotifications) -> Result<NotificationCounts> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let total = cx.count(&InboxItem::of(&user_id)).await?;
    let unread = cx.count(&InboxItem::unread(&user_id)).await?;
    Ok(NotificationCounts { total, unread })
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use crate::tests::{app_with_section, confirmed, left};

    #[tokio::test]
    async fn what_is_unread_is_counted() {
        let app = app_with_section().await;
        let uri = "/v1/users/ada/notifications/counts";
        let ada = app.user("ada");
        assert_eq!(ada.get(uri).await.ok(), json!({ "total": 0, "unread": 0 }));
        app.deliver(&confirmed("ada", 1)).await;
        app.advance_minutes(1);
        app.deliver(&left("ada", 2)).await;
        let until = json!({ "until": "2026-03-02T12:00:00Z" });
        ada.post("/v1/users/me/notifications/mark-read", until).await.ok();
        assert_eq!(ada.get(uri).await.ok(), json!({ "total": 2, "unread": 1 }));
        app.user("bob").get(uri).await.is(FORBIDDEN);
        app.anyone().get(uri).await.is(UNAUTHENTICATED);
        assert_eq!(app.admin("root").get(uri).await.ok()["total"], 2);
    }
}
