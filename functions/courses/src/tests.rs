//! What the tests of this domain share: the other domains as they are played,
//! and things that most tests begin with.

use contracts::{
    courses::{CourseFacts, SectionFacts},
    enrollments::{GetSeats, LearnCourse, LearnSection, LimitSeats, SeatsOfSections},
    identity::{Contact, GetContact, USER_NOT_FOUND},
};
use runtime::Changes;
use testing::{App, Value, json};

use crate::{category::Category, forms::Slug};

/// The domain, with nobody enrolled, everyone known but who is called `nobody`,
/// and some categories.
pub async fn app() -> App {
    let app = played();
    let category = |id: &str| {
        let slug = Slug::new(id).expect("it's one");
        Category::new(slug, id.to_owned(), None, app.now()).into_entry()
    };
    let categories = ["web", "data", "cloud"].map(category);
    let changes = categories.iter().fold(Changes::new(), Changes::create);
    app.context().commit(changes).await.expect("nothing was there");
    app
}

fn played() -> App {
    App::of(crate::domain)
        .answering::<GetSeats>(|_| Ok(SeatsOfSections { sections: Vec::new() }))
        .answering::<LearnCourse>(|_| Ok(()))
        .answering::<LearnSection>(|_| Ok(()))
        .answering::<LimitSeats>(|_| Ok(()))
        .answering::<GetContact>(|request| match request.user_id.as_str() {
            "nobody" => Err(USER_NOT_FOUND),
            _ => Ok(Contact {
                email: format!("{}@example.org", request.user_id),
                name: request.user_id.to_string(),
                user_id: request.user_id,
                locale: contracts::Language::Es,
                time_zone: contracts::TimeZone::default(),
                revision: 1,
            }),
        })
}

/// A course that lacks nothing.
pub fn whole() -> Value {
    json!({
        "title": "Programación en Rust",
        "summary": "Rust, sin miedo.",
        "description": "# Rust\n\nDe principio a fin.",
        "language": "es",
        "category": "web",
        "level": "beginner",
        "tags": ["rust", "clean-code"],
        "outline": [{
            "title": "Inicio",
            "items": [{ "title": "Hola", "kind": "video", "url": "https://example.org/hola" }],
        }],
    })
}

/// The whole course with some fields changed.
pub fn with(changes: Value) -> Value {
    let mut course = whole();
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    course.as_object_mut().expect("courses are objects").extend(changes);
    course
}

/// The path of a draft that Ines has made.
pub async fn draft(app: &App) -> String {
    let course = app.instructor("ines").post("/v1/courses", whole()).await.ok();
    format!("/v1/courses/{}", text(&course["id"]))
}

/// The path of a course that Ines has published.
pub async fn published(app: &App) -> String {
    let course = draft(app).await;
    app.instructor("ines").post(&format!("{course}/publish"), json!({})).await.ok();
    course
}

/// A section three days from now, for an hour.
pub fn three_days_on(app: &App) -> Value {
    let starts_at = app.now().plus_minutes(3 * 1440);
    json!({
        "title": "Marzo",
        "capacity": 10,
        "time_zone": "America/Bogota",
        "starts_at": starts_at,
        "ends_at": starts_at.plus_minutes(60),
    })
}

/// The path of such a section, which Ines has made.
pub async fn section(app: &App, course: &str) -> String {
    let path = format!("{course}/sections");
    let section = app.instructor("ines").post(&path, three_days_on(app)).await.ok();
    format!("{path}/{}", text(&section["id"]))
}

/// A JSON text as a text.
pub fn text(value: &Value) -> &str {
    value.as_str().expect("it's a text")
}

/// The facts of a course that other domains were told at once, newest last.
pub fn learned_courses(app: &App) -> std::sync::Arc<std::sync::Mutex<Vec<CourseFacts>>> {
    let learned = std::sync::Arc::<std::sync::Mutex<Vec<CourseFacts>>>::default();
    let told = learned.clone();
    app.now_answering::<LearnCourse>(move |request| {
        told.lock().expect("no holder panics").push(request.course);
        Ok(())
    });
    learned
}

/// The facts of a section that other domains were told at once, newest last.
pub fn learned_sections(app: &App) -> std::sync::Arc<std::sync::Mutex<Vec<SectionFacts>>> {
    let learned = std::sync::Arc::<std::sync::Mutex<Vec<SectionFacts>>>::default();
    let told = learned.clone();
    app.now_answering::<LearnSection>(move |request| {
        told.lock().expect("no holder panics").push(request.section);
        Ok(())
    });
    learned
}
