//! What the demonstration is filled with: courses, their sections, and people.

use anyhow::{Context as _, Result};
use contracts::{Language, Line, Text, TimeZone, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::schedule::{Meeting, Schedule, on_day};

/// Everything that the platform is filled with.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// What is taught.
    pub courses: Vec<Course>,
    /// Who teaches, and who learns.
    pub people: People,
}

/// A course and its sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// What it's called.
    pub title: Line<1, 200>,
    /// The language that it's taught in.
    pub language: Language,
    /// How much it asks of those who take it.
    pub level: Line<1, 20>,
    /// What else it can be found by.
    pub tags: Vec<Line<1, 50>>,
    /// Who teaches it, by the names of their addresses; the first opens it.
    pub instructors: Vec<String>,
    /// What it's about, in a sentence or two.
    pub summary: Text<1, 1000>,
    /// Paragraphs of Markdown.
    pub description: Vec<Text<1, 10_000>>,
    /// Its modules, as the API takes them.
    pub outline: Value,
    /// Its runs.
    pub sections: Vec<Section>,
    /// The field of study: the file that it stands in.
    #[serde(skip)]
    pub category: &'static str,
}

impl Course {
    /// Who opens it and its sections.
    pub fn leader(&self) -> Result<&str> {
        Ok(self.instructors.first().context("nobody teaches it")?)
    }
}

/// One run of a course.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What it's called.
    pub title: Line<1, 200>,
    /// The zone that its times are told in.
    pub time_zone: TimeZone,
    /// How many may attend; nothing: any number.
    pub capacity: Option<u32>,
    /// How many may wait; nothing: any number.
    pub waitlist_capacity: Option<u32>,
    /// Whether an instructor must approve each enrollment.
    #[serde(default)]
    pub approval_required: bool,
    /// What people must know to enroll.
    pub enrollment_key: Option<Line<1, 100>>,
    /// In how many days enrollment opens; nothing: it's open.
    pub enrollment_opens_in_days: Option<i64>,
    /// In how many days enrollment closes; nothing: when the section ends.
    pub enrollment_closes_in_days: Option<i64>,
    /// How long before each meeting people are reminded; nothing: as usual.
    pub reminder_minutes_before: Option<Vec<u32>>,
    /// When it meets; nothing: everyone learns when they like.
    pub schedule: Option<Schedule>,
    /// Where it meets.
    pub location: Option<Line<1, 300>>,
    /// Where it meets on the web.
    pub url: Option<Line<1, 1000>>,
    /// How many ask for a seat.
    pub students: usize,
}

/// At what time of a day enrollment opens and closes.
const OFFICE_OPENS: &str = "08:00";

impl Section {
    /// Every meeting, in the order of time.
    pub fn meetings(&self, now: Timestamp) -> Result<Vec<Meeting>> {
        let meetings = self.schedule.as_ref().map(|it| it.meetings(&self.time_zone, now));
        Ok(meetings.transpose()?.unwrap_or_default())
    }

    /// From when on people may enroll.
    pub fn opens_at(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.morning(self.enrollment_opens_in_days, now)
    }

    /// Until when people may enroll.
    pub fn closes_at(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.morning(self.enrollment_closes_in_days, now)
    }

    /// Whether people may enroll now.
    pub fn is_open(&self, now: Timestamp) -> Result<bool> {
        let (opens_at, closes_at) = (self.opens_at(now)?, self.closes_at(now)?);
        Ok(opens_at.is_none_or(|it| it <= now) && closes_at.is_none_or(|it| now < it))
    }

    fn morning(&self, days: Option<i64>, now: Timestamp) -> Result<Option<Timestamp>> {
        days.map(|days| on_day(days, OFFICE_OPENS, &self.time_zone, now)).transpose()
    }
}

/// Who is on the platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Who runs it.
    pub admin: Person,
    /// Who teaches.
    pub instructors: Vec<Person>,
    /// Who learns.
    pub students: Vec<Person>,
}

/// Someone on the platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What to call them.
    pub name: Line<1, 200>,
    /// Their address without its domain.
    pub address: String,
    /// The language of their mail.
    pub locale: Language,
    /// The zone that they're told times in.
    pub time_zone: TimeZone,
}

impl Person {
    /// Their address: of a domain that nobody can ever own.
    pub fn email(&self) -> String {
        format!("{}@aula.example", self.address)
    }
}

/// The categories, each with what people call it and the one that it belongs to;
/// those above come first.
pub const CATEGORIES: [(&str, &str, Option<&str>); 10] = [
    ("technology", "Tecnología", None),
    ("cloud", "Nube", Some("technology")),
    ("data", "Datos", Some("technology")),
    ("programming", "Programación", Some("technology")),
    ("security", "Seguridad", Some("technology")),
    ("design", "Diseño", None),
    ("business", "Negocios", None),
    ("humanities", "Humanidades y ciencias", None),
    ("languages", "Idiomas", Some("humanities")),
    ("mathematics", "Matemáticas", Some("humanities")),
];

/// The courses, by their category.
const COURSES: [(&str, &str); 8] = [
    ("cloud", include_str!("catalog/cloud.json")),
    ("data", include_str!("catalog/data.json")),
    ("programming", include_str!("catalog/programming.json")),
    ("security", include_str!("catalog/security.json")),
    ("design", include_str!("catalog/design.json")),
    ("business", include_str!("catalog/business.json")),
    ("languages", include_str!("catalog/languages.json")),
    ("mathematics", include_str!("catalog/mathematics.json")),
];

const PEOPLE: &str = include_str!("people.json");

