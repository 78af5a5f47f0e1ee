//! `POST /v1/users/{user_id}/export`

use std::collections::BTreeMap;

use contracts::{
    courses, enrollments,
    identity::{DataExported, PersonalData},
    notifications,
};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    device::Devices,
    fresh::{REAUTHENTICATION_REQUIRED, fresh},
    identity_link::IdentityLink,
    person::Person,
    session::Session,
};

/// Get everything that the platform keeps of you.
///
/// The archive is the answer: what each domain keeps, as it's kept, without what
/// would let others in. Nothing of it is stored for it, so it's always of now. It
/// takes someone who has shown within five minutes that it's them, who is told by
/// mail. If a domain can't be reached it's 503: half an archive isn't one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportUser {
    /// Whose; `me` for your own, and there are no others.
    user_id: UserId,
}

/// Everything that the platform keeps of a person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Archive {
    /// Who.
    user_id: UserId,
    /// As of when.
    exported_at: Timestamp,
    /// What each domain keeps.
    domains: BTreeMap<String, PersonalData>,
}

impl Endpoint for ExportUser {
    const OPERATION: &'static str = "identity.export_user";
    const ROUTE: Route = Route::act("/v1/users/{user_id}/export");
    const PROBLEMS: &'static [Problem] = &[REAUTHENTICATION_REQUIRED];
    // The answer would be a copy that outlives the account.
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const RATE: Rate = Rate::Strict;
    type Response = Archive;
}

pub async fn run(cx: Context<User>, request: ExportUser) -> Result<Archive> {
    if cx.caller.resolve(&request.user_id)? != cx.caller.id {
        return Err(FORBIDDEN.into());
    }
    let (person, _) = fresh(&cx, &cx.caller).await?;
    let user_id = person.id.clone();

    let (own, courses, enrollments, notifications) = tokio::try_join!(
        own(&cx, &person),
        cx.call(courses::GetPersonalData { user_id: user_id.clone() }),
        cx.call(enrollments::GetPersonalData { user_id: user_id.clone() }),
        cx.call(notifications::GetPersonalData { user_id: user_id.clone() }),
    )?;
    let domains = [
        ("identity", own),
        ("courses", courses),
        ("enrollments", enrollments),
        ("notifications", notifications),
    ];
    let domains = domains.map(|(name, data)| (name.to_owned(), data)).into();
    let event = DataExported { contact: person.contact(), exported_at: cx.now };
    let archive = Archive { user_id, exported_at: cx.now, domains };
    cx.answer(Changes::new().emit(&event), archive).await
}

/// What identity keeps: whom it knows, not how they show it.
async fn own(cx: &Context<User>, person: &Person) -> Result<PersonalData> {
    let sessions = cx.query_all::<Session>(&Session::all_of(&person.id)).await?;
    let listed = sessions.iter().filter_map(|it| it.listed(cx.caller.session_id()));
    let identities = cx.query_all::<IdentityLink>(&IdentityLink::all_of(&person.id)).await?;
    let devices = cx.get::<Devices>(person.id.as_str()).await?;
    let collections = [
        ("users", vec![json(person)]),
        ("sessions", listed.map(json).collect()),
        ("devices", devices.iter().map(|it| json(&**it)).collect()),
        ("identities", identities.iter().map(|it| json(&**it)).collect()),
    ];
    let collections = collections.map(|(name, documents)| (name.to_owned(), documents));
    Ok(PersonalData { collections: collections.into() })
}

fn json(document: impl Serialize) -> serde_json::Value {
    serde_json::to_value(document).expect("documents are JSON")
}

#[cfg(test)]
mod tests {
    use runtime::problems::{UNAUTHENTICATED, UNAVAILABLE};
    use testing::{App, json};

    use super::*;
    use crate::tests::{PASSWORD, app, enter, holder, member, with_factor};

    const ADA: &str = "ada@example.org";
    const EXPORT: &str = "/v1/users/me/export";

    fn data(name: &str) -> PersonalData {
        let collections = [(name.to_owned(), vec![json!({ "of": "ada" })])].into();
        PersonalData { collections }
    }

    /// The domain with the others played.
    fn school() -> App {
        app()
            .answering(|_: courses::GetPersonalData| Ok(data("courses")))
            .answering(|_: enrollments::GetPersonalData| Ok(data("enrollments")))
            .answering(|_: notifications::GetPersonalData| Ok(data("deliveries")))
    }

    #[tokio::test]
    async fn an_archive_has_what_every_domain_keeps() {
        let app = school();
        let id = member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        let archive = holder(&app, &ada).post(EXPORT, json!({})).await;
        assert_eq!((archive.status, archive.header("cache-control")), (200, "no-store"));
        let archive = archive.body;
        assert_eq!(archive["user_id"], json!(id));
        let domains = &archive["domains"];
        assert_eq!(domains["enrollments"]["collections"]["enrollments"], json!([{ "of": "ada" }]));
        assert_eq!(domains["notifications"]["collections"]["deliveries"][0]["of"], "ada");
        assert_eq!(domains["courses"]["collections"]["courses"][0]["of"], "ada");
        let own = &domains["identity"]["collections"];
        assert_eq!(own["users"][0]["email"], ADA);
        assert_eq!(own["sessions"].as_array().map(Vec::len), Some(1));
        assert_eq!(app.emitted::<DataExported>().await.len(), 1);
    }

    #[tokio::test]
    async fn an_archive_lets_nobody_in() {
        let app = school();
        let ada = with_factor(&app, ADA).await;
        let answer = holder(&app, &ada.session).post_with_key(EXPORT, json!({}), "k1").await;
        let archive = answer.ok().to_string();
        let refresh = ada.session["refresh_token"].as_str().unwrap();
        for secret in refresh.split('.').skip(1).chain(ada.recovery.iter().map(String::as_str)) {
            assert!(!archive.contains(secret), "{archive}");
        }
        for word in ["argon2", "locked", "\"token\"", "seal", PASSWORD] {
            assert!(!archive.contains(word), "{word} in {archive}");
        }
        let again = holder(&app, &ada.session).post_with_key(EXPORT, json!({}), "k1").await;
        assert!(again.headers.get("idempotency-replayed").is_none(), "it's kept nowhere");
    }

    #[tokio::test]
    async fn half_an_archive_is_none() {
        let app = school();
        member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        app.now_answering(|_: enrollments::GetPersonalData| Err(UNAVAILABLE));
        let answer = holder(&app, &ada).post(EXPORT, json!({})).await;
        assert_eq!(answer.status, 503);
        assert!(app.emitted::<DataExported>().await.is_empty());
    }

    #[tokio::test]
    async fn an_archive_is_for_who_has_just_shown_that_it_is_theirs() {
        let app = school();
        let id = member(&app, ADA).await;
        let ada = enter(&app, ADA).await;
        let uri = format!("/v1/users/{id}/export");
        app.anyone().post(&uri, json!({})).await.is(UNAUTHENTICATED);
        app.user("eve").post(&uri, json!({})).await.is(FORBIDDEN);
        app.admin("root").post(&uri, json!({})).await.is(FORBIDDEN);
        app.user(id.as_str()).post(&uri, json!({})).await.is(REAUTHENTICATION_REQUIRED);
        app.advance_minutes(6);
        holder(&app, &ada).post(&uri, json!({})).await.is(REAUTHENTICATION_REQUIRED);
        let body = json!({ "format": "zip" });
        holder(&app, &ada).post(&uri, body).await.blames("format", "unknown-field");
    }
}
