//! `GET /v1/users`

use contracts::identity::Role;
use runtime::prelude::*;

use crate::person::{Person, Profile, State};

/// List people.
///
/// Admins see everyone, the newest first, or those whose address begins with
/// something, by their addresses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListUsers {
    /// Only those who may do this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// Only those who are in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    /// Only those whose address begins with this. Its case doesn't matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email_prefix: Option<Line<1, 254>>,
    /// How many to list at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the `next_page_token` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListUsers {
    const OPERATION: &'static str = "identity.list_users";
    const ROUTE: Route = Route::get("/v1/users");
    type Response = Page<Profile>;
}

pub async fn run(cx: Context<Admin>, request: ListUsers) -> Result<Page<Profile>> {
    let (query, token) = (request.query(), request.page_token.as_deref());
    let page = cx.page::<Person>(query, request.page_size, token).await?;
    Ok(page.map(|person| person.profile()))
}

/// The last character there is: every address with a prefix comes before it.
const LAST: char = char::MAX;

impl ListUsers {
    fn query(&self) -> Query {
        let query = match &self.email_prefix {
            None => Query::descending::<Person>("created_at"),
            Some(prefix) => {
                let prefix = prefix.to_lowercase();
                let end = format!("{prefix}{LAST}");
                Query::ascending::<Person>("email").at_least(prefix).at_most(end)
            }
        };
        let query = match self.state {
            Some(state) => query.equals("state", state),
            None => query,
        };
        match self.role {
            Some(role) => query.containing("roles", role),
            None => query,
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, INVALID_PAGE_TOKEN, UNAUTHENTICATED};
    use testing::{App, Value};

    use crate::tests::{app, disable, member, register};

    /// Three people: a disabled one, an admin, and one who hasn't verified their address.
    async fn people() -> App {
        let app = app();
        let bob = member(&app, "bob@example.org").await;
        disable(&app, &bob).await.ok();
        app.advance_minutes(1);
        member(&app, App::ADMIN_EMAIL).await;
        app.advance_minutes(1);
        register(&app, "bobby@example.org").await.ok();
        app
    }

    async fn emails(app: &App, query: &str) -> Vec<String> {
        let page = app.admin("root").get(&format!("/v1/users{query}")).await.ok();
        let email = |it: &Value| it["email"].as_str().expect("an address").to_owned();
        page["items"].as_array().expect("items").iter().map(email).collect()
    }

    #[tokio::test]
    async fn everyone_is_listed_the_newest_first() {
        let app = people().await;
        let all = ["bobby@example.org", "root@aula.example", "bob@example.org"];
        assert_eq!(emails(&app, "").await, all);
    }

    #[tokio::test]
    async fn filters_go_together() {
        let app = people().await;
        let bob = ["bob@example.org"];
        assert_eq!(emails(&app, "?state=disabled").await, bob);
        assert_eq!(emails(&app, "?role=admin").await, ["root@aula.example"]);
        let both = ["bob@example.org", "bobby@example.org"];
        assert_eq!(emails(&app, "?email_prefix=BOB").await, both);
        assert_eq!(emails(&app, "?email_prefix=bob%40").await, bob);
        assert_eq!(emails(&app, "?email_prefix=bob&state=unverified").await, [both[1]]);
        assert_eq!(emails(&app, "?role=student&state=active").await, ["root@aula.example"]);
        assert_eq!(emails(&app, "?role=student&email_prefix=bob").await, both);
        let all = "?role=student&state=disabled&email_prefix=bob";
        assert_eq!(emails(&app, all).await, bob);
        assert!(emails(&app, "?role=instructor&state=disabled").await.is_empty());
        assert!(emails(&app, "?email_prefix=ob").await.is_empty());
    }

    #[tokio::test]
    async fn a_long_list_has_pages() {
        let app = people().await;
        let root = app.admin("root");
        let first = root.get("/v1/users?page_size=2&email_prefix=b").await.ok();
        assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
        let first = root.get("/v1/users?page_size=2").await.ok();
        let token = first["next_page_token"].as_str().unwrap();
        let rest = emails(&app, &format!("?page_size=2&page_token={token}")).await;
        assert_eq!(rest, ["bob@example.org"]);
        let other_list = format!("/v1/users?state=active&page_token={token}");
        root.get(&other_list).await.is(INVALID_PAGE_TOKEN);
    }

    #[tokio::test]
    async fn only_admins_see_who_is_here() {
        let app = people().await;
        app.anyone().get("/v1/users").await.is(UNAUTHENTICATED);
        app.user("eve").get("/v1/users").await.is(FORBIDDEN);
        app.instructor("ines").get("/v1/users").await.is(FORBIDDEN);
        let root = app.admin("root");
        root.get("/v1/users?role=root").await.blames("role", "unknown-value");
        root.get("/v1/users?state=gone").await.blames("state", "unknown-value");
        root.get("/v1/users?name=bob").await.blames("name", "unknown-field");
        root.get("/v1/users?email_prefix=").await.blames("email_prefix", "empty");
    }
}
