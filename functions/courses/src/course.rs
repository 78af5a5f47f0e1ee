//! A course, from draft to published to archived.

use std::collections::HashSet;

use contracts::courses::{CourseFacts, CourseId, CourseState, ItemFacts};
use contracts::identity::Role;
use runtime::prelude::*;

use crate::{
    change::Change,
    forms::{LanguageTag, Slug},
    markdown,
    outline::{self, Module, RevisedModule},
};

/// The course lacks something that the public must be told.
pub const COURSE_INCOMPLETE: Problem = Problem::conflict(
    "course-incomplete",
    "This course lacks something that a published course has.",
    "A este curso le falta algo que un curso publicado tiene.",
);

/// The most tags that a course has.
const TAGS: usize = 20;
/// The most courses that one asks to have been completed before it.
pub const PREREQUISITES: usize = 20;
/// The most people who teach a course.
pub const INSTRUCTORS: usize = 20;

/// How much a course asks of those who take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// No knowledge is needed.
    Beginner,
    /// Some knowledge is needed.
    Intermediate,
    /// Much knowledge is needed.
    Advanced,
}

impl Level {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Beginner => "beginner",
            Self::Intermediate => "intermediate",
            Self::Advanced => "advanced",
        }
    }
}

/// A course as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    pub id: CourseId,
    /// What it was known by where it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub title: String,
    pub summary: String,
    pub description: String,
    pub language: Option<LanguageTag>,
    pub category: Option<Slug>,
    pub level: Option<Level>,
    pub tags: Vec<Slug>,
    pub outline: Vec<Module>,
    /// The courses that must have been completed before it.
    #[serde(default)]
    pub prerequisites: Vec<CourseId>,
    pub instructors: Vec<UserId>,
    pub state: CourseState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it was published first.
    pub published_at: Option<Timestamp>,
    pub revision: u64,
}

impl Document for Course {
    const COLLECTION: &'static str = "courses";
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// What is to be changed about a course.
#[derive(Clone, Debug, Default)]
pub struct CourseChanges {
    pub title: Change<Line<1, 200>>,
    pub summary: Change<Text<0, 1000>>,
    pub description: Change<Text<0, 50_000>>,
    pub language: Change<Option<LanguageTag>>,
    pub category: Change<Option<Slug>>,
    pub level: Change<Option<Level>>,
    pub tags: Change<Vec<Slug>>,
    pub outline: Change<Vec<RevisedModule>>,
    pub prerequisites: Change<Vec<CourseId>>,
    pub instructors: Change<Vec<UserId>>,
}

impl Course {
    /// A draft with nothing in it, which its creator teaches.
    pub fn blank(id: CourseId, creator: UserId, now: Timestamp) -> Self {
        Self {
            id,
            code: None,
            title: String::new(),
            summary: String::new(),
            description: String::new(),
            language: None,
            category: None,
            level: None,
            tags: Vec::new(),
            outline: Vec::new(),
            prerequisites: Vec::new(),
            instructors: vec![creator],
            state: CourseState::Draft,
            created_at: now,
            updated_at: now,
            published_at: None,
            revision: 1,
        }
    }

    /// The course as it would be with some changes; refused if they break a rule.
    pub fn with(
        &self,
        changes: CourseChanges,
        mut faults: Faults,
        new_id: impl FnMut() -> String,
    ) -> Result<Self> {
        let mut course = self.clone();
        changes.title.map(String::from).apply(&mut course.title);
        changes.summary.map(String::from).apply(&mut course.summary);
        changes.description.map(String::from).apply(&mut course.description);
        changes.language.apply(&mut course.language);
        changes.category.apply(&mut course.category);
        changes.level.apply(&mut course.level);
        if let Change::To(tags) = changes.tags {
            faults.unless(
                tags.len() <= TAGS,
                "tags",
                "too-many",
                "A course has at most 20 tags.",
                "Un curso tiene como máximo 20 etiquetas.",
            );
            course.tags = distinct(tags);
        }
        if let Change::To(sent) = changes.outline {
            course.outline = outline::revise(&self.outline, sent, &mut faults, new_id);
        }
        if let Change::To(prerequisites) = changes.prerequisites {
            faults.unless(
                prerequisites.len() <= PREREQUISITES,
                "prerequisites",
                "too-many",
                "A course has at most 20 prerequisites.",
                "Un curso tiene como máximo 20 prerrequisitos.",
            );
            course.prerequisites = distinct(prerequisites);
        }
        if let Change::To(instructors) = changes.instructors {
            faults.unless(
                (1..=INSTRUCTORS).contains(&instructors.len()),
                "instructors",
                "out-of-range",
                "A course has 1 to 20 instructors.",
                "Un curso tiene de 1 a 20 instructores.",
            );
            course.instructors = distinct(instructors);
        }
        faults.check()?;
        Ok(course)
    }

