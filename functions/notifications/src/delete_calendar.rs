//! `DELETE /v1/users/{user_id}/calendar`

use runtime::prelude::*;

use crate::{feed::Feed, own::own};

/// Close the address of your calendar: it's worth nothing from then on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCalendar {
    /// Whose: `me`, the caller.
    user_id: UserId,
}

impl Endpoint for DeleteCalendar {
    const OPERATION: &'static str = "notifications.delete_calendar";
    const ROUTE: Route = Route::delete("/v1/users/{user_id}/calendar");
    type Response = ();
}

pub async fn run(cx: Context<User>, request: DeleteCalendar) -> Result<()> {
    let user_id = own(&cx, &request.user_id)?;
    match cx.get::<Feed>(user_id.as_str()).await? {
        Some(feed) => cx.commit(Changes::new().delete(&feed)).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, json};

    use crate::{get_calendar::CALENDAR_NOT_FOUND, tests::app};

    #[tokio::test]
    async fn a_closed_address_opens_nothing() {
        let app = app();
        let ada = app.user("ada");
        let url = ada.post("/v1/users/me/calendar/rotate", json!({})).await.ok()["url"].clone();
        let uri = url.as_str().unwrap().strip_prefix(App::PUBLIC_URL).unwrap();
        app.user("bob").delete("/v1/users/ada/calendar").await.is(FORBIDDEN);
        app.anyone().delete("/v1/users/ada/calendar").await.is(UNAUTHENTICATED);
        app.anyone().get(uri).await.ok();
        for _ in 0..2 {
            assert_eq!(ada.delete("/v1/users/me/calendar").await.status, 204);
            app.anyone().get(uri).await.is(CALENDAR_NOT_FOUND);
        }
    }
}
