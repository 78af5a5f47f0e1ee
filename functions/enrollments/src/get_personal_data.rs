//! `GET /internal/enrollments/users/{user_id}/personal-data`

use contracts::{enrollments::GetPersonalData, identity::PersonalData};
use runtime::prelude::*;
use serde_json::{Value, json};

use crate::{batch::Part, kept};

pub async fn run(cx: Context<System>, request: GetPersonalData) -> Result<PersonalData> {
    let user_id = &request.user_id;
    let enrollments = kept::enrollments(&cx, user_id).await?;
    let progress = kept::progress(&cx, enrollments.iter().map(|it| &it.id)).await?;
    let certificates = kept::certificates(&cx, user_id).await?;
    let achievements = kept::achievements(&cx, user_id).await?;
    let parts = kept::parts(&cx, user_id).await?;
    let rows = parts.iter().flat_map(|part| rows(part, user_id)).collect();
    let collections = [
        ("enrollments", documents(&enrollments)),
        ("progress", documents(&progress)),
        ("certificates", documents(&certificates)),
        ("achievements", documents(&achievements)),
        ("batch_rows", rows),
    ];
    let some = collections.into_iter().filter(|(_, documents): &(_, Vec<_>)| !documents.is_empty());
    let collections = some.map(|(name, documents)| (name.to_owned(), documents)).collect();
    Ok(PersonalData { collections })
}

fn documents<D: Document>(stored: &[Stored<D>]) -> Vec<Value> {
    stored.iter().filter_map(|it| serde_json::to_value(&**it).ok()).collect()
}

/// A person's own rows of a batch's part.
fn rows(part: &Part, user_id: &UserId) -> Vec<Value> {
    let rows = part.user_ids.iter().zip(&part.section_ids).zip(part.first_row..).enumerate();
    let own = rows.filter(|(_, ((its, _), _))| *its == user_id);
    let row = |(index, ((user_id, section_id), row)): (usize, _)| {
        json!({
            "batch_id": part.batch_id, "row": row, "user_id": user_id, "section_id": section_id,
            "outcome": part.rows.get(index),
        })
    };
    own.map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::tests::{certified, course, enroll, section};

    #[tokio::test]
    async fn all_that_is_kept_of_a_person_is_handed_over_and_nothing_of_another() {
        let (app, id) = certified(section(None), course()).await;
        enroll(&app, "bob").await.ok();
        let path = "/internal/enrollments/users/ada/personal-data";
        let data = app.platform().get(path).await.ok();
        let collections = data["collections"].as_object().unwrap();
        let names: Vec<_> = collections.keys().collect();
        assert_eq!(names, ["achievements", "certificates", "enrollments", "progress"]);
        assert_eq!(collections["certificates"][0]["id"], id.as_str());
        assert_eq!(collections["certificates"][0]["holder_name"], "Someone");
        assert_eq!(collections["enrollments"][0]["state"], "completed");
        assert!(!data.to_string().contains("bob"));
        let nobody = "/internal/enrollments/users/nobody/personal-data";
        assert_eq!(app.platform().get(nobody).await.ok(), json!({ "collections": {} }));
    }
}