    /// Everything that keeps it from being published.
    pub fn expect_complete(&self) -> Result<(), Refusal> {
        let mut faults = Faults::new();
        let mut needs = |there: bool, field, en, es| faults.unless(there, field, "missing", en, es);
        needs(!self.summary.is_empty(), "summary", "Say what it's about.", "Di de qué trata.");
        needs(
            !self.description.is_empty(),
            "description",
            "Describe what is learned, and how.",
            "Describe qué se aprende y cómo.",
        );
        needs(self.category.is_some(), "category", "Choose a category.", "Elige una categoría.");
        needs(self.level.is_some(), "level", "Choose a level.", "Elige un nivel.");
        needs(
            self.language.is_some(),
            "language",
            "Say in which language it's taught.",
            "Di en qué idioma se imparte.",
        );
        needs(
            self.outline.iter().any(|module| !module.items.is_empty()),
            "outline",
            "Add a module with at least one item.",
            "Agrega un módulo con al menos un elemento.",
        );
        if faults.is_empty() { Ok(()) } else { Err(faults.refuse(COURSE_INCOMPLETE)) }
    }

    /// Shows it to everyone.
    pub fn publish(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.expect_complete()?;
        self.state = CourseState::Published;
        self.published_at.get_or_insert(now);
        self.touch(now);
        Ok(())
    }

    /// Offers it no longer.
    pub fn archive(&mut self, now: Timestamp) {
        self.state = CourseState::Archived;
        self.touch(now);
    }

    /// Notes that it has changed.
    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    /// Whether someone may change it, and see what others don't.
    pub fn is_run_by(&self, user: &User) -> bool {
        user.is_admin() || (user.is(Role::Instructor) && self.instructors.contains(&user.id))
    }

    /// The version that it is at.
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }

    /// What other domains must know of it.
    pub fn facts(&self) -> CourseFacts {
        CourseFacts {
            course_id: self.id.clone(),
            title: self.title.clone(),
            state: self.state,
            instructors: self.instructors.clone(),
            prerequisites: self.prerequisites.clone(),
            items: self.items(),
            revision: self.revision,
        }
    }

    /// What its outline is made of, in order.
    fn items(&self) -> Vec<ItemFacts> {
        let items = self.outline.iter().flat_map(|module| &module.items);
        items.map(|item| ItemFacts { id: item.id.clone(), required: item.required }).collect()
    }

    /// The course as those who run it see it, or as everyone does.
    pub fn show(self, to_staff: bool) -> ShownCourse {
        let etag = self.etag();
        let mut outline = self.outline;
        if !to_staff {
            for item in outline.iter_mut().flat_map(|module| &mut module.items) {
                item.url = None;
            }
        }
        ShownCourse {
            id: self.id,
            code: self.code,
            title: self.title,
            summary: self.summary,
            description_html: markdown::to_html(&self.description),
            description: self.description,
            language: self.language,
            category: self.category,
            level: self.level,
            tags: self.tags,
            outline,
            prerequisites: self.prerequisites,
            instructors: self.instructors,
            state: self.state,
            created_at: self.created_at,
            updated_at: self.updated_at,
            published_at: self.published_at,
            etag,
        }
    }
}

/// The same things, each where it stands first.
fn distinct<T: Clone + Eq + std::hash::Hash>(things: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    things.into_iter().filter(|thing| seen.insert(thing.clone())).collect()
}

