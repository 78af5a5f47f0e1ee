//! `PATCH /v1/users/{user_id}`

use contracts::{
    TimeZone,
    identity::{ContactChanged, Role, USER_NOT_FOUND},
};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    ending::end_all,
    person::{NOT_VERIFIED, Name, OWN_ACCESS, Person, Profile, ProfileChange, State},
    still_admin::still_admin,
};

/// Change a person's profile, or what they may do.
///
/// `name`, `locale` and `time_zone` are their own to change; `roles` and `state`
/// an admin's. What they may do holds from their next access token on, within 15
/// minutes; being disabled ends their sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// Whose; `me` for your own.
    user_id: UserId,
    /// What to call you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    /// The language to write to you in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<Language>,
    /// The zone to tell you times in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<TimeZone>,
    /// All that they may do from now on; everyone is a student. It settles what
    /// they asked for when they registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    roles: Option<Vec<Role>>,
    /// Whether they can sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<NewState>,
    /// The version that you change: the profile's `etag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// Whether someone can sign in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "NewUserState")]
enum NewState {
    /// They can.
    Active,
    /// They can't, and all their sessions end.
    Disabled,
}

impl Endpoint for UpdateUser {
    const OPERATION: &'static str = "identity.update_user";
    const ROUTE: Route = Route::update("/v1/users/{user_id}");
    const PROBLEMS: &'static [Problem] = &[USER_NOT_FOUND, OWN_ACCESS, NOT_VERIFIED];
    type Response = Profile;
}

pub async fn run(cx: Context<User>, request: UpdateUser) -> Result<Profile> {
    let user_id = cx.caller.resolve(&request.user_id)?;
    request.check_access(&cx.caller, user_id == cx.caller.id)?;
    let person = cx.get::<Person>(user_id.as_str()).await?;
    // Only an admin finds who is closed, and opens the account again.
    let person = person.filter(|it| !it.is_closed() || cx.caller.is_admin());
    let mut person = person.ok_or(USER_NOT_FOUND)?;
    request.check_fields()?;
    if request.roles.is_some() || request.state.is_some() {
        still_admin(&cx).await?;
    }
    cx.expect_etag(&person.etag(), request.etag.as_deref())?;

    let changes = change(&cx, request, &mut person).await?;
    cx.commit(changes).await?;
    Ok(person.profile())
}

