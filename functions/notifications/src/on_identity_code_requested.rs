//! On `identity.code_requested.v1`: the code is mailed.

use contracts::identity::CodeRequested;
use runtime::prelude::*;

use crate::{contact, news::News, telling};

pub async fn run(cx: Context<System>, event: CodeRequested) -> Result<()> {
    let CodeRequested { code_id, purpose, contact, expires_at } = event;
    let news = News::Code { purpose, code_id, expires_at };
    // The event's address counts, though no other event has told of it yet.
    let learned = contact::learned(&cx, &contact).await?;
    let told = telling::told_once(&cx, &contact.user_id, news, None).await?;
    cx.commit_part(learned.and(told)).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        Language,
        identity::{CodePurpose, Contact, ContactChanged},
    };

    use super::*;
    use crate::tests::{app, contact, deliveries};

    fn requested(contact: Contact) -> CodeRequested {
        CodeRequested {
            code_id: "k1".into(),
            purpose: CodePurpose::VerifyEmail,
            contact,
            expires_at: crate::tests::time("2026-03-02T12:15:00Z"),
        }
    }

    #[tokio::test]
    async fn the_code_is_mailed_once_and_kept_nowhere() {
        let app = app();
        app.deliver(&requested(Contact { locale: Language::Es, ..contact("ada") })).await;
        app.deliver_again().await;
        app.deliver(&requested(contact("ada"))).await;
        app.settle().await;
        let mail = app.mail();
        let code = app.context().secret().code("k1");
        assert_eq!(mail.len(), 1);
        assert_eq!(mail[0].subject, "Confirma tu dirección de correo");
        assert!(mail[0].text.contains(&code) && mail[0].html.contains(&code));
        let kept = serde_json::to_string(&deliveries(&app).await).unwrap();
        assert!(!kept.contains(&code) && !kept.contains("ada@mail.example"), "{kept}");
    }

    #[tokio::test]
    async fn it_goes_to_the_events_address_though_an_older_one_is_known() {
        let app = app();
        let old = Contact { email: "old@mail.example".into(), ..contact("ada") };
        app.deliver(&ContactChanged { contact: old }).await;
        app.deliver(&requested(Contact { revision: 2, ..contact("ada") })).await;
        app.settle().await;
        assert_eq!(app.mail()[0].to, "ada@mail.example");
    }

    #[tokio::test]
    async fn it_is_no_item_in_the_persons_list() {
        let app = app();
        app.deliver(&requested(contact("ada"))).await;
        let list = app.user("ada").get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(0));
    }
}