impl Catalog {
    /// Reads what is built in.
    pub fn read() -> Result<Self> {
        let mut courses = Vec::new();
        for (category, text) in COURSES {
            let read: Vec<Course> = serde_json::from_str(text).context(category)?;
            courses.extend(read.into_iter().map(|course| Course { category, ..course }));
        }
        let people = serde_json::from_str(PEOPLE).context("people")?;
        Ok(Self { courses, people })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn catalog() -> Catalog {
        Catalog::read().expect("the catalog can be read")
    }

    /// A Saturday.
    fn now() -> Timestamp {
        "2026-11-21T15:00:00Z".parse().expect("a time")
    }

    fn sections() -> Vec<Section> {
        catalog().courses.into_iter().flat_map(|course| course.sections).collect()
    }

    #[test]
    fn thirty_courses_are_taught_in_two_languages_and_at_every_level() {
        let courses = catalog().courses;
        let count = |is: &dyn Fn(&Course) -> bool| courses.iter().filter(|it| is(it)).count();
        assert_eq!(courses.len(), 30);
        assert_eq!(count(&|it| it.language == Language::Es), 16);
        assert_eq!(count(&|it| it.language == Language::En), 14);
        let levels = ["beginner", "intermediate", "advanced"];
        let of_levels = levels.map(|level| count(&|it| &*it.level == level));
        assert!(of_levels.iter().all(|it| *it >= 5), "{of_levels:?}");
        assert_eq!(of_levels.iter().sum::<usize>(), 30);
        let mut categories = BTreeMap::new();
        for course in &courses {
            *categories.entry(course.category).or_insert(0) += 1;
        }
        assert_eq!(categories.len(), 8);
        assert!(categories.keys().all(|id| CATEGORIES.iter().any(|(it, ..)| it == id)));
        assert!(categories.values().all(|count| *count >= 3), "{categories:?}");
    }

    #[test]
    fn every_course_has_a_title_of_its_own_and_says_what_is_learned() {
        let courses = catalog().courses;
        let titles: BTreeSet<_> = courses.iter().map(|it| it.title.to_string()).collect();
        assert_eq!(titles.len(), courses.len());
        for course in &courses {
            let title = &course.title;
            assert!((40..=300).contains(&course.summary.chars().count()), "{title}");
            assert!((2..=4).contains(&course.description.len()), "{title}");
            assert!((3..=10).contains(&course.tags.len()), "{title}");
            let tags: BTreeSet<_> = course.tags.iter().map(ToString::to_string).collect();
            assert_eq!(tags.len(), course.tags.len(), "{title}");
            let modules = course.outline.as_array().expect("modules");
            assert!((3..=6).contains(&modules.len()), "{title}");
            let has_items = |it: &Value| it["items"].as_array().is_some_and(|it| it.len() >= 2);
            assert!(modules.iter().all(has_items), "{title}");
            assert!((1..=3).contains(&course.sections.len()), "{title}");
        }
    }

    #[test]
    fn everyone_who_teaches_or_learns_is_there_once() {
        let Catalog { courses, people } = catalog();
        assert_eq!((people.instructors.len(), people.students.len()), (5, 24));
        let everyone = people.instructors.iter().chain(&people.students).chain([&people.admin]);
        let addresses: BTreeSet<_> = everyone.map(Person::email).collect();
        assert_eq!(addresses.len(), 30);
        assert!(addresses.iter().all(|it| it.is_ascii() && it.ends_with(".example")));
        let taught_by = |person: &Person| {
            courses.iter().filter(|it| it.instructors.contains(&person.address)).count()
        };
        assert!(people.instructors.iter().all(|it| taught_by(it) >= 3));
        let names: Vec<_> = people.instructors.iter().map(|it| &it.address).collect();
        assert!(courses.iter().flat_map(|it| &it.instructors).all(|it| names.contains(&it)));
        // Nobody can ask twice for a seat of one section.
        assert!(sections().iter().all(|it| it.students <= people.students.len()));
    }

    #[test]
    fn some_sections_run_and_some_begin_next_week_and_some_later() {
        let (now, next_but_one) = (now(), now().plus_minutes(9 * 24 * 60));
        let (mut running, mut next_week, mut later) = (0, 0, 0);
        for section in sections() {
            let meetings = section.meetings(now).expect("a schedule");
            let (Some(first), Some(last)) = (meetings.first(), meetings.last()) else { continue };
            let in_order = meetings.windows(2).all(|pair| pair[0].ends_at <= pair[1].starts_at);
            assert!(in_order && last.ends_at > now, "{}", section.title);
            if first.starts_at <= now {
                running += 1;
            } else if first.starts_at < next_but_one {
                next_week += 1;
            } else {
                later += 1;
            }
        }
        assert!(running >= 10 && next_week >= 8 && later >= 10, "{running} {next_week} {later}");
    }

    #[test]
    fn there_is_a_section_of_every_kind() {
        let sections = sections();
        let count = |is: &dyn Fn(&Section) -> bool| sections.iter().filter(|it| is(it)).count();
        assert_eq!(count(&|it| it.approval_required), 1);
        assert_eq!(count(&|it| it.enrollment_key.is_some()), 1);
        assert_eq!(count(&|it| it.schedule.is_none() && it.capacity.is_none()), 1);
        let wanted = |it: &Section| it.capacity.is_some_and(|seats| it.students > seats as usize);
        assert_eq!(count(&wanted), 1);
        let within = |it: &Section| it.capacity.is_none_or(|seats| (5..=60).contains(&seats));
        assert!(sections.iter().all(within));
        assert!(count(&|it| !it.is_open(now()).expect("a window")) >= 2);
        let zones: BTreeSet<_> = sections.iter().map(|it| it.time_zone.as_str()).collect();
        let expected =
            ["America/Bogota", "America/Mexico_City", "America/New_York", "Europe/Madrid"];
        assert!(zones.into_iter().eq(expected));
    }
}
