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
    for delivery in cx.get_all::<Delivery>(&digest.delivery_ids).await? {
        if let Some(mut delivery) = delivery {
            delivery.digest(cx.now);
            changes = changes.save(&delivery);
        }
    }
    digest.close();
    cx.commit_part(changes.save(&digest)).await
}
