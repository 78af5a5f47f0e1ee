//! Every five minutes: digests whose hour has come on their person's clock
//! become messages.

use runtime::prelude::*;

use crate::{delivery::Delivery, digest::Digest, news::News, telling};

/// Turn the digests that are due into messages.
#[derive(Default)]
pub struct SendDigests;

impl Job for SendDigests {
    const NAME: &'static str = "notifications.send_digests";
    const SCHEDULE: &'static str = "*/5 * * * *";
}

/// How long a run goes on, in seconds: the next tick goes on from there.
const LONGEST_SECONDS: i64 = 120;

pub async fn run(cx: Context<System>, _: SendDigests) -> Result<()> {
    let mut place = None;
    while cx.clock() < cx.now.plus_seconds(LONGEST_SECONDS) {
        let query = Digest::due(cx.now).limit(100).after(place);
        let (due, next) = cx.query::<Digest>(&query).await?;
        for digest in due {
            match send(&cx, digest).await {
                // Another run has sent it, or more has come to it: the next tick sees.
                Err(Error::Stale(_)) => {}
                other => other?,
            }
        }
        place = next;
        if place.is_none() {
            break;
        }
    }
    Ok(())
}

/// Makes one message of a digest, and of the messages in it what it tells.
async fn send(cx: &Context<System>, mut digest: Stored<Digest>) -> Result<()> {
    let (digest_id, day) = (digest.id().to_owned(), digest.day.clone());
    let news = News::Digest { digest_id, day };
    let mut changes = telling::told_once(cx, &digest.user_id, news, None).await?;
    let told = cx.get_all::<Delivery>(&digest.delivery_ids).await?;
    for mut delivery in told.into_iter().flatten() {
        delivery.digest(cx.now);
        changes = changes.save(&delivery);
    }
    digest.close();
    cx.commit_part(changes.save(&digest)).await
}

#[cfg(test)]
mod tests {
    use contracts::{TimeZone, UserId};
    use testing::{App, json};

    use super::*;
    use crate::{
        delivery::{DeliveryState, Reason},
        digest::{self, Window},
        news::Kind,
        tests::{app, app_with_section, confirmed, deliveries, go_to, left, time},
    };

    const JOB: &str = SendDigests::NAME;

    /// Someone in Madrid who wants their reminders once a day, at eight; one is collected.
    async fn collected() -> App {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        wants(&app, "1", "daily").await;
        go_to(&app, "2026-03-08T22:00:00Z");
        remind(&app).await;
        assert_eq!(
            fate(&app, Kind::Reminder).await,
            (DeliveryState::Collected, Some(Reason::Daily))
        );
        app
    }

    async fn wants(app: &App, etag: &str, when: &str) {
        let body = json!({ "kinds": [{ "kind": "reminder", "mail": when }] });
        app.user("ada").patch("/v1/users/me/notification-preferences", body, etag).await.ok();
    }

    async fn remind(app: &App) {
        app.run_job("notifications.send_reminders").await;
        app.settle().await;
    }

    async fn digest(app: &App) {
        app.run_job(JOB).await;
        app.settle().await;
    }

    async fn fate(app: &App, kind: Kind) -> (DeliveryState, Option<Reason>) {
        let all = deliveries(app).await;
        let it = all.iter().find(|it| it.kind == kind).unwrap();
        (it.state, it.reason)
    }

    #[tokio::test]
    async fn what_is_new_is_told_once_at_the_persons_hour() {
        let app = collected().await;
        go_to(&app, "2026-03-09T06:59:59Z");
        digest(&app).await;
        assert_eq!(app.mail().len(), 1);
        go_to(&app, "2026-03-09T07:00:00Z");
        tokio::join!(app.run_job(JOB), app.run_job(JOB));
        digest(&app).await;
        let mail = app.mail();
        assert_eq!(mail.len(), 2);
        assert_eq!(mail[1].subject, "Your news of Monday, March 9");
        assert!(
            mail[1].text.contains("- Reminder: Rust, Monday, March 9, 23:00"),
            "{}",
            mail[1].text
        );
        assert!(mail[1].headers.iter().any(|it| it.0 == "List-Unsubscribe"));
        assert_eq!(fate(&app, Kind::Reminder).await.0, DeliveryState::Digested);
        assert_eq!(fate(&app, Kind::Digest).await, (DeliveryState::Sent, None));
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        let kinds: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
        assert_eq!(kinds, ["reminder", "enrolled"]);
    }

    #[tokio::test]
    async fn what_would_come_too_late_is_not_collected() {
        let app = collected().await;
        go_to(&app, "2026-03-09T21:00:00Z");
        remind(&app).await;
        let mail = app.mail();
        assert_eq!(mail.last().unwrap().subject, "Reminder: Rust, Monday, March 9, 23:00");
    }

    #[tokio::test]
    async fn what_does_not_hold_or_is_not_wanted_any_more_is_left_out() {
        for has_left in [true, false] {
            let app = collected().await;
            if has_left {
                app.deliver(&left("ada", 2)).await;
            } else {
                wants(&app, "2", "off").await;
            }
            app.settle().await;
            let before = app.mail().len();
            go_to(&app, "2026-03-09T07:00:00Z");
            digest(&app).await;
            assert_eq!(app.mail().len(), before);
            let nothing = (DeliveryState::Skipped, Some(Reason::NothingToTell));
            assert_eq!(fate(&app, Kind::Digest).await, nothing);
        }
    }

    #[tokio::test]
    async fn who_moves_to_another_zone_has_still_one_digest_a_day() {
        let (app, user_id) = (app(), UserId::from("ada"));
        let madrid: TimeZone = "Europe/Madrid".parse().unwrap();
        let new_york: TimeZone = "America/New_York".parse().unwrap();
        let open = async |zone: &TimeZone, at: &str| {
            let window = Window::next(8, zone, time(at));
            digest::open(&app.context(), &user_id, 8, zone, window).await.unwrap()
        };
        let mut first = open(&madrid, "2026-03-02T06:00:00Z").await;
        first.close();
        app.context().commit(Changes::new().save(&first)).await.unwrap();
        let second = open(&new_york, "2026-03-02T08:00:00Z").await;
        assert_eq!((&*first.day, &*second.day), ("2026-03-02", "2026-03-03"));
        assert_eq!(second.due_at, Some(time("2026-03-03T13:00:00Z")));
    }
}
