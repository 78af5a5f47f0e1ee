//! `POST /v1/codes`

use contracts::identity::{CodeDeclined, CodePurpose, CodeRequested};
use runtime::prelude::*;

use crate::{
    account::person_with,
    code::{Code, MailPromised},
    email::Email,
    person::State,
};

/// Have a one-time code mailed.
///
/// The answer is the same whether or not the address has an account; a code
/// goes to those that have one. It has 8 digits, is good for 15 minutes, once,
/// and for five guesses, and takes the place of the one before. An address gets
/// ten mails at once, and then one every three minutes; beyond that the last
/// code stays good. Registering sends the first `verify_email` code.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestCode {
    /// The address of the account.
    email: Email,
    /// What the code is for.
    purpose: CodePurpose,
}

impl Endpoint for RequestCode {
    const OPERATION: &'static str = "identity.request_code";
    const ROUTE: Route = Route::accept("/v1/codes");
    const RATE: Rate = Rate::Strict;
    type Response = MailPromised;
}

pub async fn run(cx: Context<Anyone>, request: RequestCode) -> Result<MailPromised> {
    let RequestCode { email, purpose } = request;
    let person = person_with(&cx, &email).await?;
    let mut code = Code::of(&cx, &email, purpose).await?;

    // A stranger's address costs the same: a commit, and an event.
    let reader = person.filter(|it| it.state != State::Disabled);
    let renewed = reader.and_then(|it| Some((code.renew(cx.random().id(), cx.now)?, it)));
    let changes = match renewed {
        Some((code_id, person)) => {
            let (contact, expires_at) = (person.contact(), code.expires_at());
            Changes::new().emit(&CodeRequested { code_id, purpose, contact, expires_at })
        }
        None => Changes::new().emit(&CodeDeclined { address_id: code.key(), purpose }),
    };
    cx.answer(changes.save(&code), MailPromised::new()).await
}

#[cfg(test)]
mod tests {
    use testing::{Value, json};

    use super::*;
    use crate::tests::{app, ask, code, disable, member, register, verify};

    #[tokio::test]
    async fn a_new_code_takes_the_place_of_the_old_one() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        let first = code(&app).await;
        let answer = ask(&app, "ADA@example.org", "verify_email").await;
        assert_eq!((answer.status, answer.body), (202, json!({ "status": "check_your_mail" })));
        let second = code(&app).await;
        verify(&app, "ada@example.org", &first).await.is(crate::code::INVALID_CODE);
        verify(&app, "ada@example.org", &second).await.ok();
    }

    #[tokio::test]
    async fn a_strangers_address_gets_the_same_answer_for_the_same_work_and_no_mail() {
        let app = app();
        let work = async |email: &str| {
            let before = (app.commits(), app.reads(), app.envelopes().len());
            let answer = ask(&app, email, "reset_password").await;
            let after = (app.commits(), app.reads(), app.envelopes().len());
            let work = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
            (answer.status, answer.body, work)
        };
        member(&app, "ada@example.org").await;
        let known = work("ada@example.org").await;
        let sent = app.emitted::<CodeRequested>().await.len();
        assert_eq!(work("eve@example.org").await, known);
        let disabled = member(&app, "bob@example.org").await;
        disable(&app, &disabled).await.ok();
        let sent_to_bob = app.emitted::<CodeRequested>().await.len() - sent;
        assert_eq!(work("bob@example.org").await, known);
        assert_eq!(app.emitted::<CodeRequested>().await.len(), sent + sent_to_bob);
        assert_eq!(app.emitted::<CodeDeclined>().await.len(), 2);
    }

    #[tokio::test]
    async fn what_tells_of_a_stranger_does_not_name_them() {
        let app = app();
        ask(&app, "eve@example.org", "reset_password").await.ok();
        let told = app.envelopes().pop().unwrap();
        assert!(!told.data.get().contains("eve") && !told.subject.contains("eve"));
    }

    #[tokio::test]
    async fn an_address_is_not_flooded_and_its_last_code_stays_good() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        for _ in 0..20 {
            assert_eq!(ask(&app, "ada@example.org", "verify_email").await.status, 202);
        }
        assert_eq!(app.emitted::<CodeRequested>().await.len(), 10);
        verify(&app, "ada@example.org", &code(&app).await).await.ok();
    }

    #[tokio::test]
    async fn codes_asked_for_at_once_leave_one_that_is_good() {
        let app = app();
        register(&app, "ada@example.org").await.ok();
        let asked = (0..4).map(|_| ask(&app, "ada@example.org", "verify_email"));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.status, 202);
        }
        let mut good = 0;
        for sent in app.emitted::<CodeRequested>().await {
            let code = app.context().secret().code(&sent.code_id);
            good += u32::from(verify(&app, "ada@example.org", &code).await.status == 200);
        }
        assert_eq!(good, 1);
    }

    #[tokio::test]
    async fn bad_fields_are_named_and_nothing_changes() {
        let app = app();
        let cases: &[(Value, &str, &str)] = &[
            (json!({ "purpose": "verify_email" }), "email", "missing"),
            (json!({ "email": "ada@example.org" }), "purpose", "missing"),
            (json!({ "email": "ada", "purpose": "verify_email" }), "email", "invalid-email"),
            (json!({ "email": ["a@b.example"], "purpose": "verify_email" }), "email", "wrong-type"),
            (json!({ "email": "a@b.example", "purpose": "sign_in" }), "purpose", "unknown-value"),
            (json!({ "email": "a@b.example", "code": "1" }), "code", "unknown-field"),
        ];
        for (body, field, reason) in cases {
            app.anyone().post_without_key("/v1/codes", body).await.blames(field, reason);
        }
        assert_eq!(app.commits(), 0);
    }
}
