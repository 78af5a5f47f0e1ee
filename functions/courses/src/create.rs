//! `POST /v1/courses`

use contracts::courses::{CourseCreated, CourseId};
use runtime::prelude::*;

use crate::{
    card::Card,
    course::{Course, CourseChanges, Level, ShownCourse},
    filing,
    forms::{LanguageTag, Slug},
    instructors,
    offering::Offering,
    outline::NewModule,
    prerequisites,
};

/// Create a course.
///
/// It's a draft, which its instructors alone see until it's published. A draft
/// needs only a title.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCourse {
    /// What it's called: 1 to 200 characters on one line.
    title: Line<1, 200>,
    /// What it's about, in a sentence or two: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<Text<0, 1000>>,
    /// What is learned and how, as Markdown: at most 50,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Text<0, 50_000>>,
    /// The language that it's taught in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<LanguageTag>,
    /// The category that it belongs to, which an admin has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<Slug>,
    /// How much it asks of those who take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    /// What else it can be found by: at most 20; each counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    tags: Option<Vec<Slug>>,
    /// Its modules, in order: at most 50. The platform gives them their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    outline: Option<Vec<NewModule>>,
    /// The courses that must have been completed before it: at most 20; each
    /// counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    prerequisites: Option<Vec<CourseId>>,
    /// Who teaches it beside its creator, who always does: at most 19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 19))]
    instructors: Option<Vec<UserId>>,
}

impl Endpoint for CreateCourse {
    const OPERATION: &'static str = "courses.create";
    const ROUTE: Route = Route::create("/v1/courses");
    type Response = ShownCourse;
}

impl CreateCourse {
    /// What is to be changed about a blank draft that someone has created.
    fn into_changes(self, creator: &UserId) -> CourseChanges {
        let with_creator = |others: Vec<UserId>| [vec![creator.clone()], others].concat();
        let revised = |modules: Vec<NewModule>| modules.into_iter().map(Into::into).collect();
        CourseChanges {
            title: Some(self.title).into(),
            summary: self.summary.into(),
            description: self.description.into(),
            language: self.language.map(Some).into(),
            category: self.category.map(Some).into(),
            level: self.level.map(Some).into(),
            tags: self.tags.into(),
            outline: self.outline.map(revised).into(),
            prerequisites: self.prerequisites.into(),
            instructors: self.instructors.map(with_creator).into(),
        }
    }
}

