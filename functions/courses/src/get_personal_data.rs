//! `GET /internal/courses/users/{user_id}/personal-data`

use contracts::{
    courses::{CourseState, GetPersonalData},
    identity::PersonalData,
};
use runtime::prelude::*;
use serde_json::json;

use crate::{card::Card, terms};

/// How many courses are read at once.
const AT_ONCE: u32 = 100;

/// Which courses somebody teaches is all that is kept of them here; what is in
/// the courses is everybody's.
pub async fn run(cx: Context<System>, request: GetPersonalData) -> Result<PersonalData> {
    let taught = terms::instructor(&request.user_id);
    let mut courses = Vec::new();
    for state in [CourseState::Draft, CourseState::Published, CourseState::Archived] {
        let query = Query::descending::<Card>("created_at")
            .equals("state", state)
            .containing("terms", &taught)
            .limit(AT_ONCE);
        courses.extend(cx.query_all::<Card>(&query).await?.into_iter().map(|it| {
            json!({ "id": it.id, "state": it.state, "instructor": request.user_id, "course": it.into_inner().shown })
        }));
    }
    let mut data = PersonalData::default();
    if !courses.is_empty() {
        data.collections.insert("courses".to_owned(), courses);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use runtime::problems::NO_SUCH_PATH;

    use super::*;
    use crate::tests::{app, draft, published};

    #[tokio::test]
    async fn which_courses_somebody_teaches_is_told_in_whatever_state_they_are() {
        let app = app().await;
        let (draft, published, gone) =
            (draft(&app).await, published(&app).await, published(&app).await);
        app.instructor("ines").delete(&gone).await.ok();
        let path = |who: &str| format!("/internal/courses/users/{who}/personal-data");
        let data: PersonalData = app.platform().get(&path("ines")).await.read();
        let courses = &data.collections["courses"];
        let told: Vec<_> = courses.iter().map(|it| it["id"].as_str().unwrap()).collect();
        let ids = [&draft, &published, &gone].map(|it| it.trim_start_matches("/v1/courses/"));
        assert_eq!(told, ids);
        assert_eq!(
            (&courses[2]["state"], &courses[0]["instructor"]),
            (&json!("archived"), &json!("ines"))
        );
        let nothing: PersonalData = app.platform().get(&path("ada")).await.read();
        assert!(nothing.collections.is_empty());
        app.anyone().get(&path("ines")).await.is(NO_SUCH_PATH);
        app.admin("root").get(&path("ines")).await.is(NO_SUCH_PATH);
    }
}
