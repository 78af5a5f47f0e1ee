//! `GET /v1/users/{user_id}/sessions`

use contracts::identity::USER_NOT_FOUND;
use runtime::prelude::*;

use crate::{
    person::Person,
    session::{ListedSession, Session},
};

/// List the sessions of a person, the last used first.
///
/// Everyone sees their own, an admin anyone's. What has ended isn't listed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSessions {
    /// Whose; `me` for your own.
    user_id: UserId,
    /// How many to list at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the `next_page_token` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListSessions {
    const OPERATION: &'static str = "identity.list_sessions";
    const ROUTE: Route = Route::get("/v1/users/{user_id}/sessions");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND];
    type Response = Page<ListedSession>;
}

pub async fn run(cx: Context<User>, request: ListSessions) -> Result<Page<ListedSession>> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let person = cx.get::<Person>(user_id.as_str()).await?;
    let person = person.filter(|it| !it.is_closed()).ok_or(USER_NOT_FOUND)?;
    let (query, token) = (Session::of(&person), request.page_token.as_deref());
    let page = cx.page::<Session>(query, request.page_size, token).await?;

    // What ran out by itself stands at the end of the list, until the store drops it.
    let found = page.items.len();
    let alive = page.items.iter().filter(|it| it.is_alive(cx.now));
    let items: Vec<_> = alive.filter_map(|it| it.listed(cx.caller.session_id())).collect();
    let next_page_token = page.next_page_token.filter(|_| items.len() == found);
    Ok(Page { items, next_page_token })
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, INVALID_PAGE_TOKEN, UNAUTHENTICATED};
    use testing::Value;

    use super::*;
    use crate::tests::{app, enter, holder, member, refresh};

    const ADA: &str = "ada@example.org";

    fn ids(page: &Value) -> Vec<&str> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|it| it["id"].as_str().expect("an id")).collect()
    }

    #[tokio::test]
    async fn the_session_that_was_used_last_comes_first() {
        let app = app();
        member(&app, ADA).await;
        let phone = enter(&app, ADA).await;
        app.advance_minutes(1);
        let laptop = enter(&app, ADA).await;
        app.advance_minutes(1);
        refresh(&app, &phone["refresh_token"]).await.ok();
        let page = holder(&app, &laptop).get("/v1/users/me/sessions").await.ok();
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!((&items[0]["current"], &items[1]["current"]), (&false.into(), &true.into()));
        assert_eq!((&items[0]["etag"], &items[1]["etag"]), (&"2".into(), &"1".into()));
        assert!(items[0]["updated_at"].as_str() > items[0]["created_at"].as_str());
        let text = page.to_string();
        let token = phone["refresh_token"].as_str().unwrap().split('.').nth(1).unwrap();
        assert!(!text.contains(token) && !text.contains("token\""), "{text}");
    }

    #[tokio::test]
    async fn a_long_list_has_pages() {
        let app = app();
        let ada = member(&app, ADA).await;
        for _ in 0..3 {
            enter(&app, ADA).await;
        }
        let ada = app.user(ada.as_str());
        let first = ada.get("/v1/users/me/sessions?page_size=2").await.ok();
        let token = first["next_page_token"].as_str().unwrap();
        let uri = format!("/v1/users/me/sessions?page_size=2&page_token={token}");
        let second = ada.get(&uri).await.ok();
        assert_eq!((ids(&first).len(), ids(&second).len()), (2, 1));
        assert!(!ids(&first).contains(&ids(&second)[0]));
        assert_eq!(second.get("next_page_token"), None);
        ada.get("/v1/users/me/sessions?page_token=x").await.is(INVALID_PAGE_TOKEN);
        ada.get("/v1/users/me/sessions?page_size=101").await.blames("page_size", "out-of-range");
        ada.get("/v1/users/me/sessions?state=ended").await.blames("state", "unknown-field");
    }

    #[tokio::test]
    async fn what_has_ended_or_run_out_is_not_listed() {
        let app = app();
        let ada = member(&app, ADA).await;
        enter(&app, ADA).await;
        app.advance_minutes(60);
        enter(&app, ADA).await;
        let ada = app.user(ada.as_str());
        let listed = ada.get("/v1/users/me/sessions").await.ok();
        let uri = format!("/v1/users/me/sessions/{}", ids(&listed)[0]);
        ada.delete(&uri).await.ok();
        let left = ada.get("/v1/users/me/sessions").await.ok();
        assert_eq!(ids(&left), [ids(&listed)[1]]);
        app.advance_minutes(30 * 24 * 60 - 60);
        assert!(ids(&ada.get("/v1/users/me/sessions").await.ok()).is_empty());
    }

    #[tokio::test]
    async fn sessions_are_shown_to_their_person_and_to_admins() {
        let app = app();
        let ada = member(&app, ADA).await;
        enter(&app, ADA).await;
        let uri = format!("/v1/users/{ada}/sessions");
        app.anyone().get(&uri).await.is(UNAUTHENTICATED);
        app.user("eve").get(&uri).await.is(FORBIDDEN);
        app.instructor("ines").get(&uri).await.is(FORBIDDEN);
        assert_eq!(ids(&app.user(ada.as_str()).get(&uri).await.ok()).len(), 1);
        assert_eq!(ids(&app.admin("root").get(&uri).await.ok()).len(), 1);
        app.admin("root").get("/v1/users/nobody-here/sessions").await.is(USER_NOT_FOUND);
        app.admin("root").get("/v1/users/a%20b/sessions").await.blames("user_id", "invalid-id");
    }
}
