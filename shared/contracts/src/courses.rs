//! What the others may know of courses: what is taught, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, Event, Problem, Route, TimeZone, Timestamp, UserId, id::ids, identity::PersonalData,
};

ids! {
    /// A course's id.
    CourseId,
    /// A section's id: one run of a course.
    SectionId,
}

/// There's no such course, or none that the caller may see.
pub const COURSE_NOT_FOUND: Problem =
    Problem::not_found("course-not-found", "There is no such course.", "No existe ese curso.");
/// There's no such section of that course, or none that the caller may see.
pub const SECTION_NOT_FOUND: Problem = Problem::not_found(
    "section-not-found",
    "There is no such section of this course.",
    "No existe esa sección de este curso.",
);
/// The section was cancelled.
pub const SECTION_CANCELLED: Problem = Problem::conflict(
    "section-cancelled",
    "This section was cancelled.",
    "Esta sección fue cancelada.",
);

/// Where a course is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CourseState {
    /// Being written; only its instructors see it.
    Draft,
    /// Everyone sees it.
    Published,
    /// No longer offered.
    Archived,
}

/// What a course's other domains must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CourseFacts {
    /// The course.
    pub course_id: CourseId,
    /// Its title.
    pub title: String,
    /// Where it is in its life.
    pub state: CourseState,
    /// Who teaches it.
    pub instructors: Vec<UserId>,
    /// The courses that must have been completed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<CourseId>,
    /// What its outline is made of, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemFacts>,
    /// Grows with each change, so that older facts can't overwrite newer ones.
    pub revision: u64,
}

/// One item of a course's outline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ItemFacts {
    /// The item's id: it stays when the item is changed or moved.
    pub id: String,
    /// Whether the course is completed only with it.
    pub required: bool,
}

/// What other domains may know of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryFacts {
    /// The category.
    pub category_id: String,
    /// What people call it.
    pub name: String,
    /// The category that it belongs to.
    pub parent_id: Option<String>,
    /// Grows with each change, so that older facts can't overwrite newer ones.
    pub revision: u64,
}

/// One gathering of a section.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct MeetingFacts {
    /// The meeting's id: it stays when the meeting is moved.
    pub id: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Where people gather.
    pub location: Option<String>,
    /// Where people gather on the web.
    pub url: Option<String>,
}

/// What a section's other domains must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SectionFacts {
    /// The section.
    pub section_id: SectionId,
    /// The course that it runs.
    pub course_id: CourseId,
    /// The course's title.
    pub course_title: String,
    /// The section's own title.
    pub title: String,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// How many may attend; nothing: any number.
    pub capacity: Option<u32>,
    /// How many may wait for a seat; nothing: any number, 0: nobody.
    pub waitlist_capacity: Option<u32>,
    /// From when on people may enroll; nothing: at once.
    pub enrollment_opens_at: Option<Timestamp>,
    /// Until when people may enroll; nothing: until the section ends.
    pub enrollment_closes_at: Option<Timestamp>,
    /// Whether an instructor must approve each enrollment.
    pub approval_required: bool,
    /// How many hours somebody has to accept a seat that became free for them;
    /// nothing: the seat is theirs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_hours: Option<u32>,
    /// The enrollment key, as the platform's secret seals it; nothing: none is needed.
    pub enrollment_key_seal: Option<String>,
    /// The zone that its times are told in, beside each reader's own.
    pub time_zone: TimeZone,
    /// When it begins.
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
    /// Its gatherings, in the order of time. A section that begins at some time
    /// and names none counts as one gathering, whose id is the section's.
    pub meetings: Vec<MeetingFacts>,
    /// How long before each meeting people are reminded, in minutes.
    pub reminder_minutes_before: Vec<u32>,
    /// Grows each time that when or where people gather changes, and when it's
    /// cancelled (`SEQUENCE` in RFC 5545).
    pub calendar_sequence: u32,
    /// Grows with each change, so that older facts can't overwrite newer ones.
    pub revision: u64,
}

/// Get what enrolling must know of a section, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSectionFacts {
    /// The section.
    pub section_id: SectionId,
}

/// A section and its course, as they are now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SectionAndCourse {
    /// The section.
    pub section: SectionFacts,
    /// Its course.
    pub course: CourseFacts,
}

impl Endpoint for GetSectionFacts {
    const OPERATION: &'static str = "courses.get_section_facts";
    const ROUTE: Route = Route::get("/internal/courses/sections/{section_id}");
    const PROBLEMS: &'static [Problem] = &[SECTION_NOT_FOUND];
    type Response = SectionAndCourse;
}

