//! A school to test in: courses and sections as instructors make them, and the
//! time, as the clock on the wall has it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Client, Person};

/// A section that people can enroll in.
pub struct Section {
    pub course_id: String,
    pub id: String,
    pub teacher: Person,
}

impl Client {
    /// Writes and publishes a course, and opens a section of it with these fields.
    pub fn open_section(&self, teacher: &Person, more: &Value) -> Section {
        self.category("programming");
        let course = json!({
            "title": "Rust from the beginning",
            "summary": "Ownership without tears.",
            "description": "Eight evenings, from `let` to a service of your own.",
            "language": "en",
            "category": "programming",
            "level": "beginner",
            "tags": ["rust"],
            "outline": [{ "title": "Ownership", "items": [
                { "title": "Who owns what", "kind": "video", "url": "https://example.org/1" },
            ] }],
        });
        let course = self.post("/v1/courses", &teacher.token, &course).ok();
        let course_id = text(&course["id"]);
        self.post(&format!("/v1/courses/{course_id}/publish"), &teacher.token, &json!({})).ok();
        let mut section = json!({ "title": "Evenings", "time_zone": "America/Bogota" });
        let fields = section.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let path = format!("/v1/courses/{course_id}/sections");
        let section = self.post(&path, &teacher.token, &section).ok();
        Section { course_id, id: text(&section["id"]), teacher: teacher.clone() }
    }

    /// Sees to it that there is a category with this id.
    pub fn category(&self, id: &str) {
        let category = json!({ "id": id, "name": id });
        let answer = self.post("/v1/categories", &self.admin().token, &category);
        assert!([201, 409].contains(&answer.status), "{}", answer.text);
    }

    /// Everyone in a section, in the order of joining.
    pub fn members(&self, section: &Section) -> Vec<Value> {
        let (mut members, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/enrollments?section_id={}&page_size=100{token}", section.id);
            let page = self.get(&path, &section.teacher.token).ok();
            members.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => return members,
            }
        }
    }
}

impl Section {
    /// The body of a request for a seat.
    pub fn seat(&self) -> Value {
        json!({ "course_id": self.course_id, "section_id": self.id })
    }

    /// Where the section is.
    pub fn path(&self) -> String {
        format!("/v1/courses/{}/sections/{}", self.course_id, self.id)
    }
}

/// So many seconds from now, as the API writes it.
#[expect(clippy::disallowed_methods, reason = "the server under test is on the wall's clock too")]
pub fn in_seconds(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string()
}

/// A text in an answer.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
