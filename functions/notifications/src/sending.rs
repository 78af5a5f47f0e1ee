//! Sending: one message is handed to the provider, at most once.
//!
//! First it's committed that it is being handed over, then it is, then what
//! came of it is committed. [`delivery`](crate::delivery) says why.

use contracts::identity::Contact;
use runtime::{
    mail::{MailError, Message, Taken},
    prelude::*,
};

use crate::{
    attendance::Attendance,
    contact,
    delivery::{self, Delivery, DeliveryState, Next, Reason},
    digest::{self, Digest},
    digesting,
    message::Draft,
    news::{Kind, News, Rank},
    preferences::{self, Asked, Wish},
    section::{self, KnownSection},
    suppression, unsubscribing,
};

/// What came of looking after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fared {
    /// There was nothing to do, or it was done.
    Well,
    /// The provider takes nothing just now.
    Badly,
}

/// Does what is to be done about a message now. Who loses the race for it
/// gets [`Error::Stale`], and may go away: someone else looks after it.
pub async fn look_after(cx: &Context<System>, delivery: Stored<Delivery>) -> Result<Fared> {
    match delivery.next(cx.clock()) {
        Next::Nothing => Ok(Fared::Well),
        Next::Ask => ask(cx, delivery).await,
        Next::Send => send(cx, delivery).await,
    }
}

/// What comes of writing a message.
enum Written {
    /// It's to be sent.
    Message(Message),
    /// It isn't, for a reason.
    Not(Reason),
    /// It isn't before a time.
    Later(Timestamp),
    /// A digest tells it.
    In(Stored<Digest>),
}

async fn send(cx: &Context<System>, mut delivery: Stored<Delivery>) -> Result<Fared> {
    let (mut changes, now) = (Changes::new(), cx.clock());
    let message = match written(cx, &delivery).await? {
        Written::Message(message) => Some(message),
        Written::Not(Reason::NotWritten) => {
            delivery.fail(Reason::NotWritten, now);
            None
        }
        Written::Not(reason) => {
            delivery.skip(reason, now);
            None
        }
        Written::Later(until) => {
            delivery.wait(until, now);
            None
        }
        Written::In(mut digest) => {
            digest.add(&delivery.id);
            changes = changes.save(&digest);
            delivery.collect(now);
            None
        }
    };
    let Some(message) = message else {
        cx.commit_part(changes.save(&delivery)).await?;
        tell_operators(&delivery);
        return Ok(Fared::Well);
    };
    delivery.hand_over(cx.clock());
    cx.commit_part(Changes::new().save(&delivery)).await?;

    let Some(patience) = delivery.patience(cx.clock()) else {
        // To note it has taken so long that somebody may ask after it before the provider has
        // given up. Nothing of it has left yet: it's another try.
        let too_late = MailError::Unavailable("there was no time left for it".to_owned());
        settle(cx, &delivery, &Err(too_late)).await?;
        return Ok(Fared::Well);
    };
    let answer = cx.within(patience, cx.mail().send(&message)).await;
    let answer = answer.unwrap_or_else(|| Err(MailError::Unknown("no answer in time".to_owned())));
    settle(cx, &delivery, &answer).await?;
    Ok(if matches!(answer, Err(MailError::Unavailable(_))) { Fared::Badly } else { Fared::Well })
}

/// Notes what the provider said. It has been said and can't be asked again, so
/// a lost race is run again here.
async fn settle(
    cx: &Context<System>,
    handed_over: &Delivery,
    answer: &Result<(), MailError>,
) -> Result<()> {
    loop {
        let Some(mut delivery) = cx.get::<Delivery>(&handed_over.id).await? else { return Ok(()) };
        if !delivery.settle(handed_over.attempts, answer, cx.clock()) {
            return Ok(());
        }
        match cx.commit_part(Changes::new().save(&delivery)).await {
            Err(Error::Stale(_)) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                tell_operators(&delivery);
                return Ok(());
            }
        }
    }
}