pub async fn run(cx: Context<Instructor>, request: CreateCourse) -> Result<ShownCourse> {
    let creator = cx.caller.id.clone();
    let mut faults = Faults::new();
    let others = request.instructors.as_deref().unwrap_or_default();
    instructors::find_missing(&cx, std::slice::from_ref(&creator), others, &mut faults).await?;

    filing::find_missing(&cx, None, request.category.as_ref(), &mut faults).await?;
    let sent = request.prerequisites.as_deref().unwrap_or_default();
    prerequisites::find_missing(&cx, &[], sent, &mut faults).await?;

    let changes = request.into_changes(&creator);
    let blank = Course::blank(cx.random().id().into(), creator, cx.now);
    let course = blank.with(changes, faults, || cx.random().id())?;
    let mut faults = Faults::new();
    let filed = filing::changes(&cx, None, &course, &mut faults).await?;
    faults.check()?;

    let created = CourseCreated { course: course.facts() };
    let changes =
        filed.create(&course).create(&Card::of(&course, Offering::default())).emit(&created);
    cx.answer(changes, course.show(true)).await
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseCreated;
    use runtime::problems::{FORBIDDEN, KEY_REUSED, UNAUTHENTICATED};
    use testing::json;

    use crate::tests::{app, whole, with};

    #[tokio::test]
    async fn a_draft_needs_only_a_title() {
        let app = app().await;
        let answer = app.instructor("ines").post("/v1/courses", json!({ "title": " Rust " })).await;
        let course = answer.ok();
        assert_eq!(answer.status, 201);
        let id = course["id"].as_str().unwrap();
        assert_eq!(
            course,
            json!({
                "id": id, "code": null, "title": "Rust", "summary": "", "description": "",
                "description_html": "", "language": null,
                "category": null, "level": null, "tags": [], "outline": [], "prerequisites": [],
                "instructors": ["ines"], "state": "draft", "created_at": app.now(),
                "updated_at": app.now(), "published_at": null, "etag": "1",
            })
        );
        let created = app.emitted::<CourseCreated>().await;
        assert_eq!((created.len(), created[0].course.course_id.as_str()), (1, id));
        assert_eq!(app.commits(), 1);
    }

    #[tokio::test]
    async fn all_of_it_can_be_said_at_once() {
        let app = app().await;
        app.admin("root").post("/v1/categories", json!({ "name": "Machine learning" })).await.ok();
        let sent = with(json!({
            "language": "ES-co", "category": "Machine Learning", "tags": ["Rust", "rust", "b"],
            "instructors": ["ivan", "ines"],
        }));
        let course = app.instructor("ines").post("/v1/courses", sent).await.ok();
        assert_eq!(course["language"], "es-CO");
        assert_eq!(course["category"], "machine-learning");
        assert_eq!(course["tags"], json!(["rust", "b"]));
        assert_eq!(course["instructors"], json!(["ines", "ivan"]));
        let item = &course["outline"][0]["items"][0];
        assert_eq!(
            (&item["kind"], &item["url"]),
            (&json!("video"), &json!("https://example.org/hola"))
        );
        assert_eq!(item["id"].as_str().unwrap().len(), 20);
        assert_ne!(item["id"], course["outline"][0]["id"]);
    }

    #[tokio::test]
    async fn only_those_who_teach_create_courses() {
        let app = app().await;
        app.anyone().post("/v1/courses", whole()).await.is(UNAUTHENTICATED);
        app.user("ada").post("/v1/courses", whole()).await.is(FORBIDDEN);
        app.admin("root").post("/v1/courses", whole()).await.ok();
        assert_eq!(app.commits(), 1);
    }

    #[tokio::test]
    async fn a_repeat_makes_no_second_course() {
        let app = app().await;
        let ines = app.instructor("ines");
        let first = ines.post_with_key("/v1/courses", whole(), "k").await.ok();
        assert_eq!(ines.post_with_key("/v1/courses", whole(), "k").await.ok(), first);
        ines.post_with_key("/v1/courses", json!({ "title": "Other" }), "k").await.is(KEY_REUSED);
        assert_eq!(app.commits(), 1);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_nothing_is_made() {
        let app = app().await;
        let ines = app.instructor("ines");
        let long = "x".repeat(201);
        for (changes, field, reason) in [
            (json!({ "title": "" }), "title", "empty"),
            (json!({ "title": long }), "title", "too-long"),
            (json!({ "title": "a\r\nBcc: b@c.d" }), "title", "invalid-characters"),
            (json!({ "title": null }), "title", "wrong-type"),
            (json!({ "title": 7 }), "title", "wrong-type"),
            (json!({ "summary": "x".repeat(1001) }), "summary", "too-long"),
            (json!({ "description": "x".repeat(50_001) }), "description", "too-long"),
            (json!({ "description": "a\u{0}b" }), "description", "invalid-characters"),
            (json!({ "language": "klingonese" }), "language", "invalid-language"),
            (json!({ "category": "c++" }), "category", "invalid-slug"),
            (json!({ "category": "nothing" }), "category", "unknown-category"),
            (json!({ "level": "guru" }), "level", "unknown-value"),
            (json!({ "tags": ["a", "<b>"] }), "tags[1]", "invalid-slug"),
            (json!({ "tags": vec!["a"; 21] }), "tags", "too-many"),
            (json!({ "outline": [{ "title": "a", "id": "x" }] }), "outline[0].id", "unknown-field"),
            (
                json!({ "outline": [{ "title": "a", "items": [{ "title": "b", "kind": "link", "url": "http://a.b" }] }] }),
                "outline[0].items[0].url",
                "invalid-url",
            ),
            (json!({ "outline": vec![json!({ "title": "a" }); 51] }), "outline", "too-many"),
            (json!({ "instructors": ["ivan", "nobody"] }), "instructors[1]", "unknown-user"),
            (json!({ "instructors": ["../x"] }), "instructors[0]", "invalid-id"),
            (json!({ "prerequisites": ["nothing"] }), "prerequisites[0]", "unknown-course"),
            (json!({ "prerequisites": vec!["x"; 21] }), "prerequisites", "too-many"),
            (json!({ "state": "published" }), "state", "unknown-field"),
            (json!({ "id": "mine" }), "id", "unknown-field"),
        ] {
            ines.post_without_key("/v1/courses", with(changes)).await.blames(field, reason);
        }
        assert_eq!(app.commits(), 0);
        let both = json!({ "tags": vec!["a"; 21], "instructors": ["nobody"] });
        let answer = ines.post("/v1/courses", with(both)).await;
        answer.blames("tags", "too-many").blames("instructors[0]", "unknown-user");
    }
}
