//! A section under test: what the tests of the operations share.

use contracts::{
    courses::{CourseFacts, GetSectionFacts, SectionAndCourse, SectionFacts},
    identity::{Contact, GetContact, SignStatement, SignedStatement},
};
use serde_json::{Value, json};
pub use testing::facts::course;
use testing::{Answer, App};

/// The facts of a section that allows everything, with so many seats.
pub fn section(capacity: Option<u32>) -> SectionFacts {
    testing::facts::section("s1", capacity)
}

/// The domain, with a section that courses knows.
pub fn app(section: SectionFacts, course: CourseFacts) -> App {
    with_peers(App::of(crate::domain), section, course)
}

/// The domain with its peers: courses, which knows a section, and identity.
pub fn with_peers(app: App, section: SectionFacts, course: CourseFacts) -> App {
    app.answering::<GetSectionFacts>(move |_| {
        Ok(SectionAndCourse { section: section.clone(), course: course.clone() })
    })
    .answering::<GetContact>(|request| Ok(contact(request.user_id)))
    .answering::<SignStatement>(|request| {
        let statement = serde_json::Value::Object(request.statement);
        Ok(SignedStatement { jws: format!("signed:{statement}") })
    })
}

/// How to write to somebody.
pub fn contact(user_id: contracts::UserId) -> Contact {
    Contact {
        user_id,
        email: "someone@example.org".into(),
        name: "Someone".into(),
        locale: contracts::Language::Es,
        time_zone: contracts::TimeZone::default(),
        revision: 1,
    }
}

/// A course without an outline that ada has completed, and her certificate's id.
pub async fn certified(section: SectionFacts, course: CourseFacts) -> (App, String) {
    let app = app(section, course);
    let ada = enrolled(&app, "ada").await;
    let path = format!("/v1/enrollments/{ada}/record-progress");
    let done = app.instructor("ines").post(&path, json!({ "completed": true })).await.ok();
    app.settle().await;
    (app, done["certificate_id"].as_str().expect("a certificate's id").to_owned())
}

/// The body of a request to enroll.
pub fn seat() -> Value {
    json!({ "course_id": "c1", "section_id": "s1" })
}

/// Enrolls somebody.
pub async fn enroll(app: &App, user: &str) -> Answer {
    app.user(user).post("/v1/enrollments", seat()).await
}

/// Enrolls somebody; gives back the enrollment's id.
pub async fn enrolled(app: &App, user: &str) -> String {
    enroll(app, user).await.ok()["id"].as_str().expect("an id").to_owned()
}

/// Somebody's state in the section, and their place in the queue.
pub async fn state(app: &App, user: &str) -> (String, Value) {
    let list = app.user(user).get("/v1/enrollments?user_id=me").await.ok();
    let item = &list["items"][0];
    (item["state"].as_str().unwrap_or_default().to_owned(), item["waitlist_position"].clone())
}
