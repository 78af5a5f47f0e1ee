//! How to write to a person, for the other domains.

use contracts::identity::{Contact, GetContact, USER_NOT_FOUND};
use runtime::prelude::*;

use crate::person::Person;

pub async fn run(cx: Context<System>, request: GetContact) -> Result<Contact> {
    let person = cx.get::<Person>(request.user_id.as_str()).await?;
    Ok(person.filter(|it| !it.is_closed()).ok_or(USER_NOT_FOUND)?.contact())
}

#[cfg(test)]
mod tests {
    use testing::json;

    use super::*;
    use crate::tests::{app, member};

    #[tokio::test]
    async fn the_platform_learns_how_to_write_to_someone() {
        let app = app();
        let ada = member(&app, "ada@example.org").await;
        let uri = format!("/internal/identity/contacts/{ada}");
        let before = app.reads();
        let expected = json!({
            "user_id": ada,
            "email": "ada@example.org",
            "name": "Ada Lovelace",
            "locale": "en",
            "time_zone": "UTC",
            "revision": 2,
        });
        assert_eq!(app.platform().get(&uri).await.ok(), expected);
        assert_eq!(app.reads() - before, 1);
        let nobody = app.platform().get("/internal/identity/contacts/nobody-here").await;
        nobody.is(USER_NOT_FOUND);
    }

    #[tokio::test]
    async fn nobody_outside_learns_it() {
        let app = app();
        let ada = member(&app, "ada@example.org").await;
        let uri = format!("/internal/identity/contacts/{ada}");
        for caller in [app.anyone(), app.user(ada.as_str()), app.admin("root")] {
            caller.get(&uri).await.is(runtime::problems::NO_SUCH_PATH);
        }
    }
}
