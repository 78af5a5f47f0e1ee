//! Filing: what must be counted when a course becomes another.

use std::collections::BTreeMap;

use contracts::courses::CourseState;
use runtime::prelude::*;

use crate::{
    course::Course,
    entry::{self, Difference, Entry, Kind},
    forms::Slug,
};

type Differences = BTreeMap<(Kind, String), Difference>;

/// Counts a course under what it says now, and no longer under what it said
/// before. What is wrong is noted: nobody files under a category that isn't there.
pub async fn changes<C>(
    cx: &Context<C>,
    before: Option<&Course>,
    after: &Course,
    faults: &mut Faults,
) -> Result<Changes> {
    let mut differences = Differences::new();
    if let Some(before) = before {
        add(&mut differences, before, -1);
    }
    add(&mut differences, after, 1);
    differences.retain(|_, difference| *difference != Difference::default());

    let ids: Vec<_> = differences.keys().map(|(kind, name)| entry::id(*kind, name)).collect();
    let entries = cx.get_all::<Entry>(&ids).await?;
    let mut changes = Changes::new();
    for (((kind, name), difference), found) in differences.into_iter().zip(entries) {
        let is_less = difference.filed < 0 || difference.published < 0;
        let mut entry = match found {
            Some(entry) => entry,
            None if is_less => continue,
            None if kind == Kind::Category => {
                note_missing(faults);
                continue;
            }
            None => Stored::new(Entry::blank(kind, &name)),
        };
        entry.count(difference);
        changes = if entry.is_idle() { changes.delete(&entry) } else { changes.save(&entry) };
    }
    Ok(changes)
}

/// Notes a category that doesn't exist, unless the course has it already.
pub async fn find_missing<C>(
    cx: &Context<C>,
    known: Option<&Slug>,
    sent: Option<&Slug>,
    faults: &mut Faults,
) -> Result<()> {
    if let Some(slug) = sent.filter(|slug| known != Some(slug))
        && entry::category(cx, slug).await?.is_none()
    {
        note_missing(faults);
    }
    Ok(())
}

fn note_missing(faults: &mut Faults) {
    faults.unless(
        false,
        "category",
        "unknown-category",
        "There is no such category; admins make them.",
        "No existe esa categoría; las crean los administradores.",
    );
}

/// Adds what a course counts for, once or less once.
fn add(differences: &mut Differences, course: &Course, times: i64) {
    let filed = if course.state == CourseState::Archived { 0 } else { times };
    let published = if course.state == CourseState::Published { times } else { 0 };
    if let Some(category) = &course.category {
        let difference = differences.entry((Kind::Category, category.to_string())).or_default();
        difference.filed += filed;
        difference.published += published;
        if let Some(level) = course.level {
            difference.levels[level as usize] += published;
        }
    }
    // Only published courses make a tag known.
    for tag in &course.tags {
        let difference = differences.entry((Kind::Tag, tag.to_string())).or_default();
        difference.filed += published;
        difference.published += published;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(state: CourseState, category: &str, tags: &[&str]) -> Course {
        let mut course = Course::blank("c".into(), "ines".into(), Timestamp::UNIX_EPOCH);
        course.state = state;
        course.category = Slug::new(category).ok();
        course.tags = tags.iter().map(|tag| Slug::new(tag).unwrap()).collect();
        course
    }

    fn differences(courses: &[(&Course, i64)]) -> Vec<(String, i64, i64)> {
        let mut differences = Differences::new();
        for (course, times) in courses {
            add(&mut differences, course, *times);
        }
        differences.retain(|_, it| *it != Difference::default());
        let told = |((_, name), it): ((Kind, String), Difference)| (name, it.filed, it.published);
        differences.into_iter().map(told).collect()
    }

    fn told(told: &[(&str, i64, i64)]) -> Vec<(String, i64, i64)> {
        told.iter().map(|&(name, filed, published)| (name.to_owned(), filed, published)).collect()
    }

    #[test]
    fn a_draft_keeps_its_category_and_only_a_published_course_counts() {
        let draft = course(CourseState::Draft, "web", &["rust"]);
        let published = course(CourseState::Published, "web", &["rust"]);
        let archived = course(CourseState::Archived, "web", &["rust"]);
        assert_eq!(differences(&[(&draft, 1)]), told(&[("web", 1, 0)]));
        let publish = differences(&[(&draft, -1), (&published, 1)]);
        assert_eq!(publish, told(&[("web", 0, 1), ("rust", 1, 1)]));
        let archive = differences(&[(&published, -1), (&archived, 1)]);
        assert_eq!(archive, told(&[("web", -1, -1), ("rust", -1, -1)]));
    }

    #[test]
    fn what_stays_is_not_counted_again() {
        let before = course(CourseState::Published, "web", &["rust", "old"]);
        let after = course(CourseState::Published, "data", &["rust", "new"]);
        let changed = differences(&[(&before, -1), (&after, 1)]);
        let expected = [("data", 1, 1), ("web", -1, -1), ("new", 1, 1), ("old", -1, -1)];
        assert_eq!(changed, told(&expected));
        assert!(differences(&[(&after, -1), (&after, 1)]).is_empty());
    }
}