/// Take in a course that was kept elsewhere, between domains.
///
/// Its code tells whether it's here already: then it becomes what is said, and
/// what isn't said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportCourse {
    /// What it's known by there, such as `RUST-101`.
    pub code: String,
    /// What it's called.
    pub title: String,
    /// What it's about.
    pub summary: Option<String>,
    /// What is learned and how, as Markdown.
    pub description: Option<String>,
    /// The language that it's taught in.
    pub language: Option<String>,
    /// How much it asks of those who take it.
    pub level: Option<String>,
    /// The category that it belongs to, by its id.
    pub category: Option<String>,
    /// The same, by the names on the way to it; they're made where they're missing.
    pub category_path: Vec<String>,
    /// What else it can be found by.
    pub tags: Option<Vec<String>>,
    /// Who teaches it.
    pub instructors: Option<Vec<String>>,
    /// Whether everyone is to see it: it's published if it lacks nothing.
    pub visible: bool,
    /// Whether it's to be deleted.
    pub deleted: bool,
    /// When its section begins; without it there's no section.
    pub starts_at: Option<Timestamp>,
    /// When its section ends.
    pub ends_at: Option<Timestamp>,
    /// The zone that the section's times are told in.
    pub time_zone: Option<TimeZone>,
    /// How many may attend the section.
    pub capacity: Option<u32>,
}

/// What has come of a course that was to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CourseImported {
    /// The course.
    pub course_id: Option<CourseId>,
    /// What has come of it.
    pub outcome: ImportOutcome,
    /// What else there is to say of it.
    pub note: Option<String>,
}

/// What can come of something that is to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// It wasn't here.
    Created,
    /// It was here, and is different now.
    Updated,
    /// It was here, as it's said.
    Unchanged,
    /// It was here, and isn't any more.
    Deleted,
    /// It can't be taken in as it is.
    Refused,
}

impl Endpoint for ImportCourse {
    const OPERATION: &'static str = "courses.import";
    const ROUTE: Route = Route::act("/internal/courses/import");
    type Response = CourseImported;
}

/// Get what courses keep of a person, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPersonalData {
    /// Who.
    pub user_id: UserId,
}

impl Endpoint for GetPersonalData {
    const OPERATION: &'static str = "courses.get_personal_data";
    const ROUTE: Route = Route::get("/internal/courses/users/{user_id}/personal-data");
    type Response = PersonalData;
}

/// Declares events that carry a course's or a section's facts.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident($kind:literal) { $(#[$field_doc:meta])* $field:ident: $facts:ty, $id:ident })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: $facts,
        }

        impl Event for $name {
            const TYPE: &'static str = $kind;
            fn subject(&self) -> String {
                self.$field.$id.to_string()
            }
        }
    )+};
}

facts! {
    /// A course was begun, as a draft.
    CourseCreated("courses.created.v1") {
        /// The course as it is now.
        course: CourseFacts, course_id
    }
    /// A course was published: everyone sees it.
    CoursePublished("courses.published.v1") {
        /// The course as it is now.
        course: CourseFacts, course_id
    }
    /// Something about a course was changed.
    CourseUpdated("courses.updated.v1") {
        /// The course as it is now.
        course: CourseFacts, course_id
    }
    /// A course was deleted, or is no longer offered.
    CourseDeleted("courses.deleted.v1") {
        /// The course as it was last.
        course: CourseFacts, course_id
    }
    /// A new category is there.
    CategoryCreated("courses.category_created.v1") {
        /// The category as it is now.
        category: CategoryFacts, category_id
    }
    /// A category was renamed or moved.
    CategoryUpdated("courses.category_updated.v1") {
        /// The category as it is now.
        category: CategoryFacts, category_id
    }
    /// A category is no more; nothing belonged to it.
    CategoryDeleted("courses.category_deleted.v1") {
        /// The category as it was last.
        category: CategoryFacts, category_id
    }
    /// A new section was opened.
    SectionCreated("courses.section_created.v1") {
        /// The section as it is now.
        section: SectionFacts, section_id
    }
    /// Something about a section was changed, its dates and capacity included.
    SectionUpdated("courses.section_updated.v1") {
        /// The section as it is now.
        section: SectionFacts, section_id
    }
    /// When or where people gather was changed; a [`SectionUpdated`] tells of it too.
    SectionRescheduled("courses.section_rescheduled.v1") {
        /// The section as it is now.
        section: SectionFacts, section_id
    }
    /// A section was cancelled as a whole.
    SectionCancelled("courses.section_cancelled.v1") {
        /// The section as it was last.
        section: SectionFacts, section_id
    }
}
