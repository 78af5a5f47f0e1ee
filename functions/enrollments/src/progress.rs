//! Progress: what somebody has done of a course's outline, and whether that's all of it.

use std::collections::BTreeMap;

use contracts::{courses::ItemFacts, enrollments::EnrollmentId};
use runtime::prelude::*;

use crate::{course::Course, enrollment::Enrollment};

/// What somebody has done of a course's outline, in one enrollment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The enrollment, whose id it has.
    pub id: EnrollmentId,
    /// Who.
    pub user_id: UserId,
    /// The items that are done, and since when.
    pub done: BTreeMap<String, Timestamp>,
    /// When it was changed.
    pub updated_at: Timestamp,
}

impl Document for Progress {
    const COLLECTION: &'static str = "progress";
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Progress {
    /// Nothing done yet.
    pub fn of(enrollment: &Enrollment, now: Timestamp) -> Self {
        Self::nothing(&enrollment.id, &enrollment.user_id, now)
    }

    /// The same, of somebody's enrollment.
    pub fn nothing(id: &EnrollmentId, user_id: &UserId, now: Timestamp) -> Self {
        let (id, user_id) = (id.clone(), user_id.clone());
        Self { id, user_id, done: BTreeMap::new(), updated_at: now }
    }

    /// Marks items as done; those that are stay as they are.
    pub fn mark<'a>(&mut self, items: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        for item in items {
            self.done.entry(item.to_owned()).or_insert(now);
        }
        self.updated_at = now;
    }

    /// Takes over what was done in another enrollment.
    pub fn take_over(&mut self, other: &Self) {
        for (item, done_at) in &other.done {
            let since = self.done.entry(item.clone()).or_insert(*done_at);
            *since = (*since).min(*done_at);
        }
    }

    /// Whether all that a course requires is done: every required item, or every
    /// item where none is required. A course without items isn't completed so.
    pub fn completes(&self, course: &Course) -> bool {
        let mut required = required(course.items()).peekable();
        required.peek().is_some() && required.all(|item| self.done.contains_key(&item.id))
    }

    /// How far that is.
    pub fn view(&self, course: &Course) -> ProgressView {
        let items = course.items();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let done = |item: &&ItemFacts| self.done.contains_key(&item.id);
        ProgressView {
            items_done: count(items.iter().filter(done).count()),
            items_count: count(items.len()),
            required_done: count(required(items).filter(done).count()),
            required_count: count(required(items).count()),
            done: None,
        }
    }

    /// The same, with each item that is done.
    pub fn view_in_full(&self, course: &Course) -> ProgressView {
        let item = |(item_id, done_at): (&String, &Timestamp)| DoneItem {
            item_id: item_id.clone(),
            done_at: *done_at,
        };
        ProgressView { done: Some(self.done.iter().map(item).collect()), ..self.view(course) }
    }
}

/// The items that a course is completed with.
fn required(items: &[ItemFacts]) -> impl Iterator<Item = &ItemFacts> {
    let any = items.iter().any(|item| item.required);
    items.iter().filter(move |item| item.required || !any)
}

/// How far somebody has come in a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Progress")]
pub struct ProgressView {
    /// How many items of the outline are done.
    pub items_done: u32,
    /// How many items the outline has.
    pub items_count: u32,
    /// How many of the items that the course is completed with are done.
    pub required_done: u32,
    /// How many items the course is completed with.
    pub required_count: u32,
    /// The items that are done, those included that the outline has no more; in
    /// lists it's left out.
    pub done: Option<Vec<DoneItem>>,
}

/// An item of an outline that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoneItem {
    /// The item.
    pub item_id: String,
    /// Since when.
    pub done_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseFacts;

    use super::*;

    fn course(items: &[(&str, bool)]) -> Course {
        let item =
            |(id, required): &(&str, bool)| ItemFacts { id: (*id).to_owned(), required: *required };
        let items = items.iter().map(item).collect();
        Course::from(&CourseFacts { items, ..crate::tests::course() })
    }

    fn progress(done: &[&str]) -> Progress {
        let now = Timestamp::UNIX_EPOCH;
        let (id, user_id) = ("e1".into(), "ada".into());
        let mut progress = Progress { id, user_id, done: BTreeMap::new(), updated_at: now };
        progress.mark(done.iter().copied(), now);
        progress
    }

    #[test]
    fn a_course_is_completed_with_all_its_required_items() {
        let some = course(&[("a", true), ("b", false), ("c", true)]);
        assert!(!progress(&["a", "b"]).completes(&some));
        assert!(progress(&["a", "c"]).completes(&some));
        let view = progress(&["a", "b", "gone"]).view(&some);
        assert_eq!((view.items_done, view.items_count), (2, 3));
        assert_eq!((view.required_done, view.required_count), (1, 2));
    }

    #[test]
    fn where_no_item_is_required_all_are_and_where_there_is_none_nothing_completes() {
        let none_required = course(&[("a", false), ("b", false)]);
        assert!(!progress(&["a"]).completes(&none_required));
        assert!(progress(&["a", "b"]).completes(&none_required));
        assert!(!progress(&["a"]).completes(&course(&[])));
    }

    #[test]
    fn an_item_is_done_since_it_was_done_first() {
        let mut progress = progress(&["a"]);
        progress.mark(["a"], Timestamp::from_millis(5));
        assert_eq!(progress.done["a"], Timestamp::UNIX_EPOCH);
    }
}
