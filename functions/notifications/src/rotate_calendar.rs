//! `POST /v1/users/{user_id}/calendar/rotate`

use runtime::prelude::*;

use crate::{feed::Feed, own::own};

/// Make the address of your calendar, or another one: the one before is worth
/// nothing from then on.
///
/// It's told this once. Whoever knows it can read when and where you have
/// meetings, and nothing else.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateCalendar {
    /// Whose: `me`, the caller.
    user_id: UserId,
}

/// Where a calendar program finds a person's meetings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CalendarAddress {
    /// The address, with its secret.
    url: String,
    /// Since when it's this one.
    updated_at: Timestamp,
}

impl Endpoint for RotateCalendar {
    const OPERATION: &'static str = "notifications.rotate_calendar";
    const ROUTE: Route = Route::act("/v1/users/{user_id}/calendar/rotate");
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    type Response = CalendarAddress;
}

pub async fn run(cx: Context<User>, request: RotateCalendar) -> Result<CalendarAddress> {
    let user_id = own(&cx, &request.user_id)?;
    let feed = cx.get::<Feed>(user_id.as_str()).await?;
    let mut feed = feed.unwrap_or_else(|| Stored::new(Feed::new(&user_id, cx.now)));
    let secret = cx.random().secret();
    feed.change(&cx, &secret);
    cx.commit(Changes::new().save(&feed)).await?;
    let public_url = &cx.settings().public_url;
    let url = format!("{public_url}/v1/users/{user_id}/calendar?token={secret}");
    Ok(CalendarAddress { url, updated_at: cx.now })
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, json};

    use super::*;
    use crate::{get_calendar::CALENDAR_NOT_FOUND, tests::app};

    #[tokio::test]
    async fn the_address_before_is_worth_nothing_and_the_secret_is_kept_nowhere() {
        let app = app();
        let ada = app.user("ada");
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let url = ada.post("/v1/users/me/calendar/rotate", json!({})).await.ok();
            let url =
                url["url"].as_str().unwrap().strip_prefix(App::PUBLIC_URL).unwrap().to_owned();
            app.anyone().get(&url).await.ok();
            addresses.push(url);
        }
        app.anyone().get(&addresses[0]).await.is(CALENDAR_NOT_FOUND);
        let kept = app.context().get::<Feed>("ada").await.unwrap().unwrap();
        let kept = serde_json::to_string(&*kept).unwrap();
        assert!(!kept.contains(addresses[1].split_once('=').unwrap().1), "{kept}");
    }

    #[tokio::test]
    async fn nobody_else_makes_it() {
        let app = app();
        let uri = "/v1/users/ada/calendar/rotate";
        app.anyone().post(uri, json!({})).await.is(UNAUTHENTICATED);
        app.user("bob").post(uri, json!({})).await.is(FORBIDDEN);
        app.admin("root").post(uri, json!({})).await.is(FORBIDDEN);
    }
}
