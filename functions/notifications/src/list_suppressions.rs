//! `GET /v1/suppressions`

use runtime::prelude::*;

use crate::{
    contact::KnownContact,
    suppression::{self, Cause, Suppression},
};

/// List the addresses that nothing is sent to, the newest first, and why.
///
/// They're kept by a seal that tells nobody what they are; ask by a person to
/// see whether theirs is among them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSuppressions {
    /// Only the address that this person has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// How many at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

/// An address that nothing is sent to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Suppression")]
pub struct ShownSuppression {
    /// Its id: the seal of the address.
    id: String,
    /// Why nothing is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// How often mail came back lately that could have arrived another time.
    soft_bounces: u32,
    /// The message that was the last one, if it's known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    /// Since when nothing is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suppressed_at: Option<Timestamp>,
    /// When it first came to this.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// Changes with each change.
    etag: String,
}

impl Endpoint for ListSuppressions {
    const OPERATION: &'static str = "notifications.list_suppressions";
    const ROUTE: Route = Route::get("/v1/suppressions");
    type Response = Page<ShownSuppression>;
}

pub async fn run(cx: Context<Admin>, request: ListSuppressions) -> Result<Page<ShownSuppression>> {
    let ListSuppressions { user_id, page_size, page_token } = request;
    let Some(user_id) = user_id else {
        let page = cx.page(Suppression::all(), page_size, page_token.as_deref()).await?;
        return Ok(page.map(|it: Stored<Suppression>| shown(it.into_inner())));
    };
    let items = match cx.get::<KnownContact>(user_id.as_str()).await? {
        Some(contact) => Some(suppression::of(&cx, &contact.contact.email).await?),
        None => None,
    };
    let items = items.filter(|it| it.cause.is_some()).map(|it| shown(it.into_inner()));
    Ok(Page { items: items.into_iter().collect(), next_page_token: None })
}

fn shown(it: Suppression) -> ShownSuppression {
    ShownSuppression {
        id: it.id,
        cause: it.cause,
        soft_bounces: it.soft_bounces,
        delivery_id: it.delivery_id,
        suppressed_at: it.suppressed_at,
        created_at: it.created_at,
        updated_at: it.updated_at,
        etag: it.revision.to_string(),
    }
}

#[cfg(test)]
pub mod tests {
    use contracts::identity::ContactChanged;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::App;

    use super::*;
    use crate::tests::{app, contact};

    /// Someone whose mailbox is gone, and someone who complained a minute later.
    pub async fn suppressed() -> App {
        let app = app();
        for (name, cause) in [("ada", Cause::HardBounce), ("bob", Cause::Complaint)] {
            app.deliver(&ContactChanged { contact: contact(name) }).await;
            let cx = app.context();
            let mut it = suppression::of(&cx, &contact(name).email).await.unwrap();
            it.suppress(cause, cx.now);
            cx.commit(Changes::new().save(&it)).await.unwrap();
            app.advance_minutes(1);
        }
        app.deliver(&ContactChanged { contact: contact("cid") }).await;
        app
    }

    #[tokio::test]
    async fn admins_see_what_is_suppressed_and_whether_someones_address_is() {
        let app = suppressed().await;
        let root = app.admin("root");
        let list = root.get("/v1/suppressions").await.ok();
        assert!(!list.to_string().contains("mail.example"), "{list}");
        let causes: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|it| it["cause"].clone()).collect();
        assert_eq!(causes, ["complaint", "hard_bounce"]);
        let of = async |name: &str| {
            root.get(&format!("/v1/suppressions?user_id={name}")).await.ok()["items"].clone()
        };
        assert_eq!(of("ada").await[0], list["items"][1]);
        for name in ["cid", "nobody"] {
            assert_eq!(of(name).await.as_array().map(Vec::len), Some(0));
        }
    }

    #[tokio::test]
    async fn nobody_else_does() {
        let app = suppressed().await;
        app.anyone().get("/v1/suppressions").await.is(UNAUTHENTICATED);
        app.user("ada").get("/v1/suppressions").await.is(FORBIDDEN);
        app.instructor("ines").get("/v1/suppressions?user_id=ines").await.is(FORBIDDEN);
    }
}
