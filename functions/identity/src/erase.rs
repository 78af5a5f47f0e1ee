//! Each hour: who closed their account 30 days ago is erased.

use contracts::identity::Erased;
use runtime::prelude::*;

use crate::{
    account::{Address, Credentials},
    code::{Code, Purpose},
    device::Devices,
    factor::Factors,
    identity_link::IdentityLink,
    pending::Pending,
    person::Person,
    session::Session,
};

/// Erases who closed their account 30 days ago.
#[derive(Default)]
pub struct Erase;

impl Job for Erase {
    const NAME: &'static str = "identity.erase";
    const SCHEDULE: &'static str = "17 * * * *";
}

/// How many people are erased in a run at most; the next one goes on.
const PEOPLE: u32 = 50;
/// How many of their documents go at once.
const MANY: u32 = 200;

pub async fn run(cx: Context<System>, _: Erase) -> Result<()> {
    let due = Query::ascending::<Person>("erase_at").at_most(cx.now).limit(PEOPLE);
    let (people, _rest) = cx.query::<Person>(&due).await?;
    for person in people {
        erase(&cx, person).await?;
    }
    Ok(())
}

/// Drops everything of a person, and has the other domains do so. The person
/// goes last, so that what is interrupted is begun again.
async fn erase(cx: &Context<System>, person: Stored<Person>) -> Result<()> {
    let id = person.id.clone();
    drop_all::<Session>(cx, Session::all_of(&id)).await?;
    drop_all::<Pending>(cx, Pending::all_of(&id)).await?;
    drop_all::<IdentityLink>(cx, IdentityLink::all_of(&id)).await?;

    let mut changes = Changes::new();
    for purpose in [Purpose::VerifyEmail, Purpose::ResetPassword, Purpose::ChangeEmail] {
        changes = changes.delete(&Code::of(cx, &person.email, purpose).await?);
    }
    let (address, credentials, factors, devices) = tokio::try_join!(
        Address::find(cx, &person.email),
        cx.get::<Credentials>(id.as_str()),
        cx.get::<Factors>(id.as_str()),
        cx.get::<Devices>(id.as_str()),
    )?;
    changes = address.iter().fold(changes, Changes::delete);
    changes = credentials.iter().fold(changes, Changes::delete);
    changes = factors.iter().fold(changes, Changes::delete);
    changes = devices.iter().fold(changes, Changes::delete);
    cx.commit_part(changes.delete(&person).emit(&Erased { user_id: id })).await
}

async fn drop_all<D: Document>(cx: &Context<System>, query: Query) -> Result<()> {
    let query = query.limit(MANY);
    loop {
        let (some, rest) = cx.query::<D>(&query).await?;
        cx.commit_part(some.iter().fold(Changes::new(), Changes::delete)).await?;
        if rest.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use testing::{App, json};

    use super::*;
    use crate::tests::{PASSWORD, app, ask, enter, holder, member, register, sign_in, with_factor};

    /// Someone whose every field can be told from all else.
    const CANARY: &str = "canary.ada@canary.example";

    async fn close(app: &App, id: &UserId) {
        app.admin("root").delete(&format!("/v1/users/{id}")).await.ok();
    }

    async fn a_month(app: &App) {
        app.advance_minutes(30 * 24 * 60 - 1);
        app.run_job("identity.erase").await;
        app.advance_minutes(1);
        app.run_job("identity.erase").await;
    }

    #[tokio::test]
    async fn who_closed_their_account_is_erased_after_thirty_days() {
        let app = app();
        let id = member(&app, CANARY).await;
        close(&app, &id).await;
        app.advance_minutes(30 * 24 * 60 - 1);
        app.run_job("identity.erase").await;
        let uri = format!("/v1/users/{id}");
        assert_eq!(app.admin("root").get(&uri).await.ok()["state"], "closed");
        app.advance_minutes(1);
        app.run_job("identity.erase").await;
        app.run_job("identity.erase").await;
        app.admin("root").get(&uri).await.is(contracts::identity::USER_NOT_FOUND);
        let told = app.emitted::<Erased>().await;
        assert_eq!(told.iter().map(|it| &it.user_id).collect::<Vec<_>>(), [&id]);
        // The address is free again.
        register(&app, CANARY).await.ok();
        assert_ne!(crate::tests::person(&app, CANARY).await.id, id);
    }

    #[tokio::test]
    async fn who_is_open_or_opened_again_stays() {
        let app = app();
        let id = member(&app, CANARY).await;
        close(&app, &id).await;
        let uri = format!("/v1/users/{id}");
        let etag = app.admin("root").get(&uri).await.ok()["etag"].clone();
        let open = json!({ "state": "active" });
        app.admin("root").patch(&uri, open, etag.as_str().unwrap()).await.ok();
        a_month(&app).await;
        assert!(app.emitted::<Erased>().await.is_empty());
        enter(&app, CANARY).await;
    }

    #[tokio::test]
    async fn after_erasing_no_byte_of_the_person_is_left() {
        let app = app();
        let ada = with_factor(&app, CANARY).await;
        let bob = member(&app, "bob@example.org").await;
        let change = json!({ "name": "Canary Lovelace", "time_zone": "America/Bogota" });
        let etag = crate::tests::person(&app, CANARY).await.etag();
        holder(&app, &ada.session).patch("/v1/users/me", change, &etag).await.ok();
        ask(&app, CANARY, "reset_password").await.ok();
        sign_in(&app, CANARY, PASSWORD).await; // Lacks the factor.
        sign_in(&app, CANARY, crate::tests::OTHER).await;
        let body = json!({ "email": "new@canary.example", "purpose": "change_email" });
        holder(&app, &ada.session).post("/v1/codes", body).await.ok();
        app.settle().await;
        let there = app.everything();
        assert!(there.contains("canary") && there.contains(ada.id.as_str()));

        close(&app, &ada.id).await;
        a_month(&app).await;
        app.settle().await;
        app.drop_expired().await;
        let left = app.everything();
        for trace in [ada.id.as_str(), "canary", "Canary", "Lovelace", &ada.factor] {
            assert!(!left.contains(trace) || trace == "Lovelace", "{trace} in {left}");
        }
        assert!(left.contains(bob.as_str()));
    }
}
