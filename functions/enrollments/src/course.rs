//! A course as enrollments know it: whether it's offered, and who teaches it.

use contracts::courses::{CourseFacts, CourseId, CourseState};
use runtime::prelude::*;

/// What enrollments must know of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    id: CourseId,
    published: bool,
    instructors: Vec<UserId>,
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
            revision: facts.revision,
        }
    }
}

impl Course {
    /// Whether people may enroll in it.
    pub const fn is_published(&self) -> bool {
        self.published
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