/// A course.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Course")]
pub struct ShownCourse {
    /// The course's id.
    pub id: CourseId,
    /// What it was known by where it was imported from; null: it was made here.
    pub code: Option<String>,
    /// What it's called.
    pub title: String,
    /// What it's about, in a sentence or two; empty until it's written.
    pub summary: String,
    /// What is learned and how, as Markdown; empty until it's written.
    pub description: String,
    /// The description as HTML that may stand in any page. HTML in the Markdown
    /// is shown as text, images are links, and links have `rel="nofollow
    /// noopener noreferrer ugc"`.
    pub description_html: String,
    /// The language that it's taught in.
    pub language: Option<LanguageTag>,
    /// The category that it belongs to.
    pub category: Option<Slug>,
    /// How much it asks of those who take it.
    pub level: Option<Level>,
    /// What else it can be found by.
    pub tags: Vec<Slug>,
    /// Its modules, in order. Titles are for everyone; where an item is, the
    /// course's instructors alone are told.
    pub outline: Vec<Module>,
    /// The courses that must have been completed before it.
    pub prerequisites: Vec<CourseId>,
    /// Who teaches it; who created it comes first.
    pub instructors: Vec<UserId>,
    /// Where it is in its life.
    pub state: CourseState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was published first.
    pub published_at: Option<Timestamp>,
    /// Its version: send it as `If-Match` to change the course.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub fn draft() -> Course {
        let mut course = Course::blank("c1".into(), "ines".into(), Timestamp::UNIX_EPOCH);
        course.title = "Rust".to_owned();
        course
    }

    fn complete() -> Course {
        let changes = CourseChanges {
            summary: Change::To(Text::new("About Rust.").unwrap()),
            description: Change::To(Text::new("# Rust").unwrap()),
            language: Change::To(LanguageTag::new("es").ok()),
            category: Change::To(Slug::new("web").ok()),
            level: Change::To(Some(Level::Beginner)),
            outline: Change::To(
                serde_json::from_value(json!([{
                    "title": "One", "items": [{ "title": "a", "kind": "link", "url": "https://a.b" }],
                }]))
                .unwrap(),
            ),
            ..CourseChanges::default()
        };
        draft().with(changes, Faults::new(), || "n".to_owned()).unwrap()
    }

    #[test]
    fn a_draft_needs_only_a_title_and_a_published_course_much_more() {
        assert!(draft().expect_complete().is_err());
        let mut course = complete();
        course.publish(Timestamp::from_millis(5)).unwrap();
        assert_eq!(course.published_at, Some(Timestamp::from_millis(5)));
        course.archive(Timestamp::from_millis(6));
        course.publish(Timestamp::from_millis(7)).unwrap();
        assert_eq!(course.published_at, Some(Timestamp::from_millis(5)));
        assert_eq!(course.revision, 4);
    }

    #[test]
    fn an_item_is_required_unless_it_is_said_not_to_be() {
        let changes = CourseChanges {
            outline: Change::To(
                serde_json::from_value(json!([{ "title": "One", "items": [
                    { "title": "a", "kind": "link" },
                    { "title": "b", "kind": "link", "required": false },
                ] }]))
                .unwrap(),
            ),
            ..CourseChanges::default()
        };
        let mut ids = 0;
        let new_id = || {
            ids += 1;
            format!("n{ids}")
        };
        let course = draft().with(changes, Faults::new(), new_id).unwrap();
        let item = |id: &str, required| ItemFacts { id: id.to_owned(), required };
        assert_eq!(course.facts().items, [item("n2", true), item("n3", false)]);
    }

    #[test]
    fn the_facts_of_the_largest_course_are_a_small_part_of_what_an_event_may_be() {
        let mut course = draft();
        course.title = "ñ".repeat(200);
        course.instructors = vec!["x".repeat(64).as_str().into(); INSTRUCTORS];
        course.prerequisites = vec!["x".repeat(64).as_str().into(); PREREQUISITES];
        let item = json!({ "id": "x".repeat(20), "title": "i", "kind": "link", "url": null });
        let module = json!({ "id": "m", "title": "m", "items": vec![item; 300] });
        course.outline = serde_json::from_value(json!([module])).unwrap();
        assert_eq!(course.facts().items.len(), 300);
        assert!(serde_json::to_vec(&course.facts()).unwrap().len() < 24 * 1024);
    }

    #[test]
    fn an_outline_of_empty_modules_is_no_outline() {
        let mut course = complete();
        course.outline[0].items.clear();
        assert!(course.expect_complete().is_err());
    }

    #[test]
    fn only_staff_is_shown_where_items_are() {
        let url = |to_staff| complete().show(to_staff).outline[0].items[0].url.clone();
        assert_eq!((url(true).as_deref(), url(false)), (Some("https://a.b"), None));
    }

    #[test]
    fn tags_and_instructors_stand_once_in_the_order_given() {
        let tags = ["b", "a", "B", "a"].map(|tag| Slug::new(tag).unwrap()).to_vec();
        let instructors = ["ines", "ivan", "ines"].map(UserId::from).to_vec();
        let changes = CourseChanges {
            tags: Change::To(tags),
            instructors: Change::To(instructors),
            ..CourseChanges::default()
        };
        let course = draft().with(changes, Faults::new(), String::new).unwrap();
        assert_eq!(course.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(course.instructors, ["ines", "ivan"].map(UserId::from));
    }
}
