//! `DELETE /v1/users/{user_id}/factors/{factor_id}`

use contracts::identity::{FactorRemoved, USER_NOT_FOUND};
use runtime::prelude::*;

use crate::{
    factor::{FACTOR_NOT_FOUND, Factors},
    fresh::{REAUTHENTICATION_REQUIRED, fresh},
    person::Person,
};

/// Remove a second factor.
///
/// With the last one the recovery codes go, and signing in takes the password
/// alone. It takes someone who has shown within five minutes that it's them; an
/// admin helps who has lost theirs. The owner is told by mail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveFactor {
    /// Whose; `me` for your own.
    user_id: UserId,
    /// Which.
    factor_id: Line<1, 64>,
}

impl Endpoint for RemoveFactor {
    const OPERATION: &'static str = "identity.remove_factor";
    const ROUTE: Route = Route::delete("/v1/users/{user_id}/factors/{factor_id}");
    const PROBLEMS: &'static [Problem] =
        &[USER_NOT_FOUND, FACTOR_NOT_FOUND, REAUTHENTICATION_REQUIRED];
    type Response = ();
}

pub async fn run(cx: Context<User>, request: RemoveFactor) -> Result<()> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    let mut person = if user_id == cx.caller.id {
        fresh(&cx, &cx.caller).await?.0
    } else {
        let person = cx.get::<Person>(user_id.as_str()).await?;
        person.filter(|it| !it.is_closed()).ok_or(USER_NOT_FOUND)?
    };
    let mut factors = Factors::of(&cx, &user_id).await?;

    let removed = factors.remove(&request.factor_id)?;
    let mut changes = Changes::new().save(&factors);
    if let Some(removed) = removed {
        person.show(factors.listed(), cx.now);
        changes = changes.save(&person).emit(&FactorRemoved {
            contact: person.contact(),
            kind: removed.kind,
            name: removed.name,
            removed_at: cx.now,
        });
    }
    cx.commit(changes).await
}

#[cfg(test)]
mod tests {
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};

    use super::*;
    use crate::tests::{app, enter, holder, with_factor};

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn without_a_factor_the_password_is_enough_again_and_its_owner_is_told() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let uri = format!("/v1/users/me/factors/{}", ada.factor);
        assert_eq!(holder(&app, &ada.session).delete(&uri).await.status, 204);
        enter(&app, ADA).await;
        let told = app.emitted::<FactorRemoved>().await;
        assert_eq!((told.len(), told[0].name.as_str()), (1, "app"));
        holder(&app, &ada.session).delete(&uri).await.is(FACTOR_NOT_FOUND);
    }

    #[tokio::test]
    async fn a_factor_is_removed_by_who_has_just_shown_that_it_is_them_or_by_an_admin() {
        let app = app();
        let ada = with_factor(&app, ADA).await;
        let uri = format!("/v1/users/{}/factors/{}", ada.id, ada.factor);
        app.advance_minutes(6);
        app.anyone().delete(&uri).await.is(UNAUTHENTICATED);
        app.user("eve").delete(&uri).await.is(FORBIDDEN);
        holder(&app, &ada.session).delete(&uri).await.is(REAUTHENTICATION_REQUIRED);
        let root = app.admin("root");
        root.delete("/v1/users/nobody-here/factors/x").await.is(USER_NOT_FOUND);
        root.delete(&format!("/v1/users/{}/factors/x", ada.id)).await.is(FACTOR_NOT_FOUND);
        assert_eq!(root.delete(&uri).await.status, 204);
        enter(&app, ADA).await;
    }
}
