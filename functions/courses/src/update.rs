//! `PATCH /v1/courses/{course_id}`

use contracts::courses::{COURSE_NOT_FOUND, CourseId, CourseState, CourseUpdated};
use runtime::prelude::*;

use crate::{
    access, card,
    change::Change,
    course::{COURSE_INCOMPLETE, CourseChanges, Level, ShownCourse},
    filing,
    forms::{LanguageTag, Slug},
    instructors,
    outline::RevisedModule,
    prerequisites, telling,
};

/// Change a course.
///
/// Fields that are absent stay as they are; null empties those that may be
/// empty. A published course can't lose what it was published with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCourse {
    /// The course.
    course_id: CourseId,
    /// The version that you saw; `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// What it's called: 1 to 200 characters on one line.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    title: Change<Line<1, 200>>,
    /// What it's about, in a sentence or two: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    summary: Change<Text<0, 1000>>,
    /// What is learned and how, as Markdown: at most 50,000 characters.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    description: Change<Text<0, 50_000>>,
    /// The language that it's taught in.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    language: Change<Option<LanguageTag>>,
    /// The category that it belongs to, which an admin has made.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    category: Change<Option<Slug>>,
    /// How much it asks of those who take it.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    level: Change<Option<Level>>,
    /// What else it can be found by: at most 20; each counts once.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(max = 20))]
    tags: Change<Vec<Slug>>,
    /// All its modules, in order: at most 50. What is sent with its id keeps
    /// it; what is left out is gone.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(max = 50))]
    outline: Change<Vec<RevisedModule>>,
    /// All courses that must have been completed before it: at most 20; each
    /// counts once.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(max = 20))]
    prerequisites: Change<Vec<CourseId>>,
    /// Everyone who teaches it: 1 to 20; each counts once.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(min = 1, max = 20))]
    instructors: Change<Vec<UserId>>,
}

impl Endpoint for UpdateCourse {
    const OPERATION: &'static str = "courses.update";
    const ROUTE: Route = Route::update("/v1/courses/{course_id}");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND, COURSE_INCOMPLETE];
    type Response = ShownCourse;
}

impl UpdateCourse {
    fn into_changes(self) -> CourseChanges {
        CourseChanges {
            title: self.title,
            summary: self.summary,
            description: self.description,
            language: self.language,
            category: self.category,
            level: self.level,
            tags: self.tags,
            outline: self.outline,
            prerequisites: self.prerequisites,
            instructors: self.instructors,
        }
    }
}

