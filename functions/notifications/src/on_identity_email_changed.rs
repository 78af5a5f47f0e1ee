//! On `identity.email_changed.v1`: the address that the account had is told, in
//! case it was someone else.

use contracts::identity::EmailChanged;
use runtime::prelude::*;

use crate::{contact, news::News, telling};

pub async fn run(cx: Context<System>, event: EmailChanged) -> Result<()> {
    let EmailChanged { contact, old_email, changed_at } = event;
    let news = News::EmailChanged { changed_at };
    let learned = contact::learned(&cx, &contact).await?;
    let told = telling::told_once_at(&cx, &contact.user_id, news, &old_email).await?;
    cx.commit_part(learned.and(told)).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::Contact;

    use super::*;
    use crate::tests::{app, contact};

    #[tokio::test]
    async fn the_old_address_is_told_and_the_new_one_is_used_from_then_on() {
        let app = app();
        let moved = Contact { email: "new@mail.example".into(), revision: 2, ..contact("ada") };
        let old_email = "ada@mail.example".to_owned();
        app.deliver(&EmailChanged { contact: moved, old_email, changed_at: app.now() }).await;
        app.deliver_again().await;
        app.settle().await;
        let mail = app.mail();
        assert_eq!((mail.len(), &*mail[0].to), (1, "ada@mail.example"));
        assert!(!mail[0].text.contains("new@mail.example"));
        let cx = app.context();
        let known = crate::contact::of(&cx, &"ada".into()).await.unwrap().unwrap().contact;
        assert_eq!(known.email, "new@mail.example");
    }
}
