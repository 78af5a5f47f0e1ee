//! On `identity.password_changed.v1`: the account's owner is told, in case it
//! was someone else.

use contracts::identity::PasswordChanged;
use runtime::prelude::*;

use crate::{news::News, telling};

pub async fn run(cx: Context<System>, event: PasswordChanged) -> Result<()> {
    let news = News::PasswordChanged { changed_at: event.changed_at };
    telling::owner_told(&cx, &event.contact, news).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app, contact};

    #[tokio::test]
    async fn the_owner_is_told_by_mail_and_in_their_list() {
        let app = app();
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.deliver_again().await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"][0]["kind"], "password_changed");
        assert_eq!(list["items"][0]["ref"], "users/ada");
    }
}
