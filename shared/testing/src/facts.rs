//! A section and its course, as courses tells of them: what tests of seats begin with.

use contracts::{
    TimeZone,
    courses::{CourseFacts, CourseState, SectionFacts},
};

/// The facts of a section that allows everything, with so many seats; nothing: any number.
pub fn section(id: &str, capacity: Option<u32>) -> SectionFacts {
    SectionFacts {
        section_id: id.into(),
        course_id: "c1".into(),
        course_title: "Rust".into(),
        title: "Spring".into(),
        cancelled: false,
        capacity,
        waitlist_capacity: None,
        enrollment_opens_at: None,
        enrollment_closes_at: None,
        approval_required: false,
        offer_hours: None,
        enrollment_key_seal: None,
        time_zone: TimeZone::default(),
        starts_at: None,
        ends_at: None,
        meetings: Vec::new(),
        reminder_minutes_before: vec![60],
        calendar_sequence: 0,
        revision: 1,
    }
}

/// The facts of the published course that `ines` teaches.
pub fn course() -> CourseFacts {
    CourseFacts {
        course_id: "c1".into(),
        title: "Rust".into(),
        state: CourseState::Published,
        instructors: vec!["ines".into()],
        prerequisites: Vec::new(),
        items: Vec::new(),
        revision: 1,
    }
}
