//! Every minute: messages that weren't sent at once are looked after.

use runtime::prelude::*;

use crate::{
    delivery::Delivery,
    sending::{Fared, look_after},
};

/// Send the messages whose time has come again.
#[derive(Default)]
pub struct SendDue;

impl Job for SendDue {
    const NAME: &'static str = "notifications.send_due";
    const SCHEDULE: &'static str = "* * * * *";
}

/// How many messages a run looks after at most.
const MOST: usize = 500;
/// How long a run goes on, in seconds: the next tick goes on from there.
const LONGEST_SECONDS: i64 = 40;
/// After so many messages in a row that the provider didn't take, it is left
/// alone until the next tick.
const BAD_MOST: usize = 3;

pub async fn run(cx: Context<System>, _: SendDue) -> Result<()> {
    let (mut place, mut seen, mut bad, mut broken) = (None, 0, 0, None);
    'run: loop {
        let query = Delivery::due(cx.now).limit(100).after(place);
        let (due, next) = cx.query::<Delivery>(&query).await?;
        for delivery in due {
            let late = cx.clock() >= cx.now.plus_seconds(LONGEST_SECONDS);
            if seen == MOST || bad == BAD_MOST || late {
                break 'run;
            }
            seen += 1;
            match look_after(&cx, delivery.clone()).await {
                Ok(Fared::Well) => bad = 0,
                Ok(Fared::Badly) => bad += 1,
                // Someone else looks after it.
                Err(Error::Stale(_)) => {}
                // The others needn't wait for it, now or at the next tick.
                Err(error) => {
                    postpone(&cx, delivery).await?;
                    broken = Some(error);
                }
            }
        }
        place = next;
        if place.is_none() {
            break;
        }
    }
    broken.map_or(Ok(()), Err)
}

async fn postpone(cx: &Context<System>, mut delivery: Stored<Delivery>) -> Result<()> {
    delivery.postpone(cx.clock());
    match cx.commit_part(Changes::new().save(&delivery)).await {
        Err(Error::Stale(_)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use contracts::identity::{GetContact, USER_NOT_FOUND};
    use runtime::mail::MailError;

    use super::*;
    use crate::tests::{app_with_section, confirmed, contact, deliveries};

    const JOB: &str = SendDue::NAME;

    #[tokio::test]
    async fn a_message_whose_event_was_lost_is_sent_half_a_minute_later() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.advance_seconds(29);
        app.run_job(JOB).await;
        assert!(app.mail().is_empty());
        app.advance_seconds(1);
        app.run_job(JOB).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
    }

    #[tokio::test]
    async fn a_provider_that_takes_nothing_is_left_alone_until_the_next_tick() {
        let app = app_with_section().await;
        for it in 0..10 {
            app.deliver(&confirmed(&format!("p{it}"), 1)).await;
        }
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        app.mail_answers(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(MailError::Unavailable("421".into()))
        });
        app.advance_seconds(30);
        app.run_job(JOB).await;
        assert_eq!(tries.load(Ordering::SeqCst), BAD_MOST);
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_looked_after_does_not_hold_up_the_others() {
        let app = app_with_section().await;
        for name in ["ada", "bob", "cid"] {
            app.deliver(&confirmed(name, 1)).await;
        }
        app.now_answering::<GetContact>(|request| match request.user_id.as_str() {
            "bob" => Err(runtime::problems::UNAVAILABLE),
            "cid" => Err(USER_NOT_FOUND),
            name => Ok(contact(name)),
        });
        app.advance_seconds(30);
        assert!(app.try_run_job(JOB).await.is_err());
        assert_eq!(app.mail().len(), 1);
        app.now_answering::<GetContact>(|request| Ok(contact(request.user_id.as_str())));
        app.run_job(JOB).await;
        assert_eq!(app.mail().len(), 1);
        app.advance_minutes(1);
        app.run_job(JOB).await;
        assert_eq!(app.mail().len(), 2);
        assert!(deliveries(&app).await.iter().all(|it| it.due_at.is_none()));
    }

    #[tokio::test]
    async fn a_run_ends_and_the_next_goes_on() {
        let app = app_with_section().await;
        for it in 0..=MOST {
            app.deliver(&confirmed(&format!("p{it}"), 1)).await;
        }
        app.advance_seconds(30);
        app.run_job(JOB).await;
        assert_eq!(app.mail().len(), MOST);
        app.run_job(JOB).await;
        assert_eq!(app.mail().len(), MOST + 1);
    }
}
