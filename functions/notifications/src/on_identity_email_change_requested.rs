//! On `identity.email_change_requested.v1`: the code is mailed to the address
//! that the account is to move to.

use contracts::identity::EmailChangeRequested;
use runtime::prelude::*;

use crate::{contact, news::News, telling};

pub async fn run(cx: Context<System>, event: EmailChangeRequested) -> Result<()> {
    let EmailChangeRequested { code_id, new_email, contact, expires_at } = event;
    let news = News::EmailChange { code_id, expires_at };
    let learned = contact::learned(&cx, &contact).await?;
    let told = telling::told_once_at(&cx, &contact.user_id, news, &new_email).await?;
    cx.commit_part(learned.and(told)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app, contact, deliveries};

    #[tokio::test]
    async fn the_code_goes_to_the_new_address_which_is_kept_nowhere_in_the_clear() {
        let app = app();
        let event = EmailChangeRequested {
            code_id: "k1".into(),
            new_email: "new@mail.example".into(),
            contact: contact("ada"),
            expires_at: app.now().plus_minutes(15),
        };
        app.deliver(&event).await;
        app.deliver_again().await;
        let kept = serde_json::to_string(&deliveries(&app).await).unwrap();
        assert!(!kept.contains("new@mail.example"), "{kept}");
        app.settle().await;
        let mail = app.mail();
        assert_eq!((mail.len(), &*mail[0].to), (1, "new@mail.example"));
        assert!(mail[0].text.contains(&app.context().secret().code("k1")));
        let kept = serde_json::to_string(&deliveries(&app).await).unwrap();
        assert!(!kept.contains("locked_to"), "{kept}");
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(0));
    }
}
