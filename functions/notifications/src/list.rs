//! `GET /v1/users/{user_id}/notifications`

use contracts::TimeZone;
use runtime::prelude::*;

use crate::{
    contact::KnownContact,
    dates::Reader,
    inbox_item::InboxItem,
    news::Kind,
    words::{self, Words},
};

/// List a person's notifications, the newest first.
///
/// Times are told in the person's own zone, and everything in the language of
/// the request. One-time codes aren't here: they come by mail alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListNotifications {
    /// Whose: `me` is the caller; another only an admin may name.
    user_id: UserId,
    /// Only those that were not read yet, or only those that were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unread: Option<bool>,
    /// How many at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

/// News for a person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Notification")]
pub struct NotificationView {
    /// Its id; that of its message too.
    id: String,
    /// What it is about.
    kind: Kind,
    /// One line that says what it is about.
    title: String,
    /// The news itself.
    body: String,
    /// The resource that it is about: `enrollments/` or `users/`, and its id.
    #[serde(rename = "ref")]
    reference: String,
    /// Since when it's there.
    created_at: Timestamp,
    /// When the person read it; absent until they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
}

impl Endpoint for ListNotifications {
    const OPERATION: &'static str = "notifications.list";
    const ROUTE: Route = Route::get("/v1/users/{user_id}/notifications");
    type Response = Page<NotificationView>;
}

pub async fn run(cx: Context<User>, request: ListNotifications) -> Result<Page<NotificationView>> {
    let ListNotifications { user_id, unread, page_size, page_token } = request;
    let user_id = cx.caller.resolve(&user_id)?;
    let mut query = InboxItem::of(&user_id);
    if let Some(unread) = unread {
        query = query.equals("unread", unread);
    }
    let page = cx.page(query, page_size, page_token.as_deref()).await?;
    let contact = cx.get::<KnownContact>(user_id.as_str()).await?;
    let time_zone = contact.map_or_else(TimeZone::default, |it| it.into_inner().contact.time_zone);
    let reader = Reader { language: cx.language, time_zone: &time_zone };
    Ok(page.map(|item: Stored<InboxItem>| view(item.into_inner(), reader)))
}

fn view(item: InboxItem, reader: Reader<'_>) -> NotificationView {
    let Words { title, lead, .. } = words::of(&item.news, item.titles.as_ref(), reader);
    NotificationView {
        id: item.id,
        kind: item.kind,
        title,
        body: lead,
        reference: item.reference,
        created_at: item.created_at,
        read_at: item.read_at,
    }
}

#[cfg(test)]
mod tests {
    use contracts::identity::ContactChanged;
    use runtime::problems::{FORBIDDEN, INVALID_PAGE_TOKEN, UNAUTHENTICATED};
    use testing::{App, json};

    use crate::tests::{app_with_section, confirmed, contact, left};

    const MINE: &str = "/v1/users/me/notifications";

    async fn with_news() -> App {
        let app = app_with_section().await;
        app.deliver(&ContactChanged { contact: contact("ada") }).await;
        for revision in [1, 3] {
            app.deliver(&confirmed("ada", revision)).await;
            app.advance_minutes(1);
            app.deliver(&left("ada", revision + 1)).await;
            app.advance_minutes(1);
        }
        app
    }

    #[tokio::test]
    async fn news_is_listed_newest_first_in_the_callers_language() {
        let app = with_news().await;
        let list = app.user("ada").in_language("es").get(MINE).await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), 4);
        let newest = &list["items"][0];
        let id = newest["id"].clone();
        let expected = json!({
            "id": id,
            "kind": "cancelled",
            "title": "Cancelaste tu inscripción: Rust",
            "body": "Cancelaste tu inscripción en Rust (Evenings).",
            "ref": "enrollments/e-ada",
            "created_at": "2026-03-02T12:03:00.000Z",
        });
        assert_eq!(*newest, expected);
        let list = app.user("ada").in_language("en").get(MINE).await.ok();
        assert_eq!(list["items"][1]["body"], "You have a seat in Rust (Evenings).");
    }

    #[tokio::test]
    async fn what_is_unread_can_be_asked_for_alone() {
        let app = with_news().await;
        let ada = app.user("ada");
        let until = json!({ "until": "2026-03-02T12:01:00Z" });
        ada.post("/v1/users/me/notifications/mark-read", until).await.ok();
        for (filter, count) in [("", 4), ("?unread=true", 2), ("?unread=false", 2)] {
            let list = ada.get(&format!("{MINE}{filter}")).await.ok();
            assert_eq!(list["items"].as_array().unwrap().len(), count, "{filter}");
        }
        ada.get(&format!("{MINE}?unread=perhaps")).await.blames("unread", "wrong-type");
    }

    #[tokio::test]
    async fn pages_follow_one_another() {
        let app = with_news().await;
        let first = app.user("ada").get(&format!("{MINE}?page_size=3")).await.ok();
        let token = first["next_page_token"].as_str().unwrap();
        let uri = format!("{MINE}?page_size=3&page_token={token}");
        let second = app.user("ada").get(&uri).await.ok();
        assert_eq!(second["items"].as_array().unwrap().len(), 1);
        assert!(second["next_page_token"].is_null());
        app.user("bob").get(&uri).await.is(INVALID_PAGE_TOKEN);
        app.user("ada")
            .get(&format!("{MINE}?page_size=0"))
            .await
            .blames("page_size", "out-of-range");
    }

    #[tokio::test]
    async fn only_the_person_and_admins_may_read_it() {
        let app = with_news().await;
        let uri = "/v1/users/ada/notifications";
        app.anyone().get(uri).await.is(UNAUTHENTICATED);
        app.user("bob").get(uri).await.is(FORBIDDEN);
        app.instructor("ines").get(uri).await.is(FORBIDDEN);
        assert_eq!(app.admin("root").get(uri).await.ok()["items"].as_array().unwrap().len(), 4);
        assert_eq!(app.user("bob").get(MINE).await.ok()["items"].as_array().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn an_undeclared_filter_is_refused_by_name() {
        let app = with_news().await;
        let answer = app.user("ada").get(&format!("{MINE}?kind=enrolled")).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["errors"][0]["field"], "kind");
    }
}