pub async fn run(cx: Context<Instructor>, request: UpdateCourse) -> Result<ShownCourse> {
    let mut course = access::to_change(&cx, &request.course_id).await?;
    let (etag, mut faults) = (request.etag.clone(), Faults::new());
    if let Change::To(sent) = &request.instructors {
        instructors::find_missing(&cx, &course.instructors, sent, &mut faults).await?;
    }
    if let Change::To(sent) = &request.category {
        let known = course.category.as_ref();
        filing::find_missing(&cx, known, sent.as_ref(), &mut faults).await?;
    }
    let mut changes = Changes::new();
    if let Change::To(sent) = &request.prerequisites {
        prerequisites::find_missing(&cx, &course.prerequisites, sent, &mut faults).await?;
        changes = prerequisites::find_circles(&cx, &course, sent, &mut faults).await?;
    }

    let next = course.with(request.into_changes(), faults, || cx.random().id())?;
    cx.expect_etag(&course.etag(), etag.as_deref())?;
    if next.state == CourseState::Published {
        next.expect_complete()?;
    }

    if next != *course {
        let mut faults = Faults::new();
        changes = changes.and(filing::changes(&cx, Some(&*course), &next, &mut faults).await?);
        faults.check()?;
        *course = next;
        course.touch(cx.now);
        let card = card::of_changed(&cx, &course).await?;
        let updated = CourseUpdated { course: course.facts() };
        cx.commit(changes.save(&course).save(&card).emit(&updated)).await?;
        telling::of_course(&cx, &course).await;
    }
    Ok(course.into_inner().show(true))
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{COURSE_NOT_FOUND, CourseUpdated},
        enrollments::LearnCourse,
    };
    use runtime::problems::{ETAG_REQUIRED, FORBIDDEN, STALE_ETAG, UNAUTHENTICATED, UNAVAILABLE};
    use testing::json;

    use crate::{
        course::COURSE_INCOMPLETE,
        tests::{app, draft, learned_courses, published},
    };

    #[tokio::test]
    async fn what_is_said_changes_and_what_is_not_stays() {
        let app = app().await;
        let path = draft(&app).await;
        app.advance_minutes(1);
        let ines = app.instructor("ines");
        let changes = json!({ "title": "Rust", "level": null, "tags": [], "summary": "" });
        let course = ines.patch(&path, changes, "1").await.ok();
        assert_eq!((&course["title"], &course["level"]), (&json!("Rust"), &json!(null)));
        assert_eq!((&course["tags"], &course["summary"]), (&json!([]), &json!("")));
        assert_eq!((&course["category"], &course["language"]), (&json!("web"), &json!("es")));
        assert_eq!((&course["etag"], &course["updated_at"]), (&json!("2"), &json!(app.now())));
        assert_eq!(ines.get(&path).await.ok(), course);
        // The etag may come in the body too.
        let changes = json!({ "title": "Rust 2", "etag": "2" });
        assert_eq!(ines.patch_without_etag(&path, changes).await.ok()["etag"], "3");
    }

    #[tokio::test]
    async fn a_change_is_told_by_an_event_and_at_once() {
        let app = app().await;
        let path = published(&app).await;
        let learned = learned_courses(&app);
        app.instructor("ines").patch(&path, json!({ "title": "Rust" }), "2").await.ok();
        let updated = app.emitted::<CourseUpdated>().await;
        assert_eq!((updated.len(), updated[0].course.title.as_str()), (1, "Rust"));
        assert_eq!(*learned.lock().unwrap(), [updated[0].course.clone()]);
    }

    #[tokio::test]
    async fn a_change_stands_though_it_could_not_be_told_at_once() {
        let app = app().await;
        let path = published(&app).await;
        app.now_answering::<LearnCourse>(|_| Err(UNAVAILABLE));
        app.instructor("ines").patch(&path, json!({ "title": "Rust" }), "2").await.ok();
        assert_eq!(app.emitted::<CourseUpdated>().await.len(), 1);
    }

    #[tokio::test]
    async fn to_change_nothing_changes_nothing() {
        let app = app().await;
        let path = draft(&app).await;
        let commits = app.commits();
        for changes in [json!({}), json!({ "title": "Programación en Rust", "category": "WEB" })] {
            let course = app.instructor("ines").patch(&path, changes, "1").await.ok();
            assert_eq!(course["etag"], "1");
        }
        assert_eq!(app.commits(), commits);
    }

    #[tokio::test]
    async fn the_version_that_was_seen_must_be_said_and_be_the_last() {
        let app = app().await;
        let path = draft(&app).await;
        let ines = app.instructor("ines");
        ines.patch_without_etag(&path, json!({ "title": "a" })).await.is(ETAG_REQUIRED);
        ines.patch(&path, json!({ "title": "a" }), "1").await.ok();
        ines.patch(&path, json!({ "title": "b" }), "1").await.is(STALE_ETAG);
        ines.patch(&path, json!({ "title": "b" }), "' or 1=1").await.is(STALE_ETAG);
        assert_eq!(ines.get(&path).await.ok()["title"], "a");
    }

    #[tokio::test]
    async fn only_those_who_run_it_change_it_and_others_do_not_see_a_draft() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        let changes = json!({ "title": "Hacked" });
        for path in [&draft, &published] {
            app.anyone().patch(path, &changes, "1").await.is(UNAUTHENTICATED);
            app.user("ada").patch(path, &changes, "1").await.is(FORBIDDEN);
        }
        app.instructor("ivan").patch(&draft, &changes, "1").await.is(COURSE_NOT_FOUND);
        app.instructor("ivan").patch(&published, &changes, "2").await.is(FORBIDDEN);
        app.admin("root").patch(&published, json!({ "instructors": ["ivan"] }), "2").await.ok();
        app.instructor("ivan").patch(&published, json!({ "title": "Mine" }), "3").await.ok();
        app.instructor("ines").patch(&published, &changes, "4").await.is(FORBIDDEN);
    }

    #[tokio::test]
    async fn a_published_course_stays_complete() {
        let app = app().await;
        let path = published(&app).await;
        let ines = app.instructor("ines");
        for (changes, field) in [
            (json!({ "summary": "" }), "summary"),
            (json!({ "description": " " }), "description"),
            (json!({ "category": null }), "category"),
            (json!({ "outline": [{ "title": "Empty" }] }), "outline"),
        ] {
            let answer = ines.patch(&path, changes, "2").await;
            answer.is(COURSE_INCOMPLETE);
            assert_eq!(answer.body["errors"][0]["field"], field);
        }
        assert_eq!(ines.get(&path).await.ok()["etag"], "2");
    }

    #[tokio::test]
    async fn modules_and_items_keep_their_ids() {
        let app = app().await;
        let path = draft(&app).await;
        let ines = app.instructor("ines");
        let old = ines.get(&path).await.ok()["outline"][0].clone();
        let outline = json!([
            { "title": "New", "items": [{ "id": old["items"][0]["id"], "title": "Moved", "kind": "link" }] },
            { "id": old["id"], "title": "Renamed" },
        ]);
        let new =
            ines.patch(&path, json!({ "outline": outline }), "1").await.ok()["outline"].clone();
        assert_eq!(new[1]["id"], old["id"]);
        assert_eq!(new[0]["items"][0]["id"], old["items"][0]["id"]);
        assert_ne!(new[0]["id"], old["id"]);
        let foreign = json!({ "outline": [{ "id": "foreign", "title": "a" }] });
        ines.patch(&path, foreign, "2").await.blames("outline[0].id", "unknown-id");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_nothing_changes() {
        let app = app().await;
        let path = draft(&app).await;
        let ines = app.instructor("ines");
        let commits = app.commits();
        for (changes, field, reason) in [
            (json!({ "title": null }), "title", "wrong-type"),
            (json!({ "title": " " }), "title", "empty"),
            (json!({ "tags": null }), "tags", "wrong-type"),
            (json!({ "instructors": [] }), "instructors", "out-of-range"),
            (json!({ "instructors": vec!["ines"; 21] }), "instructors", "out-of-range"),
            (json!({ "instructors": ["ines", "nobody"] }), "instructors[1]", "unknown-user"),
            (json!({ "state": "published" }), "state", "unknown-field"),
            (json!({ "published_at": null }), "published_at", "unknown-field"),
            (json!({ "course_id": "other" }), "course_id", "duplicate-field"),
        ] {
            ines.patch(&path, changes, "1").await.blames(field, reason);
        }
        assert_eq!(app.commits(), commits);
    }
}
