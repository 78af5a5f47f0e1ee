//! `DELETE /v1/users/{user_id}`

use contracts::identity::{AccountClosed, USER_NOT_FOUND};
use runtime::prelude::*;

use crate::{
    ending::end_all,
    fresh::{REAUTHENTICATION_REQUIRED, fresh},
    person::{OWN_ACCESS, Person},
    still_admin::still_admin,
};

/// Close an account.
///
/// From now on nobody signs in with it, its sessions end, and nobody finds it;
/// its owner is told by mail. After 30 days everything that the platform keeps
/// of the person is erased; until then an admin can open it again. It takes
/// someone who has shown within five minutes that it's them: by signing in, or by
/// verifying a factor or their password. An admin closes others' accounts, and
/// not their own. Closing an account that is closed succeeds again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteUser {
    /// Whose; `me` for your own.
    user_id: UserId,
}

impl Endpoint for DeleteUser {
    const OPERATION: &'static str = "identity.delete_user";
    const ROUTE: Route = Route::delete("/v1/users/{user_id}");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND, REAUTHENTICATION_REQUIRED, OWN_ACCESS];
    type Response = ();
}

pub async fn run(cx: Context<User>, request: DeleteUser) -> Result<()> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let mut person = if user_id != cx.caller.id {
        still_admin(&cx).await?;
        cx.get::<Person>(user_id.as_str()).await?.ok_or(USER_NOT_FOUND)?
    } else if cx.caller.is_admin() {
        return Err(OWN_ACCESS.into());
    } else {
        fresh(&cx, &cx.caller).await?.0
    };

    let contact = person.contact();
    if !person.close(cx.now) {
        return Ok(());
    }
    let ended = end_all(&cx, &mut person).await?;
    let erased_at = person.erase_at.unwrap_or(cx.now);
    let event = AccountClosed { contact, closed_at: cx.now, erased_at };
    cx.commit(ended.save(&person).emit(&event)).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::ContactChanged;
    use contracts::identity::RegistrationRepeated;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::{App, json};

    use super::*;
    use crate::{
        refresh_session::INVALID_REFRESH_TOKEN,
        sign_in::WRONG_CREDENTIALS,
        tests::{PASSWORD, app, ask, enter, holder, member, refresh, register, sign_in},
    };

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn a_closed_account_is_gone_at_once() {
        let app = app();
        let id = member(&app, ADA).await;
        let (phone, laptop) = (enter(&app, ADA).await, enter(&app, ADA).await);
        let before = app.commits();
        assert_eq!(holder(&app, &phone).delete("/v1/users/me").await.status, 204);
        assert_eq!(app.commits() - before, 1);
        for signed_in in [&phone, &laptop] {
            refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
            let holder = holder(&app, signed_in);
            holder.get("/v1/users/me").await.is(USER_NOT_FOUND);
            holder.get("/v1/users/me/sessions").await.is(USER_NOT_FOUND);
            let change = json!({ "name": "x" });
            holder.patch("/v1/users/me", change, "3").await.is(USER_NOT_FOUND);
            holder.delete("/v1/users/me").await.is(REAUTHENTICATION_REQUIRED);
        }
        sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        let contact = format!("/internal/identity/contacts/{id}");
        app.platform().get(&contact).await.is(USER_NOT_FOUND);
        let told = app.emitted::<AccountClosed>().await;
        assert_eq!((told.len(), told[0].contact.email.as_str()), (1, ADA));
        assert_eq!(told[0].erased_at, app.now().plus_minutes(30 * 24 * 60));
    }

    #[tokio::test]
    async fn a_closed_account_is_written_to_by_nobody() {
        let app = app();
        member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        holder(&app, &ada).delete("/v1/users/me").await.ok();
        let before = app.envelopes().len();
        register(&app, ADA).await.ok();
        ask(&app, ADA, "reset_password").await.ok();
        assert!(app.emitted::<RegistrationRepeated>().await.is_empty());
        let told: Vec<_> = app.envelopes().split_off(before);
        assert!(told.iter().all(|it| it.kind == "identity.code_declined.v1"));
    }

    #[tokio::test]
    async fn an_account_is_closed_by_who_has_just_shown_that_it_is_theirs() {
        let app = app();
        let id = member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        let uri = format!("/v1/users/{id}");
        app.anyone().delete(&uri).await.is(UNAUTHENTICATED);
        app.user("eve").delete(&uri).await.is(FORBIDDEN);
        app.instructor("ines").delete(&uri).await.is(FORBIDDEN);
        app.user(id.as_str()).delete(&uri).await.is(REAUTHENTICATION_REQUIRED);
        app.advance_seconds(301);
        let ada = holder(&app, &ada);
        ada.delete(&uri).await.is(REAUTHENTICATION_REQUIRED);
        let password = json!({ "password": PASSWORD });
        ada.post("/v1/users/me/factors/password/verify", password).await.ok();
        ada.delete(&uri).await.ok();
    }

    #[tokio::test]
    async fn an_admin_closes_and_opens_others_accounts_and_not_their_own() {
        let app = app();
        let id = member(&app, ADA).await;
        let (root, uri) = (app.admin("root"), format!("/v1/users/{id}"));
        root.delete("/v1/users/nobody-here").await.is(USER_NOT_FOUND);
        for _ in 0..2 {
            assert_eq!(root.delete(&uri).await.status, 204);
        }
        assert_eq!(app.emitted::<AccountClosed>().await.len(), 1);
        let closed = root.get(&uri).await.ok();
        assert_eq!(closed["state"], "closed");
        let etag = closed["etag"].as_str().unwrap();
        let open = root.patch(&uri, json!({ "state": "active" }), etag).await.ok();
        assert_eq!(open.get("erase_at"), None);
        let told = app.emitted::<ContactChanged>().await.pop().expect("they're written to again");
        let closed = app.emitted::<AccountClosed>().await.remove(0);
        assert!(told.contact.revision > closed.contact.revision);
        enter(&app, ADA).await;

        member(&app, App::ADMIN_EMAIL).await;
        let admin = enter(&app, App::ADMIN_EMAIL).await;
        holder(&app, &admin).delete("/v1/users/me").await.is(OWN_ACCESS);
    }
}
