//! On `identity.erased.v1`: a person is no more, and teaches no course.
//!
//! A course that they taught alone stays as it is, with nobody: admins run it,
//! and give it to somebody else.

use contracts::{
    courses::{CourseState, CourseUpdated},
    identity::Erased,
};
use runtime::prelude::*;

use crate::{
    card::{self, Card},
    course::Course,
    terms,
};

/// How many courses are looked for at once.
const AT_ONCE: u32 = 50;

pub async fn run(cx: Context<System>, event: Erased) -> Result<()> {
    let taught = terms::instructor(&event.user_id);
    for state in [CourseState::Draft, CourseState::Published, CourseState::Archived] {
        loop {
            let query = Query::descending::<Card>("created_at")
                .equals("state", state)
                .containing("terms", &taught)
                .limit(AT_ONCE);
            let (cards, _) = cx.query::<Card>(&query).await?;
            if cards.is_empty() {
                break;
            }
            for card in cards {
                if let Some(mut course) = cx.get::<Course>(card.id.as_str()).await? {
                    course.instructors.retain(|id| *id != event.user_id);
                    course.touch(cx.now);
                    let card = card::of_changed(&cx, &course).await?;
                    let updated = CourseUpdated { course: course.facts() };
                    let changes = Changes::new().save(&course).save(&card).emit(&updated);
                    cx.commit_part(changes).await?;
                } else {
                    // A card without its course is found by nobody any more.
                    cx.commit_part(Changes::new().delete(&card)).await?;
                }
            }
        }
    }
    cx.commit(Changes::new()).await
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseId;
    use testing::json;

    use super::*;
    use crate::tests::{app, draft, published};

    fn id(path: &str) -> CourseId {
        path.trim_start_matches("/v1/courses/").into()
    }

    #[tokio::test]
    async fn whoever_is_erased_teaches_nothing_and_what_they_taught_alone_is_the_admins() {
        let app = app().await;
        let ines = app.instructor("ines");
        let (draft, shared, gone) =
            (draft(&app).await, published(&app).await, published(&app).await);
        let add = json!({ "user_id": "ivan" });
        ines.post(&format!("{shared}/instructors"), add).await.ok();
        ines.delete(&gone).await.ok();
        let before = app.emitted::<CourseUpdated>().await.len();

        app.deliver(&Erased { user_id: "ines".into() }).await;
        let told = app.emitted::<CourseUpdated>().await;
        let mut told: Vec<_> =
            told[before..].iter().map(|it| it.course.course_id.clone()).collect();
        told.sort();
        let mut all = [&draft, &shared, &gone].map(|path| id(path));
        all.sort();
        assert_eq!(told, all);
        for path in all {
            let course = app.context().get::<Course>(path.as_str()).await.unwrap().unwrap();
            let card = app.context().get::<Card>(path.as_str()).await.unwrap().unwrap();
            let kept = serde_json::to_string(&(&*course, &*card)).unwrap();
            assert!(!kept.contains("ines"), "{kept}");
        }
        assert_eq!(app.anyone().get(&shared).await.ok()["instructors"], json!(["ivan"]));
        let root = app.admin("root");
        assert_eq!(root.get(&draft).await.ok()["instructors"], json!([]));
        root.patch(&draft, json!({ "title": "Kept" }), "2").await.ok();
        root.post(&format!("{draft}/instructors"), json!({ "user_id": "ivan" })).await.ok();
        app.instructor("ivan").get(&draft).await.ok();

        app.deliver_again().await;
        assert_eq!(app.emitted::<CourseUpdated>().await.len(), before + 5);
    }

    #[tokio::test]
    async fn whoever_taught_nothing_changes_nothing() {
        let app = app().await;
        published(&app).await;
        app.deliver(&Erased { user_id: "ada".into() }).await;
        assert!(app.emitted::<CourseUpdated>().await.is_empty());
    }
}