/// Something broke while a message was handed over: the provider may know more.
async fn ask(cx: &Context<System>, mut delivery: Stored<Delivery>) -> Result<Fared> {
    let answer = cx.mail().taken(&delivery.message_id).await;
    let now = cx.clock();
    match answer {
        Ok(Taken::Yes) => delivery.sent(now),
        Ok(Taken::No) => delivery.try_again(Reason::Interrupted, now),
        Ok(Taken::CannotTell) => delivery.lose(Reason::Interrupted, now),
        Err(_) => delivery.ask_again(now),
    }
    cx.commit_part(Changes::new().save(&delivery)).await?;
    tell_operators(&delivery);
    Ok(Fared::Well)
}

/// What won't arrive, or may not have, is in the log too.
fn tell_operators(delivery: &Delivery) {
    if matches!(delivery.state, DeliveryState::Failed | DeliveryState::Unknown) {
        let (id, state, reason) = (&delivery.id, delivery.state, delivery.reason);
        tracing::warn!(delivery_id = id, ?state, ?reason, "a message may not arrive");
    }
}

/// The message as it is written now, or why it isn't.
async fn written(cx: &Context<System>, delivery: &Delivery) -> Result<Written> {
    let mut section = None;
    if let Some(about) = delivery.news.about() {
        section = section::of(cx, &about.section_id).await?;
        if section.is_none() {
            return Ok(Written::Not(Reason::SectionNotFound));
        }
    }
    if let Some(reason) = unwanted(cx, delivery, section.as_ref()).await? {
        return Ok(Written::Not(reason));
    }
    let Some(contact) = contact::of(cx, &delivery.user_id).await? else {
        return Ok(Written::Not(Reason::NoContact));
    };
    if contact.closed_at.is_some() && delivery.kind.rank() != Rank::Security {
        return Ok(Written::Not(Reason::NoContact));
    }
    let contact = contact.contact;
    match wish(cx, delivery, section.as_ref(), &contact).await? {
        Wish::Send => {}
        Wish::Wait(until) => return Ok(Written::Later(until)),
        Wish::Skip(reason) => return Ok(Written::Not(reason)),
        Wish::Collect { hour, window } => {
            let (person, zone) = (&delivery.user_id, &contact.time_zone);
            return Ok(Written::In(digest::open(cx, person, hour, zone, window).await?));
        }
    }
    let items = match &delivery.news {
        News::Digest { digest_id, .. } => digesting::items(cx, digest_id).await?,
        _ => Vec::new(),
    };
    if items.is_empty() && delivery.kind == Kind::Digest {
        return Ok(Written::Not(Reason::NothingToTell));
    }
    let to = delivery.address(cx).unwrap_or_else(|| contact.email.clone());
    // At last: whatever was told of the address until now counts.
    if let Some(reason) = suppression::of(cx, &to).await?.forbids(delivery.kind) {
        return Ok(Written::Not(reason));
    }
    let code = delivery.news.code().map(|(code_id, _)| cx.secret().code(code_id));
    let draft = Draft {
        delivery,
        contact: &contact,
        section: section.as_ref(),
        code: code.as_deref(),
        items: &items,
        unsubscribe: &unsubscribing::page(cx, &delivery.user_id, delivery.kind),
        to: &to,
        public_url: &cx.settings().public_url,
        host: delivery::mail_host(&cx.settings().public_url),
        now: cx.clock(),
    };
    let message = draft.write().ok().filter(|_| is_address(&to));
    Ok(message.map_or(Written::Not(Reason::NotWritten), Written::Message))
}

/// What the person wants of a message now.
async fn wish(
    cx: &Context<System>,
    delivery: &Delivery,
    section: Option<&KnownSection>,
    contact: &Contact,
) -> Result<Wish> {
    let (kind, zone, now) = (delivery.kind, &contact.time_zone, cx.clock());
    if kind.rank() == Rank::Security {
        return Ok(Wish::Send);
    }
    let preferences = preferences::of(cx, &delivery.user_id).await?;
    let worthless_at = worthless_at(&delivery.news, section, now);
    Ok(preferences.wish(Asked { kind, worthless_at, zone, now }))
}

