//! A course as enrollments know it: whether it's offered, who teaches it, what it
//! asks for and what it's made of.

use contracts::courses::{CourseFacts, CourseId, CourseState, ItemFacts};
use runtime::prelude::*;

/// What enrollments must know of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    id: CourseId,
    published: bool,
    instructors: Vec<UserId>,
    #[serde(default)]
    title: String,
    /// What must have been completed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prerequisites: Vec<CourseId>,
    /// What its outline is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<ItemFacts>,
    revision: u64,
}

impl Document for Course {
    const COLLECTION: &'static str = "courses";
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl From<&CourseFacts> for Course {
    fn from(facts: &CourseFacts) -> Self {
        Self {
            id: facts.course_id.clone(),
            published: facts.state == CourseState::Published,
            instructors: facts.instructors.clone(),
            title: facts.title.clone(),
            prerequisites: facts.prerequisites.clone(),
            items: facts.items.clone(),
            revision: facts.revision,
        }
    }
}

impl Course {
    /// Whether people may enroll in it.
    pub const fn is_published(&self) -> bool {
        self.published
    }

    /// Its title, if it's known.
    pub fn title(&self) -> Option<&str> {
        Some(self.title.as_str()).filter(|title| !title.is_empty())
    }

    /// The courses that must have been completed before.
    pub fn prerequisites(&self) -> &[CourseId] {
        &self.prerequisites
    }

    /// What its outline is made of, in order.
    pub fn items(&self) -> &[ItemFacts] {
        &self.items
    }

    /// Whether somebody teaches it, or runs the platform.
    pub fn is_run_by(&self, user: &User) -> bool {
        user.is_admin() || self.instructors.contains(&user.id)
    }

    /// Learns what the course is now; whether that was news.
    pub fn learn(&mut self, facts: &CourseFacts) -> bool {
        let news = facts.revision > self.revision;
        if news {
            *self = Self::from(facts);
        }
        news
    }
}
