//! Every minute: reminders that are due become messages.

use std::collections::HashMap;

use contracts::courses::SectionId;
use runtime::prelude::*;

use crate::{
    delivery::Delivery,
    news::Kind,
    preferences::Preferences,
    reminder::{Reminder, Verdict},
    section::{self, KnownSection},
    telling,
};

/// Turn the reminders that are due into messages.
#[derive(Default)]
pub struct SendReminders;

impl Job for SendReminders {
    const NAME: &'static str = "notifications.send_reminders";
    const SCHEDULE: &'static str = "* * * * *";
}

/// How many reminders are claimed in one commit: each writes four documents.
const AT_ONCE: usize = 50;
/// How long a run goes on, in seconds: the next tick goes on from there.
const LONGEST_SECONDS: i64 = 40;

pub async fn run(cx: Context<System>, _: SendReminders) -> Result<()> {
    let mut sections = HashMap::new();
    let mut place = None;
    while cx.clock() < cx.now.plus_seconds(LONGEST_SECONDS) {
        let query = Reminder::due(cx.now).limit(200).after(place);
        let (due, next) = cx.query::<Reminder>(&query).await?;
        for some in due.chunks(AT_ONCE) {
            claim(&cx, some, &mut sections).await?;
        }
        place = next;
        if place.is_none() {
            break;
        }
    }
    Ok(())
}

type Sections = HashMap<SectionId, Option<KnownSection>>;

/// Claims some reminders in one commit; one by one if another sweep has
/// claimed any of them, or something else has changed it.
async fn claim(
    cx: &Context<System>,
    due: &[Stored<Reminder>],
    sections: &mut Sections,
) -> Result<()> {
    for reminder in due {
        if !sections.contains_key(&reminder.section_id) {
            let section = section::of(cx, &reminder.section_id).await?;
            sections.insert(reminder.section_id.clone(), section);
        }
    }
    let section_of = |it: &Reminder| sections.get(&it.section_id).and_then(Option::as_ref);
    let people: Vec<_> = due.iter().map(|it| it.user_id.to_string()).collect();
    let preferences = cx.get_all::<Preferences>(&people).await?;
    let lists = |it: Option<&Stored<Preferences>>| it.is_none_or(|it| it.lists(Kind::Reminder));
    let listed: Vec<_> = preferences.iter().map(|it| lists(it.as_ref())).collect();
    let all = || due.iter().zip(listed.iter().copied());
    let changes = all().map(|(it, listed)| claimed(cx, it.clone(), section_of(it), listed, false));
    match cx.commit_part(changes.fold(Changes::new(), Changes::and)).await {
        Err(Error::Stale(_)) => {}
        other => return other,
    }
    for (reminder, listed) in all() {
        let known = cx.get::<Delivery>(&reminder.news().id(&reminder.user_id)).await?;
        let (section, known) = (section_of(reminder), known.is_some());
        let changes = claimed(cx, reminder.clone(), section, listed, known);
        match cx.commit_part(changes).await {
            Err(Error::Stale(_)) => {}
            other => other?,
        }
    }
    Ok(())
}

