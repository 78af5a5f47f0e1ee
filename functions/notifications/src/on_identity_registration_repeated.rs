//! On `identity.registration_repeated.v1`: the account's owner is told.

use contracts::identity::RegistrationRepeated;
use runtime::prelude::*;

use crate::{contact, news::News, telling};

pub async fn run(cx: Context<System>, event: RegistrationRepeated) -> Result<()> {
    let news = News::RegistrationRepeated { at: cx.now };
    let learned = contact::learned(&cx, &event.contact).await?;
    let told = telling::told_once(&cx, &event.contact.user_id, news, None).await?;
    cx.commit(learned.and(told)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app, contact};

    #[tokio::test]
    async fn the_owner_is_told_once_an_hour() {
        let app = app();
        let event = RegistrationRepeated { contact: contact("ada") };
        app.deliver(&event).await;
        app.deliver_again().await;
        app.deliver(&event).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        app.advance_minutes(60);
        app.deliver_again().await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        app.deliver(&event).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 2);
    }
}
