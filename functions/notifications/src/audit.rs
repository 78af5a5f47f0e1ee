//! The audit: what must be true of what people are told by mail, checked on what is stored.

use runtime::{Document as _, Record};

use crate::delivery::{Delivery, DeliveryState};

/// Everything that is wrong with the stored deliveries.
///
/// `records` gives all documents of a collection.
pub fn violations(records: &dyn Fn(&str) -> Vec<Record>) -> Vec<String> {
    let mut found = Vec::new();
    for record in records(Delivery::COLLECTION) {
        let wrongs = match serde_json::from_str::<Delivery>(&record.body) {
            Ok(delivery) => violations_of(&record.id, &delivery),
            Err(error) => vec![format!("can't be read: {error}")],
        };
        found.extend(wrongs.iter().map(|wrong| format!("deliveries/{}: {wrong}", record.id)));
    }
    found
}

fn violations_of(id: &str, delivery: &Delivery) -> Vec<String> {
    use DeliveryState::{Bounced, Failed, HandingOver, Scheduled, Sent, Skipped, Unknown};
    let state = delivery.state;
    let waits = matches!(state, Scheduled | HandingOver);
    let was_tried = matches!(state, HandingOver | Sent | Bounced | Unknown);
    let is_explained = matches!(state, Skipped | Bounced | Failed | Unknown);
    // What is told has one place, so it can't be told twice; and one `Message-ID`, by which the
    // provider and the reader know it again.
    let is_of_its_news = id == delivery.id && id == delivery.news.id(&delivery.user_id);
    [
        (!is_of_its_news, "isn't under the key of what it tells"),
        (
            Delivery::id_of(&delivery.message_id) != Some(&*delivery.id),
            "has a Message-ID that isn't its own",
        ),
        (waits && delivery.due_at.is_none(), "waits, and nobody looks after it"),
        (!waits && delivery.due_at.is_some(), "is over, and would be looked after again"),
        (was_tried && delivery.attempts == 0, "was sent, and never tried"),
        (state == Sent && delivery.sent_at.is_none(), "was sent, at no time"),
        (is_explained && delivery.reason.is_none(), "wasn't told, for no reason"),
    ]
    .into_iter()
    .filter(|(is_wrong, _)| *is_wrong)
    .map(|(_, wrong)| wrong.to_owned())
    .collect()
}

#[cfg(test)]
mod tests {
    use runtime::{Version, mail::MailError, prelude::Timestamp};

    use super::*;
    use crate::{delivery::Reason, news::News};

    fn audit(delivery: &Delivery) -> Vec<String> {
        let body = serde_json::to_string(delivery).unwrap();
        let record = Record { id: "d1".to_owned(), body, version: Version("1".to_owned()) };
        violations(&|collection| {
            assert_eq!(collection, "deliveries");
            vec![Record { id: delivery.id.clone(), ..record.clone() }]
        })
    }

    fn wrongs(delivery: &Delivery) -> Vec<String> {
        let place = format!("deliveries/{}: ", delivery.id);
        audit(delivery).iter().map(|it| it.strip_prefix(&place).unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_right_passes_in_every_state_and_each_wrong_is_told() {
        let now = Timestamp::UNIX_EPOCH.plus_minutes(60);
        let news = News::PasswordChanged { changed_at: now };
        let new = Delivery::new(&"ada".into(), news, "aula.example", now);
        let after = |happens: &[&dyn Fn(&mut Delivery)]| {
            let mut delivery = new.clone();
            for it in happens {
                it(&mut delivery);
            }
            delivery
        };
        let hand_over = |it: &mut Delivery| it.hand_over(now);
        let sent = after(&[&hand_over, &|it| it.sent(now)]);
        let skipped = after(&[&|it| it.skip(Reason::SwitchedOff, now)]);
        for right in [
            new.clone(),
            after(&[&hand_over]),
            sent.clone(),
            skipped.clone(),
            after(&[&|it| it.wait(now.plus_minutes(9), now)]),
            after(&[&|it| it.collect(now)]),
            after(&[&|it| it.collect(now), &|it| it.digest(now)]),
            after(&[&hand_over, &|it| it.lose(Reason::Interrupted, now)]),
            after(&[&hand_over, &|it| it.sent(now), &|it| it.resend(now)]),
            after(&[&hand_over, &|it| it.came_back(Reason::HardBounce, "550", now)]),
            after(&[&hand_over, &|it| {
                it.settle(1, &Err(MailError::Refused("550".into())), now);
            }]),
        ] {
            assert_eq!(wrongs(&right), Vec::<String>::new(), "{right:?}");
        }

        let with = |of: &Delivery, change: &dyn Fn(&mut Delivery)| {
            let mut wrong = of.clone();
            change(&mut wrong);
            wrongs(&wrong)
        };
        let elsewhere = with(&new, &|it| it.user_id = "bob".into());
        assert_eq!(elsewhere, ["isn't under the key of what it tells"]);
        let foreign = with(&new, &|it| it.message_id = "password_changed.d2@aula.example".into());
        assert_eq!(foreign, ["has a Message-ID that isn't its own"]);
        assert_eq!(with(&new, &|it| it.due_at = None), ["waits, and nobody looks after it"]);
        let over = with(&sent, &|it| it.due_at = Some(now));
        assert_eq!(over, ["is over, and would be looked after again"]);
        assert_eq!(with(&sent, &|it| it.attempts = 0), ["was sent, and never tried"]);
        assert_eq!(with(&sent, &|it| it.sent_at = None), ["was sent, at no time"]);
        assert_eq!(with(&skipped, &|it| it.reason = None), ["wasn't told, for no reason"]);
    }
}
