//! `POST /v1/codes`

use contracts::identity::{CodeDeclined, CodeRequested, EmailChangeRequested};
use runtime::{prelude::*, problems::UNAUTHENTICATED};

use crate::{
    account::{Address, person_with},
    code::{Code, MailPromised, Purpose},
    email::Email,
    fresh::{REAUTHENTICATION_REQUIRED, fresh},
    person::Person,
};

/// Have a one-time code mailed.
///
/// The answer is the same whether or not the address has an account; a code
/// goes to those that have one, or, for `change_email`, to those that have none.
/// It has 8 digits, is good for 15 minutes, once, and for five guesses, and
/// takes the place of the one before. An address gets ten mails at once, and
/// then one every three minutes; beyond that the last code stays good.
/// Registering sends the first `verify_email` code. `change_email` takes someone
/// who is signed in, and has shown within five minutes that it's them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestCode {
    /// The address of the account; the one that it is to move to, for `change_email`.
    email: Email,
    /// What the code is for.
    purpose: Purpose,
}

impl Endpoint for RequestCode {
    const OPERATION: &'static str = "identity.request_code";
    const ROUTE: Route = Route::accept("/v1/codes");
    const PROBLEMS: &'static [Problem] = &[REAUTHENTICATION_REQUIRED];
    const RATE: Rate = Rate::Strict;
    type Response = MailPromised;
}

pub async fn run(cx: Context<Anyone>, request: RequestCode) -> Result<MailPromised> {
    let RequestCode { email, purpose } = request;
    if purpose == Purpose::ChangeEmail {
        return change_email(cx, &email).await;
    }
    let person = person_with(&cx, &email).await?;
    let mut code = Code::of(&cx, &email, purpose).await?;

    // A stranger's address costs the same: a commit, and an event.
    let reader = person.filter(|it| it.may_have_codes());
    let renewed = reader.and_then(|it| Some((code.renew(cx.random().id(), cx.now)?, it)));
    let changes = match renewed {
        Some((code_id, person)) => {
            let (purpose, expires_at) = (purpose.told(), code.expires_at());
            let contact = person.contact();
            Changes::new().emit(&CodeRequested { code_id, purpose, contact, expires_at })
        }
        None => declined(&code, purpose),
    };
    cx.answer(changes.save(&code), MailPromised::new()).await
}

/// Sends a code to the address that someone wants, unless it has an account.
async fn change_email(cx: Context<Anyone>, email: &Email) -> Result<MailPromised> {
    let caller = cx.caller.user.clone().ok_or(UNAUTHENTICATED)?;
    let (person, _) = fresh(&cx, &caller).await?;
    let taken = Address::find(&cx, email).await?.is_some();
    let mut code = Code::of(&cx, email, Purpose::ChangeEmail).await?;

    let renewed = if taken { None } else { code.renew(cx.random().id(), cx.now) };
    let changes = match renewed {
        Some(code_id) => {
            code.mover = Some(caller.id);
            Changes::new().emit(&requested(code_id, email, &person, &code))
        }
        None => declined(&code, Purpose::ChangeEmail),
    };
    cx.answer(changes.save(&code), MailPromised::new()).await
}

fn requested(code_id: String, email: &Email, person: &Person, code: &Code) -> EmailChangeRequested {
    let (contact, expires_at) = (person.contact(), code.expires_at());
    EmailChangeRequested { code_id, new_email: email.as_str().to_owned(), contact, expires_at }
}

fn declined(code: &Code, purpose: Purpose) -> Changes {
    let purpose = purpose.told();
    Changes::new().emit(&CodeDeclined { address_id: code.key(), purpose })
}

#[cfg(test)]
mod tests {
    use testing::{Answer, App, Value, json};

    use super::*;
    use crate::tests::{app, ask, code, disable, enter, holder, member, register, verify};

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

    async fn want(app: &App, who: &Value, email: &str) -> Answer {
        let body = json!({ "email": email, "purpose": "change_email" });
        holder(app, who).post("/v1/codes", body).await
    }

    #[tokio::test]
    async fn a_code_for_another_address_goes_there() {
        let app = app();
        member(&app, "ada@example.org").await;
        let ada = enter(&app, "ada@example.org").await;
        let answer = want(&app, &ada, "ADA@new.example").await;
        assert_eq!((answer.status, answer.body), (202, json!({ "status": "check_your_mail" })));
        let sent = app.emitted::<EmailChangeRequested>().await.pop().unwrap();
        assert_eq!(sent.new_email, "ada@new.example");
        assert_eq!(sent.contact.email, "ada@example.org");
    }

    #[tokio::test]
    async fn whether_the_wanted_address_has_an_account_is_not_told() {
        let app = app();
        member(&app, "ada@example.org").await;
        member(&app, "bob@example.org").await;
        let ada = enter(&app, "ada@example.org").await;
        let work = async |email: &str| {
            let before = (app.commits(), app.reads(), app.envelopes().len());
            let answer = want(&app, &ada, email).await;
            let after = (app.commits(), app.reads(), app.envelopes().len());
            let work = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
            (answer.status, answer.body, work)
        };
        let free = work("new@example.org").await;
        assert_eq!(work("bob@example.org").await, free);
        assert_eq!(app.emitted::<EmailChangeRequested>().await.len(), 1);
    }

    #[tokio::test]
    async fn an_account_is_moved_only_by_who_has_just_shown_that_it_is_theirs() {
        let app = app();
        member(&app, "ada@example.org").await;
        let ada = enter(&app, "ada@example.org").await;
        let body = json!({ "email": "new@example.org", "purpose": "change_email" });
        app.anyone().post("/v1/codes", &body).await.is(UNAUTHENTICATED);
        app.user("eve").post("/v1/codes", &body).await.is(REAUTHENTICATION_REQUIRED);
        app.advance_minutes(6);
        want(&app, &ada, "new@example.org").await.is(REAUTHENTICATION_REQUIRED);
        assert!(app.emitted::<EmailChangeRequested>().await.is_empty());
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