impl UpdateUser {
    /// A profile is its person's; what people may do is the admins'.
    fn check_access(&self, caller: &User, own: bool) -> Result<()> {
        let profile = self.name.is_some() || self.locale.is_some() || self.time_zone.is_some();
        let access = self.roles.is_some() || self.state.is_some();
        if (profile && !own) || (access && !caller.is_admin()) {
            return Err(FORBIDDEN.into());
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<()> {
        let mut faults = Faults::new();
        let fits = self.roles.as_ref().is_none_or(|it| it.len() <= 3);
        faults.unless(fits, "roles", "too-many", "at most 3", "como máximo 3");
        faults.check()
    }
}

async fn change(
    cx: &Context<User>,
    request: UpdateUser,
    person: &mut Stored<Person>,
) -> Result<Changes> {
    let UpdateUser { name, locale, time_zone, roles, state, .. } = request;
    let (before, mut changes) = (person.revision, Changes::new());
    let was_closed = person.is_closed();
    if let Some(roles) = roles {
        person.allow(&roles, &cx.caller.id, cx.now)?;
    }
    match state {
        None => {}
        Some(NewState::Active) => person.enter(State::Active, &cx.caller.id, cx.now)?,
        Some(NewState::Disabled) => {
            person.enter(State::Disabled, &cx.caller.id, cx.now)?;
            changes = end_all(cx, person).await?;
        }
    }
    if name.is_some() || locale.is_some() || time_zone.is_some() {
        person.change(ProfileChange { name, locale, time_zone }, cx.now);
        changes = changes.emit(&ContactChanged { contact: person.contact() });
    } else if was_closed && !person.is_closed() {
        // They are written to again.
        changes = changes.emit(&ContactChanged { contact: person.contact() });
    }
    Ok(if person.revision == before { changes } else { changes.save(person) })
}

#[cfg(test)]
mod tests {
    use contracts::UserId;
    use runtime::problems::{ETAG_REQUIRED, STALE_ETAG, UNAUTHENTICATED};
    use testing::{App, Value, json};

    use super::*;
    use crate::{
        refresh_session::INVALID_REFRESH_TOKEN,
        sign_in::WRONG_CREDENTIALS,
        tests::{PASSWORD, app, enter, holder, member, person, refresh, register, sign_in},
    };

    const ADA: &str = "ada@example.org";

    async fn ada(app: &App) -> (UserId, String) {
        let id = member(app, ADA).await;
        let uri = format!("/v1/users/{id}");
        (id, uri)
    }

    #[tokio::test]
    async fn people_change_what_they_say_of_themselves() {
        let app = app();
        let (id, _) = ada(&app).await;
        app.advance_minutes(1);
        let before = app.commits();
        let change = json!({ "name": "Ada King", "locale": "es", "time_zone": "America/Bogota" });
        let changed = app.user(id.as_str()).patch("/v1/users/me", change, "2").await.ok();
        assert_eq!(app.commits() - before, 1);
        assert_eq!((&changed["name"], &changed["locale"]), (&json!("Ada King"), &json!("es")));
        assert_eq!((&changed["etag"], &changed["updated_at"]), (&json!("3"), &json!(app.now())));
        let told = app.emitted::<ContactChanged>().await.pop().unwrap().contact;
        assert_eq!((told.name.as_str(), told.revision), ("Ada King", 3));
        assert_eq!((told.locale, told.time_zone.as_str()), (Language::Es, "America/Bogota"));
    }

    #[tokio::test]
    async fn an_admin_who_was_thrown_out_does_not_come_back_by_an_old_token() {
        let app = app();
        let (id, uri) = ada(&app).await;
        let root = app.admin("root");
        root.patch(&uri, json!({ "roles": ["admin"] }), "2").await.ok();
        let old = app.admin(id.as_str());
        let bob = member(&app, "bob@example.org").await;
        let bobs = format!("/v1/users/{bob}");
        old.patch(&bobs, json!({ "roles": ["instructor"] }), "2").await.ok();

        let out = root.patch(&uri, json!({ "state": "disabled" }), "3").await.ok();
        let etag = out["etag"].as_str().unwrap();
        let back = json!({ "state": "active", "roles": ["admin"] });
        old.patch(&uri, &back, etag).await.is(FORBIDDEN);
        old.patch(&bobs, json!({ "roles": ["admin"] }), "3").await.is(FORBIDDEN);
        old.delete(&bobs).await.is(FORBIDDEN);
        assert_eq!(root.get(&uri).await.ok()["state"], "disabled");
    }

    #[tokio::test]
    async fn one_field_leaves_the_others_as_they_are() {
        let app = app();
        let (id, _) = ada(&app).await;
        let change = json!({ "locale": "es", "name": null });
        let changed = app.user(id.as_str()).patch("/v1/users/me", change, "2").await.ok();
        assert_eq!((&changed["name"], &changed["locale"]), (&json!("Ada Lovelace"), &json!("es")));
    }

    #[tokio::test]
    async fn a_change_of_nothing_changes_nothing() {
        let app = app();
        let (id, _) = ada(&app).await;
        let before = app.commits();
        let same = app.user(id.as_str()).patch("/v1/users/me", json!({}), "2").await.ok();
        assert_eq!((&same["etag"], app.commits()), (&json!("2"), before));
    }

    #[tokio::test]
    async fn whoever_changes_must_have_seen_the_current_version() {
        let app = app();
        let (id, uri) = ada(&app).await;
        let (ada, change) = (app.user(id.as_str()), json!({ "name": "Ada King" }));
        ada.patch_without_etag(&uri, &change).await.is(ETAG_REQUIRED);
        ada.patch(&uri, &change, "1").await.is(STALE_ETAG);
        ada.patch_without_etag(&uri, json!({ "name": "Ada King", "etag": "2" })).await.ok();
        ada.patch(&uri, &change, "2").await.is(STALE_ETAG);
    }

    #[tokio::test]
    async fn of_two_changes_at_once_the_second_learns_of_the_first() {
        let app = app();
        let (id, uri) = ada(&app).await;
        let ada = app.user(id.as_str());
        let (one, other) = tokio::join!(
            ada.patch(&uri, json!({ "name": "One" }), "2"),
            ada.patch(&uri, json!({ "name": "Other" }), "2")
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        assert_eq!(person(&app, ADA).await.etag(), "3");
    }

    #[tokio::test]
    async fn an_admin_decides_who_teaches() {
        let app = app();
        let mut form = crate::tests::form(ADA);
        form["roles"] = json!(["instructor"]);
        app.anyone().post("/v1/users", form).await.ok();
        let uri = format!("/v1/users/{}", person(&app, ADA).await.id);
        let change = json!({ "roles": ["instructor", "instructor"] });
        let changed = app.admin("root").patch(&uri, change, "1").await.ok();
        assert_eq!(changed["roles"], json!(["student", "instructor"]));
        assert_eq!(changed["requested_roles"], json!([]));
        let back = app.admin("root").patch(&uri, json!({ "roles": [] }), "2").await.ok();
        assert_eq!(back["roles"], json!(["student"]));
    }

    #[tokio::test]
    async fn a_disabled_person_is_out_until_an_admin_lets_them_in() {
        let app = app();
        let (_, uri) = ada(&app).await;
        let signed_in = enter(&app, ADA).await;
        let out = app.admin("root").patch(&uri, json!({ "state": "disabled" }), "2").await.ok();
        assert_eq!((&out["state"], &out["etag"]), (&json!("disabled"), &json!("3")));
        sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        refresh(&app, &signed_in["refresh_token"]).await.is(INVALID_REFRESH_TOKEN);
        app.admin("root").patch(&uri, json!({ "state": "active" }), "3").await.ok();
        enter(&app, ADA).await;
    }

    #[tokio::test]
    async fn a_profile_is_changed_by_its_person_and_access_by_admins() {
        let app = app();
        let (id, uri) = ada(&app).await;
        let profile =
            [json!({ "name": "x" }), json!({ "locale": "es" }), json!({ "time_zone": "UTC" })];
        let access = [json!({ "roles": ["admin"] }), json!({ "state": "disabled" })];
        for change in profile.iter().chain(&access) {
            app.anyone().patch(&uri, change, "2").await.is(UNAUTHENTICATED);
            app.user("eve").patch(&uri, change, "2").await.is(FORBIDDEN);
            app.instructor("ines").patch(&uri, change, "2").await.is(FORBIDDEN);
        }
        for change in &access {
            app.user(id.as_str()).patch(&uri, change, "2").await.is(FORBIDDEN);
            app.user(id.as_str()).patch_without_etag("/v1/users/me", change).await.is(FORBIDDEN);
        }
        for change in &profile {
            app.admin("root").patch(&uri, change, "2").await.is(FORBIDDEN);
        }
        app.admin("root").patch("/v1/users/nobody-here", json!({}), "1").await.is(USER_NOT_FOUND);
        assert_eq!(person(&app, ADA).await.etag(), "2");
    }

    #[tokio::test]
    async fn an_admin_stays_one_until_another_decides() {
        let app = app();
        member(&app, App::ADMIN_EMAIL).await;
        let root = enter(&app, App::ADMIN_EMAIL).await;
        let root = holder(&app, &root);
        root.patch("/v1/users/me", json!({ "roles": ["student"] }), "2").await.is(OWN_ACCESS);
        root.patch("/v1/users/me", json!({ "state": "disabled" }), "2").await.is(OWN_ACCESS);
        let uri = format!("/v1/users/{}", person(&app, App::ADMIN_EMAIL).await.id);
        app.admin("another").patch(&uri, json!({ "roles": ["student"] }), "2").await.ok();
    }

    #[tokio::test]
    async fn no_admin_verifies_an_address() {
        let app = app();
        register(&app, ADA).await.ok();
        let uri = format!("/v1/users/{}", person(&app, ADA).await.id);
        for state in ["active", "disabled"] {
            let answer = app.admin("root").patch(&uri, json!({ "state": state }), "1").await;
            answer.is(NOT_VERIFIED);
        }
    }

    #[tokio::test]
    async fn bad_fields_are_named_and_nothing_changes() {
        let app = app();
        let (id, uri) = ada(&app).await;
        let cases: &[(&str, Value, &str)] = &[
            ("name", json!(" "), "empty"),
            ("name", json!("x".repeat(201)), "too-long"),
            ("name", json!("a\u{0}b"), "invalid-characters"),
            ("locale", json!("pt"), "unknown-value"),
            ("time_zone", json!("../../etc/passwd"), "unknown-time-zone"),
            ("email", json!("eve@example.org"), "unknown-field"),
            ("password", json!(PASSWORD), "unknown-field"),
            ("id", json!("eve"), "unknown-field"),
            ("user_id", json!("eve"), "duplicate-field"),
            ("created_at", json!("2026-01-01T00:00:00Z"), "unknown-field"),
        ];
        for (field, value, reason) in cases {
            let answer = app.user(id.as_str()).patch(&uri, json!({ *field: value }), "2").await;
            answer.blames(field, reason);
        }
        let cases: &[(Value, &str, &str)] = &[
            (json!({ "state": "unverified" }), "state", "unknown-value"),
            (json!({ "roles": ["root"] }), "roles[0]", "unknown-value"),
            (json!({ "roles": vec!["student"; 4] }), "roles", "too-many"),
        ];
        for (change, field, reason) in cases {
            app.admin("root").patch(&uri, change, "2").await.blames(field, reason);
        }
        assert_eq!(person(&app, ADA).await.etag(), "2");
    }
}
