//! `POST /v1/users/{user_id}/notifications/mark-read`

use contracts::notifications::NotificationsRead;
use runtime::prelude::*;

use crate::{inbox_item::InboxItem, own::own};

/// Note that notifications were read.
///
/// Either some that are named, or all that are older than a time; of these the
/// newest 400 at once, and `unread` tells how many are left to ask for again.
/// What was read before stays read since then.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Whose: `me`, the caller.
    user_id: UserId,
    /// The notifications: 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    notification_ids: Option<Vec<String>>,
    /// All that there were at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// What was read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MarkedRead {
    /// How many hadn't been read before.
    marked: u32,
    /// How many still haven't been.
    unread: u64,
}

/// There's no such notification in one's list.
pub const NOTIFICATION_NOT_FOUND: Problem = Problem::not_found(
    "notification-not-found",
    "There is no such notification in your list.",
    "No existe esa notificación en tu lista.",
);

impl Endpoint for MarkRead {
    const OPERATION: &'static str = "notifications.mark_read";
    const ROUTE: Route = Route::act("/v1/users/{user_id}/notifications/mark-read");
    const PROBLEMS: &'static [Problem] = &[NOTIFICATION_NOT_FOUND];
    type Response = MarkedRead;
}

/// How many are marked at once.
const AT_ONCE: u32 = 400;
/// How many may be named.
const NAMED_MOST: usize = 100;

pub async fn run(cx: Context<User>, request: MarkRead) -> Result<MarkedRead> {
    let user_id = own(&cx, &request.user_id)?;
    request.check()?;
    let items = match &request.notification_ids {
        Some(ids) => named(&cx, &user_id, ids).await?,
        None => until(&cx, &user_id, request.until.unwrap_or(cx.now)).await?,
    };
    let unread = cx.count(&InboxItem::unread(&user_id)).await?;
    let (mut changes, mut ids) = (Changes::new(), Vec::new());
    for mut item in items.into_iter().filter(|it| it.unread) {
        item.read(cx.now);
        ids.push(item.id.clone());
        changes = changes.save(&item);
    }
    let marked = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    if marked > 0 {
        let read_at = cx.now;
        changes = changes.emit(&NotificationsRead { user_id, notification_ids: ids, read_at });
    }
    cx.answer(changes, MarkedRead { marked, unread: unread.saturating_sub(marked.into()) }).await
}

impl MarkRead {
    fn check(&self) -> Result<()> {
        let mut faults = Faults::new();
        let count = self.notification_ids.as_ref().map_or(1, Vec::len);
        faults.unless(
            (1..=NAMED_MOST).contains(&count),
            "notification_ids",
            "out-of-range",
            "1 to 100 notifications can be named.",
            "Se pueden nombrar de 1 a 100 notificaciones.",
        );
        faults.unless(
            self.notification_ids.is_some() != self.until.is_some(),
            "notification_ids",
            "one-of",
            "Name either notifications or a time.",
            "Nombra notificaciones o un momento, no ambos.",
        );
        faults.check()
    }
}

async fn named(
    cx: &Context<User>,
    user_id: &UserId,
    ids: &[String],
) -> Result<Vec<Stored<InboxItem>>> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    let found = cx.get_all::<InboxItem>(&ids).await?;
    let own = |it: Option<Stored<InboxItem>>| it.filter(|it| it.user_id == *user_id);
    let items: Option<Vec<_>> = found.into_iter().map(own).collect();
    items.ok_or_else(|| NOTIFICATION_NOT_FOUND.into())
}

async fn until(
    cx: &Context<User>,
    user_id: &UserId,
    until: Timestamp,
) -> Result<Vec<Stored<InboxItem>>> {
    let query = InboxItem::unread(user_id).at_most(until).limit(AT_ONCE);
    Ok(cx.query(&query).await?.0)
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, json};

    use super::*;
    use crate::tests::{app_with_section, confirmed, left};

    const URI: &str = "/v1/users/me/notifications/mark-read";

    async fn with_news() -> (App, Vec<String>) {
        let app = app_with_section().await;
        for revision in [1, 3] {
            app.deliver(&confirmed("ada", revision)).await;
            app.advance_minutes(1);
            app.deliver(&left("ada", revision + 1)).await;
            app.advance_minutes(1);
        }
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        let items = list["items"].as_array().unwrap();
        let ids = items.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        (app, ids)
    }

    #[tokio::test]
    async fn what_was_read_is_so_once_and_is_counted() {
        let (app, ids) = with_news().await;
        let ada = app.user("ada");
        let body = json!({ "notification_ids": [ids[0], ids[2], ids[0]] });
        let marked = ada.post(URI, &body).await.ok();
        assert_eq!(marked, json!({ "marked": 2, "unread": 2 }));
        let read_at =
            ada.get("/v1/users/me/notifications").await.ok()["items"][0]["read_at"].clone();
        app.advance_minutes(1);
        assert_eq!(ada.post(URI, &body).await.ok(), json!({ "marked": 0, "unread": 2 }));
        let items = ada.get("/v1/users/me/notifications").await.ok()["items"].clone();
        assert_eq!(items[0]["read_at"], read_at);
        assert!(items[1]["read_at"].is_null());
        let told = app.emitted::<NotificationsRead>().await;
        assert_eq!((told.len(), told[0].notification_ids.len()), (1, 2));
    }

    #[tokio::test]
    async fn all_until_a_time_are_read_at_once() {
        let (app, _) = with_news().await;
        let ada = app.user("ada");
        let body = json!({ "until": "2026-03-02T12:01:30Z" });
        assert_eq!(ada.post(URI, &body).await.ok(), json!({ "marked": 2, "unread": 2 }));
        let body = json!({ "until": app.now() });
        assert_eq!(ada.post(URI, &body).await.ok(), json!({ "marked": 2, "unread": 0 }));
    }

    #[tokio::test]
    async fn a_repeat_gets_the_first_answer_again() {
        let (app, ids) = with_news().await;
        let body = json!({ "notification_ids": [ids[0]] });
        let first = app.user("ada").post_with_key(URI, &body, "k").await;
        let again = app.user("ada").post_with_key(URI, &body, "k").await;
        assert_eq!((first.ok(), again.header("idempotency-replayed")), (again.ok(), "true"));
    }

    #[tokio::test]
    async fn only_ones_own_are_read_and_only_by_oneself() {
        let (app, ids) = with_news().await;
        let body = json!({ "notification_ids": [ids[0]] });
        let others = "/v1/users/ada/notifications/mark-read";
        app.user("bob").post(URI, &body).await.is(NOTIFICATION_NOT_FOUND);
        app.user("bob").post(others, &body).await.is(FORBIDDEN);
        app.admin("root").post(others, &body).await.is(FORBIDDEN);
        app.anyone().post(URI, &body).await.is(UNAUTHENTICATED);
        let body = json!({ "notification_ids": [ids[0], "gone"] });
        app.user("ada").post(URI, &body).await.is(NOTIFICATION_NOT_FOUND);
    }

    #[tokio::test]
    async fn it_must_be_said_which() {
        let (app, ids) = with_news().await;
        let ada = app.user("ada");
        ada.post(URI, json!({})).await.blames("notification_ids", "one-of");
        let both = json!({ "notification_ids": ids, "until": "2026-03-02T12:00:00Z" });
        ada.post(URI, both).await.blames("notification_ids", "one-of");
        let none = json!({ "notification_ids": [] });
        ada.post(URI, none).await.blames("notification_ids", "out-of-range");
        let many = json!({ "notification_ids": vec!["a"; 101] });
        ada.post(URI, many).await.blames("notification_ids", "out-of-range");
    }
}