/// From when on a message would be worth nothing: whatever else it tells, who
/// hears of a meeting after it has begun has heard too late.
fn worthless_at(news: &News, section: Option<&KnownSection>, now: Timestamp) -> Option<Timestamp> {
    match news {
        News::Reminder { starts_at, .. } => Some(*starts_at),
        News::Offered { expires_at, .. } => Some(*expires_at),
        News::Completed(_)
        | News::CertificateIssued { .. }
        | News::CertificateRevoked { .. }
        | News::Digest { .. } => None,
        _ => section?.next_start(now),
    }
}

fn is_address(text: &str) -> bool {
    let plain = |it: char| !it.is_control() && !it.is_whitespace();
    text.contains('@') && text.chars().all(plain)
}

/// Why a message isn't wanted any more, if it isn't.
pub async fn unwanted(
    cx: &Context<System>,
    delivery: &Delivery,
    section: Option<&KnownSection>,
) -> Result<Option<Reason>> {
    let now = cx.clock();
    Ok(match &delivery.news {
        News::Code { expires_at, .. } | News::EmailChange { expires_at, .. } => {
            (*expires_at <= now).then_some(Reason::CodeExpired)
        }
        News::Offered { expires_at, .. } if *expires_at <= now => Some(Reason::OfferExpired),
        News::RegistrationRepeated { .. }
        | News::PasswordChanged { .. }
        | News::EmailChanged { .. }
        | News::DeviceAdded { .. }
        | News::FactorAdded { .. }
        | News::FactorRemoved { .. }
        | News::RecoveryCodeUsed { .. }
        | News::PasskeySuspected { .. }
        | News::IdentityLinked { .. }
        | News::DataExported { .. }
        | News::AccountClosed { .. }
        | News::Completed(_)
        | News::CertificateIssued { .. }
        | News::CertificateRevoked { .. }
        | News::Digest { .. } => None,
        News::Reminder { about, meeting_id, starts_at, .. } => {
            let attendance = cx.get::<Attendance>(about.enrollment_id.as_str()).await?;
            let meeting = section.and_then(|section| section.meeting(meeting_id));
            if section.is_some_and(|section| section.facts.cancelled) {
                Some(Reason::SectionCancelled)
            } else if !attendance.is_some_and(|it| it.has_seat()) {
                Some(Reason::EnrollmentEnded)
            } else if let Some(meeting) = meeting {
                let moved = meeting.starts_at != *starts_at;
                let begun = (*starts_at <= now).then_some(Reason::MeetingBegun);
                if moved { Some(Reason::MeetingMoved) } else { begun }
            } else {
                Some(Reason::MeetingRemoved)
            }
        }
        // The first try comes within seconds: then what it tells still holds, or did just now.
        _ if !delivery.has_waited() => None,
        News::Rescheduled { about, sequence, .. } => {
            let attendance = cx.get::<Attendance>(about.enrollment_id.as_str()).await?;
            let newer = section.is_some_and(|it| it.facts.calendar_sequence > *sequence);
            if attendance.is_some_and(|it| it.has_seat()) {
                newer.then_some(Reason::Superseded)
            } else {
                Some(Reason::EnrollmentEnded)
            }
        }
        News::Enrolled(about)
        | News::Promoted(about)
        | News::Requested(about)
        | News::Offered { about, .. }
        | News::Waitlisted { about, .. }
        | News::Rejected { about, .. }
        | News::Cancelled { about, .. } => {
            let attendance = cx.get::<Attendance>(about.enrollment_id.as_str()).await?;
            let newer = attendance.is_some_and(|it| it.revision > about.revision);
            newer.then_some(Reason::Superseded)
        }
    })
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{SectionFacts, SectionUpdated},
        enrollments::Waitlisted,
        identity::{CodePurpose, CodeRequested, ContactChanged, GetContact, PasswordChanged},
        notifications::DeliveryRequested,
    };
    use testing::{App, json};

    use super::*;
    use crate::{
        delivery::LEASE_SECONDS,
        tests::{
            app, app_with_section, confirmed, contact, deliveries, enrollment, go_to, left,
            meeting, section, time,
        },
    };

    /// Someone has a seat, and the message about it waits to be sent.
    async fn scheduled() -> App {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app
    }

    async fn only(app: &App) -> Delivery {
        let mut all = deliveries(app).await;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    async fn fate(app: &App) -> (DeliveryState, Option<Reason>) {
        let it = only(app).await;
        (it.state, it.reason)
    }

    /// As if whoever sends it had stopped after noting that it is being handed over.
    async fn crash_while_handing_over(app: &App) -> Delivery {
        let (cx, id) = (app.context(), only(app).await.id);
        let mut delivery = cx.get::<Delivery>(&id).await.unwrap().unwrap();
        delivery.hand_over(cx.clock());
        cx.commit(Changes::new().save(&delivery)).await.unwrap();
        delivery.into_inner()
    }

    fn message(delivery: &Delivery) -> Message {
        Message {
            message_id: delivery.message_id.clone(),
            to: "ada@mail.example".into(),
            to_name: String::new(),
            subject: "Handed over before the crash".into(),
            text: String::new(),
            html: String::new(),
            headers: Vec::new(),
            attachments: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_message_is_sent_at_once_in_two_commits() {
        let app = scheduled().await;
        app.deliver(&ContactChanged { contact: contact("ada") }).await;
        let (commits, reads) = (app.commits(), app.reads());
        app.settle().await;
        assert_eq!((app.commits() - commits, app.reads() - reads), (2, 6));
        let (delivery, mail) = (only(&app).await, app.mail());
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Sent, 1));
        assert_eq!((delivery.due_at, delivery.sent_at), (None, Some(app.now())));
        assert_eq!((mail.len(), &mail[0].message_id), (1, &delivery.message_id));
        let reference = ("X-Aula-Ref".to_owned(), "enrollments/e-ada".to_owned());
        assert!(mail[0].headers.contains(&reference));
    }

    #[tokio::test]
    async fn it_is_sent_once_however_often_that_is_asked_for() {
        let app = scheduled().await;
        let event = DeliveryRequested { delivery_id: only(&app).await.id };
        tokio::join!(
            app.deliver(&event),
            app.deliver(&event),
            app.run_job("notifications.send_due")
        );
        app.deliver(&event).await;
        app.settle().await;
        app.advance_minutes(60);
        app.run_job("notifications.send_due").await;
        assert_eq!(app.mail().len(), 1);
    }

    #[tokio::test]
    async fn what_the_provider_does_not_take_now_is_tried_again_under_the_same_id() {
        let app = scheduled().await;
        app.mail_answers(|_| Err(MailError::Unavailable("451 <ada@mail.example> later".into())));
        app.settle().await;
        let waiting = only(&app).await;
        assert_eq!(
            (waiting.state, waiting.reason),
            (DeliveryState::Scheduled, Some(Reason::Unavailable))
        );
        assert_eq!(waiting.due_at, Some(app.now().plus_seconds(5)));
        assert_eq!(waiting.last_error.as_deref(), Some("451 … later"));
        app.mail_answers(|_| Ok(()));
        app.advance_seconds(4);
        app.run_job("notifications.send_due").await;
        app.deliver(&DeliveryRequested { delivery_id: waiting.id.clone() }).await;
        assert!(app.mail().is_empty());
        app.advance_seconds(1);
        app.run_job("notifications.send_due").await;
        let sent = only(&app).await;
        assert_eq!((sent.state, sent.attempts, sent.last_error), (DeliveryState::Sent, 2, None));
        assert_eq!(app.mail()[0].message_id, waiting.message_id);
    }

    #[tokio::test]
    async fn after_hours_in_vain_it_is_given_up_and_everyone_can_see_it() {
        let app = scheduled().await;
        app.mail_answers(|_| Err(MailError::Unavailable("421".into())));
        app.settle().await;
        for _ in 0..12 {
            app.advance_minutes(60);
            app.run_job("notifications.send_due").await;
        }
        assert_eq!(fate(&app).await, (DeliveryState::Failed, Some(Reason::TriesExhausted)));
        let list = app.admin("root").get("/v1/deliveries?state=failed").await.ok();
        assert_eq!(list["items"][0]["attempts"], 10);
        assert_eq!(list["items"][0]["last_error"], "421");
    }

    #[tokio::test]
    async fn what_the_provider_refuses_has_failed() {
        let app = scheduled().await;
        app.mail_answers(|_| Err(MailError::Refused("550 no such user".into())));
        app.settle().await;
        assert_eq!(fate(&app).await, (DeliveryState::Failed, Some(Reason::Refused)));
    }

    #[tokio::test]
    async fn what_may_have_been_taken_stays_unknown_and_is_not_sent_again() {
        let app = scheduled().await;
        app.mail_answers(|_| Err(MailError::Unknown("connection reset".into())));
        app.settle().await;
        app.mail_answers(|_| Ok(()));
        app.advance_minutes(600);
        app.run_job("notifications.send_due").await;
        app.deliver(&DeliveryRequested { delivery_id: only(&app).await.id }).await;
        assert_eq!(fate(&app).await, (DeliveryState::Unknown, Some(Reason::ConnectionLost)));
        assert!(app.mail().is_empty());
    }

    #[tokio::test]
    async fn a_crash_before_the_provider_saw_it_delays_it() {
        let app = scheduled().await;
        crash_while_handing_over(&app).await;
        app.settle().await;
        app.advance_seconds(LEASE_SECONDS - 1);
        app.run_job("notifications.send_due").await;
        assert!(app.mail().is_empty());
        app.advance_seconds(1);
        app.run_job("notifications.send_due").await;
        assert_eq!(fate(&app).await, (DeliveryState::Scheduled, Some(Reason::Interrupted)));
        app.advance_seconds(5);
        app.run_job("notifications.send_due").await;
        assert_eq!((app.mail().len(), only(&app).await.state), (1, DeliveryState::Sent));
    }

    #[tokio::test]
    async fn a_crash_between_the_providers_yes_and_our_note_sends_nothing_twice() {
        let app = scheduled().await;
        let delivery = crash_while_handing_over(&app).await;
        app.ports().mail.send(&message(&delivery)).await.unwrap();
        app.settle().await;
        app.advance_seconds(LEASE_SECONDS);
        app.run_job("notifications.send_due").await;
        assert_eq!((app.mail().len(), only(&app).await.state), (1, DeliveryState::Sent));
    }

    #[tokio::test]
    async fn a_crash_of_which_nobody_can_tell_is_unknown() {
        let app = scheduled().await;
        let delivery = crash_while_handing_over(&app).await;
        app.mail_answers(|_| Err(MailError::Unknown(String::new())));
        app.ports().mail.send(&message(&delivery)).await.unwrap_err();
        app.mail_answers(|_| Ok(()));
        app.advance_seconds(LEASE_SECONDS);
        app.run_job("notifications.send_due").await;
        app.advance_minutes(600);
        app.run_job("notifications.send_due").await;
        app.settle().await;
        assert_eq!(fate(&app).await, (DeliveryState::Unknown, Some(Reason::Interrupted)));
        assert!(app.mail().is_empty());
    }

    #[tokio::test]
    async fn it_goes_to_the_address_that_the_person_has_then() {
        let app = scheduled().await;
        let moved = Contact { email: "new@mail.example".into(), revision: 2, ..contact("ada") };
        app.deliver(&ContactChanged { contact: moved }).await;
        app.settle().await;
        assert_eq!(app.mail()[0].to, "new@mail.example");
    }

    #[tokio::test]
    async fn nobody_and_nowhere_are_skipped_with_their_reason() {
        let app = app_with_section().await;
        app.deliver(&confirmed("nobody", 1)).await;
        app.settle().await;
        assert_eq!(fate(&app).await, (DeliveryState::Skipped, Some(Reason::NoContact)));
    }

    #[tokio::test]
    async fn while_identity_cannot_be_asked_the_message_waits() {
        let app = scheduled().await;
        app.now_answering::<GetContact>(|_| Err(runtime::problems::UNAVAILABLE));
        assert!(app.try_settle().await.is_err());
        assert_eq!(fate(&app).await, (DeliveryState::Scheduled, None));
        app.now_answering::<GetContact>(|_| Ok(contact("ada")));
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
    }

    #[tokio::test]
    async fn an_address_that_is_none_fails() {
        let app = scheduled().await;
        let email = "ada@mail.example\r\nBcc: eve@mail.example".to_owned();
        app.deliver(&ContactChanged { contact: Contact { email, ..contact("ada") } }).await;
        app.settle().await;
        assert_eq!(fate(&app).await, (DeliveryState::Failed, Some(Reason::NotWritten)));
    }

    #[tokio::test]
    async fn a_code_is_not_sent_when_it_cannot_be_used_any_more() {
        let app = app();
        app.deliver(&CodeRequested {
            code_id: "k1".into(),
            purpose: CodePurpose::ResetPassword,
            contact: contact("ada"),
            expires_at: app.now().plus_minutes(15),
        })
        .await;
        app.advance_minutes(15);
        app.settle().await;
        assert_eq!(fate(&app).await, (DeliveryState::Skipped, Some(Reason::CodeExpired)));
    }

    #[tokio::test]
    async fn what_has_waited_is_not_told_when_something_newer_is() {
        let app = scheduled().await;
        app.mail_answers(|_| Err(MailError::Unavailable("421".into())));
        app.settle().await;
        app.mail_answers(|_| Ok(()));
        app.deliver(&left("ada", 2)).await;
        app.settle().await;
        app.advance_minutes(1);
        app.run_job("notifications.send_due").await;
        let subjects: Vec<_> = app.mail().into_iter().map(|it| it.subject).collect();
        assert_eq!(subjects, ["You've left: Rust"]);
        let superseded = deliveries(&app).await.into_iter().find(|it| it.reason.is_some());
        assert_eq!(superseded.unwrap().reason, Some(Reason::Superseded));
    }

    /// A reminder that was claimed, and whose message waits to be sent.
    async fn reminding() -> App {
        let app = scheduled().await;
        app.settle().await;
        app.advance_minutes(6 * 24 * 60 + 10 * 60);
        app.run_job("notifications.send_reminders").await;
        app
    }

    async fn reminded(app: &App) -> (DeliveryState, Option<Reason>) {
        app.settle().await;
        let all = deliveries(app).await;
        let it = all.iter().find(|it| it.kind == crate::news::Kind::Reminder).unwrap();
        (it.state, it.reason)
    }

    #[tokio::test]
    async fn a_reminder_is_not_sent_to_whoever_has_left_meanwhile() {
        let app = reminding().await;
        app.deliver(&left("ada", 2)).await;
        assert_eq!(reminded(&app).await, (DeliveryState::Skipped, Some(Reason::EnrollmentEnded)));
    }

    #[tokio::test]
    async fn a_reminder_is_not_sent_for_a_meeting_that_was_moved_meanwhile() {
        let app = reminding().await;
        let meetings = vec![meeting("m1", "2026-03-12T22:00:00Z")];
        let (revision, calendar_sequence) = (2, 1);
        let moved = SectionFacts { meetings, revision, calendar_sequence, ..section() };
        app.deliver(&SectionUpdated { section: moved }).await;
        assert_eq!(reminded(&app).await, (DeliveryState::Skipped, Some(Reason::MeetingMoved)));
    }

    #[tokio::test]
    async fn a_reminder_is_not_sent_when_the_meeting_has_begun() {
        let app = reminding().await;
        app.advance_minutes(24 * 60);
        assert_eq!(reminded(&app).await, (DeliveryState::Skipped, Some(Reason::MeetingBegun)));
    }

    #[tokio::test]
    async fn a_reminder_says_when_the_meeting_is() {
        let app = reminding().await;
        assert_eq!(reminded(&app).await, (DeliveryState::Sent, None));
        let subject = "Reminder: Rust, Monday, March 9, 23:00";
        assert_eq!(app.mail().pop().unwrap().subject, subject);
    }

    /// Someone who lives in a zone and doesn't want to be woken.
    async fn asleep(zone: &str) -> App {
        let app = app_with_section().await;
        let contact = Contact { time_zone: zone.parse().unwrap(), ..contact("ada") };
        app.deliver(&ContactChanged { contact }).await;
        let body = json!({ "quiet_hours": { "from": "22:00", "until": "07:00" } });
        app.user("ada").patch("/v1/users/me/notification-preferences", body, "1").await.ok();
        app
    }

    #[tokio::test]
    async fn at_night_mail_waits_till_the_morning_also_when_the_clocks_change() {
        // New York goes to summer time on March 8, Madrid on March 29.
        for (zone, night, morning) in [
            ("America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T11:00:00Z"),
            ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T12:00:00Z"),
            ("Europe/Madrid", "2026-03-28T23:00:00Z", "2026-03-29T05:00:00Z"),
            ("Europe/Madrid", "2026-10-24T23:00:00Z", "2026-10-25T06:00:00Z"),
        ] {
            let app = asleep(zone).await;
            go_to(&app, night);
            app.deliver(&confirmed("ada", 1)).await;
            app.settle().await;
            let waiting = only(&app).await;
            assert_eq!(
                (waiting.state, waiting.reason, waiting.due_at),
                (DeliveryState::Scheduled, Some(Reason::QuietHours), Some(time(morning)))
            );
            go_to(&app, morning);
            app.advance_seconds(-1);
            app.run_job("notifications.send_due").await;
            app.deliver(&DeliveryRequested { delivery_id: waiting.id }).await;
            assert!(app.mail().is_empty());
            app.advance_seconds(1);
            app.run_job("notifications.send_due").await;
            assert_eq!(fate(&app).await, (DeliveryState::Sent, None));
        }
    }

    #[tokio::test]
    async fn what_would_come_too_late_and_what_concerns_safety_does_not_wait() {
        let app = asleep("Europe/Madrid").await;
        go_to(&app, "2026-03-08T22:00:00Z");
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        // The meeting begins at eleven in the evening, before the night is over.
        go_to(&app, "2026-03-09T21:00:00Z");
        app.deliver(&left("ada", 1)).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 2);
    }

    #[tokio::test]
    async fn what_has_been_overtaken_in_the_night_is_not_told_in_the_morning() {
        let app = asleep("Europe/Madrid").await;
        go_to(&app, "2026-03-03T01:00:00Z");
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        app.advance_minutes(1);
        app.deliver(&left("ada", 2)).await;
        app.settle().await;
        go_to(&app, "2026-03-03T06:00:00Z");
        app.run_job("notifications.send_due").await;
        let subjects: Vec<_> = app.mail().into_iter().map(|it| it.subject).collect();
        assert_eq!(subjects, ["You've left: Rust"]);
    }

    #[tokio::test]
    async fn what_waits_is_skipped_when_it_is_switched_off_meanwhile() {
        let app = asleep("Europe/Madrid").await;
        go_to(&app, "2026-03-03T01:00:00Z");
        app.deliver(&Waitlisted { enrollment: enrollment("ada", 1), position: 1 }).await;
        app.settle().await;
        let body = json!({ "kinds": [{ "kind": "waitlisted", "mail": "off" }] });
        app.user("ada").patch("/v1/users/me/notification-preferences", body, "2").await.ok();
        go_to(&app, "2026-03-03T06:00:00Z");
        app.run_job("notifications.send_due").await;
        assert_eq!(fate(&app).await, (DeliveryState::Skipped, Some(Reason::SwitchedOff)));
    }
}