/// The changes that claim a reminder: what becomes of it, and the message, if
/// there's none yet.
fn claimed(
    cx: &Context<System>,
    mut reminder: Stored<Reminder>,
    section: Option<&KnownSection>,
    listed: bool,
    has_message: bool,
) -> Changes {
    let (user_id, news) = (reminder.user_id.clone(), reminder.news());
    let told = match reminder.verdict(section, cx.now) {
        Verdict::Remind => {
            reminder.claim();
            telling::as_wanted(cx, &user_id, news, section, listed)
        }
        Verdict::Skip(reason) => {
            reminder.skip(reason);
            telling::untold(cx, &user_id, news, reason)
        }
        Verdict::Move => {
            if let Some(section) = section {
                reminder.catch_up(section, cx.now);
            }
            Changes::new()
        }
    };
    let changes = Changes::new().save(&reminder);
    if has_message { changes } else { changes.and(told) }
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{SectionFacts, SectionUpdated},
        identity::{Contact, ContactChanged},
    };
    use testing::{App, json};

    use super::*;
    use crate::{
        delivery::{DeliveryState, Reason},
        reminder::ReminderState,
        tests::{
            app_with_section, confirmed, contact, deliveries, go_to, left, meeting, reminders,
            section, time,
        },
    };

    const JOB: &str = SendReminders::NAME;

    async fn with_seats(names: &[&str]) -> App {
        let app = app_with_section().await;
        for name in names {
            app.deliver(&confirmed(name, 1)).await;
        }
        app.settle().await;
        app
    }

    /// A second passes, as the platform's jobs see it.
    async fn tick(app: &App) {
        app.run_job(JOB).await;
        app.run_job("notifications.send_due").await;
        app.settle().await;
    }

    async fn told(app: &App) -> Vec<(DeliveryState, Option<Reason>)> {
        let all = deliveries(app).await.into_iter().rev();
        all.filter(|it| it.kind == Kind::Reminder).map(|it| (it.state, it.reason)).collect()
    }

    #[tokio::test]
    async fn each_comes_in_time_and_once() {
        let app = with_seats(&["ada", "bob"]).await;
        go_to(&app, "2026-03-08T21:59:59Z");
        tick(&app).await;
        assert_eq!(told(&app).await, []);
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        tick(&app).await;
        assert_eq!(told(&app).await, [(DeliveryState::Sent, None); 2]);
        go_to(&app, "2026-03-09T21:00:00Z");
        tick(&app).await;
        go_to(&app, "2026-03-10T22:00:00Z");
        tick(&app).await;
        assert_eq!(told(&app).await, [(DeliveryState::Sent, None); 4]);
        let ids: std::collections::BTreeSet<_> =
            app.mail().into_iter().map(|it| it.message_id).collect();
        assert_eq!((ids.len(), app.mail().len()), (6, 6));
    }

    #[tokio::test]
    async fn two_sweeps_at_once_claim_each_once() {
        let app = with_seats(&["ada", "bob", "cid"]).await;
        go_to(&app, "2026-03-08T22:00:00Z");
        tokio::join!(app.run_job(JOB), app.run_job(JOB), app.run_job(JOB));
        app.settle().await;
        assert_eq!(told(&app).await.len(), 3);
        assert_eq!(app.mail().len(), 6);
    }

    #[tokio::test]
    async fn one_that_was_claimed_by_another_sweep_does_not_hold_up_the_others() {
        let app = with_seats(&["ada", "bob", "cid"]).await;
        go_to(&app, "2026-03-08T22:00:00Z");
        let (cx, mut sections) = (app.context(), HashMap::new());
        let (due, _) = cx.query::<Reminder>(&Reminder::due(cx.now)).await.unwrap();
        claim(&cx, &due[1..2], &mut sections).await.unwrap();
        claim(&cx, &due, &mut sections).await.unwrap();
        assert_eq!(told(&app).await.len(), 3);
        let (due, _) = cx.query::<Reminder>(&Reminder::due(cx.now)).await.unwrap();
        assert!(due.is_empty());
    }

    #[tokio::test]
    async fn missed_ticks_are_made_up_for_until_the_meeting_begins() {
        let app = with_seats(&["ada"]).await;
        go_to(&app, "2026-03-09T00:00:00Z");
        tick(&app).await;
        assert_eq!(told(&app).await, [(DeliveryState::Sent, None)]);
        go_to(&app, "2026-03-09T22:00:00Z");
        tick(&app).await;
        let late = (DeliveryState::Skipped, Some(Reason::MeetingBegun));
        assert_eq!(told(&app).await, [(DeliveryState::Sent, None), late]);
    }

    #[tokio::test]
    async fn of_several_that_are_late_the_last_is_sent() {
        let app = with_seats(&["ada"]).await;
        go_to(&app, "2026-03-09T21:30:00Z");
        tick(&app).await;
        let told = told(&app).await;
        assert_eq!(told.len(), 2);
        assert!(told.contains(&(DeliveryState::Skipped, Some(Reason::Overtaken))));
        assert!(told.contains(&(DeliveryState::Sent, None)));
    }

    #[tokio::test]
    async fn who_has_left_is_not_reminded() {
        let app = with_seats(&["ada", "bob"]).await;
        app.deliver(&left("ada", 2)).await;
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        assert_eq!(told(&app).await.len(), 1);
    }

    #[tokio::test]
    async fn a_moved_meeting_is_reminded_of_at_its_new_time_though_it_was_at_the_old() {
        let app = with_seats(&["ada"]).await;
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        let meetings = vec![meeting("m1", "2026-03-16T22:00:00Z")];
        let (revision, calendar_sequence) = (2, 1);
        let moved = SectionFacts { meetings, revision, calendar_sequence, ..section() };
        app.deliver(&SectionUpdated { section: moved }).await;
        for at in ["2026-03-09T21:00:00Z", "2026-03-15T22:00:00Z", "2026-03-16T21:00:00Z"] {
            go_to(&app, at);
            tick(&app).await;
        }
        assert_eq!(told(&app).await, [(DeliveryState::Sent, None); 3]);
    }

    #[tokio::test]
    async fn one_that_has_not_followed_its_meeting_yet_follows_when_it_is_due() {
        let app = with_seats(&["ada"]).await;
        let meetings = vec![meeting("m1", "2026-03-16T22:00:00Z")];
        let moved = SectionFacts { meetings, revision: 2, calendar_sequence: 1, ..section() };
        section::learn(&app.context(), &moved).await.unwrap();
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        assert_eq!(told(&app).await, []);
        let (state, due_at, _) = reminders(&app, "ada").await[0].fate();
        assert_eq!((state, due_at), (ReminderState::Planned, Some(time("2026-03-15T22:00:00Z"))));
    }

    #[tokio::test]
    async fn a_day_before_is_a_day_when_the_clocks_change_meanwhile_and_each_reads_their_own() {
        // New York goes to summer time on March 8, Madrid on March 29; at six in the evening.
        for (starts_at, due, new_york, madrid) in [
            (
                "2026-03-08T22:00:00Z",
                "2026-03-07T22:00:00Z",
                "Sunday, March 8, 18:00",
                "Sunday, March 8, 23:00",
            ),
            (
                "2026-03-29T22:00:00Z",
                "2026-03-28T22:00:00Z",
                "Sunday, March 29, 18:00",
                "Monday, March 30, 00:00",
            ),
        ] {
            let app = app_with_section().await;
            let meetings = vec![meeting("m1", starts_at)];
            let moved = SectionFacts { meetings, revision: 2, ..section() };
            app.deliver(&SectionUpdated { section: moved }).await;
            for (name, zone) in [("ada", "America/New_York"), ("bob", "Europe/Madrid")] {
                let time_zone = zone.parse().unwrap();
                let contact = Contact { time_zone, ..contact(name) };
                app.deliver(&ContactChanged { contact }).await;
                app.deliver(&confirmed(name, 1)).await;
            }
            app.settle().await;
            go_to(&app, due);
            app.advance_seconds(-1);
            tick(&app).await;
            assert_eq!(told(&app).await, []);
            app.advance_seconds(1);
            tick(&app).await;
            let read = |name: &str| {
                let to = format!("{name}@mail.example");
                let mail = app.mail().into_iter().rfind(|it| it.to == to).unwrap();
                mail.subject.strip_prefix("Reminder: Rust, ").unwrap().to_owned()
            };
            assert_eq!((&*read("ada"), &*read("bob")), (new_york, madrid));
        }
    }

    #[tokio::test]
    async fn who_does_not_want_them_in_their_list_has_them_by_mail_alone() {
        let app = with_seats(&["ada"]).await;
        let body = json!({ "kinds": [{ "kind": "reminder", "inbox": false }] });
        app.user("ada").patch("/v1/users/me/notification-preferences", body, "1").await.ok();
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        assert_eq!((list["items"].as_array().unwrap().len(), app.mail().len()), (1, 2));
    }

    #[tokio::test]
    async fn one_is_an_item_in_the_persons_list_too() {
        let app = with_seats(&["ada"]).await;
        go_to(&app, "2026-03-08T22:00:00Z");
        tick(&app).await;
        let ada = app.user("ada").in_language("es");
        let list = ada.get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"][0]["title"], "Recordatorio: Rust, lunes 9 de marzo, 23:00");
    }
}
