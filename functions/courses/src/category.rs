//! Categories: the fields of study that courses belong to, as a tree.

use std::collections::BTreeMap;

use contracts::courses::CategoryFacts;
use runtime::{Refusal, prelude::*};

use crate::{
    course::Level,
    entry::{Entry, Kind, LevelCount},
    forms::Slug,
    words::folded,
};

/// There's no such category.
pub const CATEGORY_NOT_FOUND: Problem = Problem::not_found(
    "category-not-found",
    "There is no such category.",
    "No existe esa categoría.",
);
/// Another category has that id.
pub const CATEGORY_EXISTS: Problem = Problem::conflict(
    "category-exists",
    "There is a category with this id already.",
    "Ya existe una categoría con este id.",
);
/// Courses or other categories belong to it.
pub const CATEGORY_IN_USE: Problem = Problem::conflict(
    "category-in-use",
    "Courses or other categories belong to this category.",
    "Hay cursos u otras categorías en esta categoría.",
);
/// The tree is full.
pub const TOO_MANY_CATEGORIES: Problem = Problem::conflict(
    "too-many-categories",
    "There are 500 categories already, which is the most.",
    "Ya hay 500 categorías, que son el máximo.",
);

/// The most categories that there are.
const MOST: u32 = 500;
/// How deep the tree is at most.
const DEPTH: usize = 5;

/// What is known of a category beside its entry's name and counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub id: Slug,
    /// What people call it.
    pub name: String,
    pub parent_id: Option<Slug>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: u64,
}

impl Category {
    /// A new one.
    pub fn new(id: Slug, name: String, parent_id: Option<Slug>, now: Timestamp) -> Self {
        Self { id, name, parent_id, created_at: now, updated_at: now, revision: 1 }
    }

    /// Its entry, under which no course is filed yet.
    pub fn into_entry(self) -> Entry {
        let mut entry = Entry::blank(Kind::Category, &self.id);
        entry.category = Some(self);
        entry
    }

    /// Notes that it has changed.
    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    /// The version that it is at.
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }

    /// What other domains may know of it.
    pub fn facts(&self) -> CategoryFacts {
        CategoryFacts {
            category_id: self.id.to_string(),
            name: self.name.clone(),
            parent_id: self.parent_id.as_ref().map(ToString::to_string),
            revision: self.revision,
        }
    }
}

/// All categories, and how they hang together.
pub struct Tree {
    entries: BTreeMap<String, Stored<Entry>>,
}

impl Tree {
    /// Reads all of it.
    pub async fn read<C>(cx: &Context<C>) -> Result<Self> {
        let (entries, _) = cx.query::<Entry>(&Entry::all_of(Kind::Category, MOST)).await?;
        Ok(Self { entries: entries.into_iter().map(|it| (it.name.clone(), it)).collect() })
    }

    /// Takes a category's entry out of it.
    pub fn take(&mut self, id: &Slug) -> Result<Stored<Entry>, Problem> {
        self.entries.remove(&**id).ok_or(CATEGORY_NOT_FOUND)
    }

    /// Whether it has a category.
    pub fn has(&self, id: &Slug) -> bool {
        self.entries.contains_key(&**id)
    }

    /// The category that people call so, below another or below none.
    pub fn named(&self, name: &str, parent: Option<&Slug>) -> Option<Slug> {
        let name = folded(name);
        let mut categories = self.entries.values().filter_map(|it| it.category.as_ref());
        let found =
            categories.find(|it| it.parent_id.as_ref() == parent && folded(&it.name) == name);
        Some(found?.id.clone())
    }

    /// Whether no more fits in.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= MOST as usize
    }

    /// How many published courses there are of each level.
    pub fn levels(&self) -> Vec<LevelCount> {
        let count = |level: Level| {
            let courses = self.entries.values().map(|it| it.levels[level as usize]).sum();
            LevelCount { level, courses }
        };
        [Level::Beginner, Level::Intermediate, Level::Advanced].map(count).to_vec()
    }

    fn parent(&self, id: &str) -> Option<&Slug> {
        self.entries.get(id)?.category.as_ref()?.parent_id.as_ref()
    }

    fn children(&self, id: &str) -> impl Iterator<Item = &str> {
        let is_child = move |it: &&str| self.parent(it).is_some_and(|parent| **parent == *id);
        self.entries.keys().map(String::as_str).filter(is_child)
    }

    /// A category and all above it, the root last; it ends though they run in a circle.
    fn path<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let above = |id: &&'a str| self.parent(id).map(|it| &**it);
        std::iter::successors(Some(id), above).take(MOST as usize)
    }

    /// How many levels there are from a category down.
    fn height(&self, id: &str) -> usize {
        1 + self.children(id).map(|child| self.height(child)).max().unwrap_or(0)
    }

    /// Notes what keeps a category, which may be new, from hanging under another.
    pub fn check_place(&self, id: Option<&Slug>, parent: &Slug, faults: &mut Faults) {
        let mut unless = |right, reason, en, es| faults.unless(right, "parent_id", reason, en, es);
        if !self.has(parent) {
            let (en, es) = ("There is no such category.", "No existe esa categoría.");
            return unless(false, "unknown-category", en, es);
        }
        if id.is_some_and(|id| self.path(parent).any(|above| *above == **id)) {
            return unless(
                false,
                "circular",
                "A category can't be below itself.",
                "Una categoría no puede estar debajo de sí misma.",
            );
        }
        let depth = self.path(parent).count() + id.map_or(1, |id| self.height(id));
        unless(
            depth <= DEPTH,
            "too-deep",
            "There are at most 5 levels of categories.",
            "Hay como máximo 5 niveles de categorías.",
        );
    }

    /// Refuses to lose a category that something belongs to.
    pub fn expect_unused(&self, entry: &Entry) -> Result<(), Refusal> {
        let (courses, categories) = (entry.filed, self.children(&entry.name).count());
        if courses == 0 && categories == 0 {
            return Ok(());
        }
        let (en, es) = (
            format!("{courses} courses and {categories} categories belong to it: move them first."),
            format!("Tiene {courses} cursos y {categories} categorías: muévelos primero."),
        );
        let refusal = Refusal::of(CATEGORY_IN_USE).because(en, es);
        Err(refusal.with("courses", courses).with("categories", categories))
    }

    /// The roots and all below them, as everyone sees them.
    pub fn show(&self) -> Vec<ShownCategory> {
        let is_root = |it: &&String| self.parent(it).is_none();
        self.sorted(self.entries.keys().filter(is_root).map(String::as_str))
    }

    fn sorted<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<ShownCategory> {
        let mut shown: Vec<_> = ids.filter_map(|id| self.shown(id)).collect();
        shown.sort_by_cached_key(|it| (folded(&it.name), it.id.to_string()));
        shown
    }

    fn shown(&self, id: &str) -> Option<ShownCategory> {
        Some(self.shown_of(self.entries.get(id)?))
    }

    /// A category and all below it, as everyone sees them.
    pub fn shown_of(&self, entry: &Entry) -> ShownCategory {
        let category = entry.category.clone().expect("categories are told of here");
        let children = self.sorted(self.children(&entry.name));
        let below: u64 = children.iter().map(|it| it.courses_in_all).sum();
        ShownCategory {
            etag: category.etag(),
            id: category.id,
            name: category.name,
            parent_id: category.parent_id,
            courses: entry.published,
            courses_in_all: entry.published + below,
            created_at: category.created_at,
            updated_at: category.updated_at,
            children,
        }
    }
}

/// A category: a field of study.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Category")]
pub struct ShownCategory {
    /// The category's id: what courses say, and what lists are filtered by.
    pub id: Slug,
    /// What people call it.
    pub name: String,
    /// The category that it belongs to; null: none.
    pub parent_id: Option<Slug>,
    /// How many published courses belong to it.
    pub courses: u64,
    /// How many published courses belong to it or to those below it.
    pub courses_in_all: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Its version: send it as `If-Match` to change the category.
    pub etag: String,
    /// Those that belong to it, by their names.
    pub children: Vec<ShownCategory>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Difference;

    fn slug(text: &str) -> Slug {
        Slug::new(text).unwrap()
    }

    /// A tree of categories, each with its parent.
    fn tree(categories: &[(&str, &str)]) -> Tree {
        let entry = |(id, parent): &(&str, &str)| {
            let now = Timestamp::UNIX_EPOCH;
            let category = Category::new(slug(id), id.to_uppercase(), Slug::new(parent).ok(), now);
            let mut entry = category.into_entry();
            entry.count(Difference { filed: 2, published: 1, levels: [0, 1, 0] });
            ((*id).to_owned(), Stored::new(entry))
        };
        Tree { entries: categories.iter().map(entry).collect() }
    }

    fn fits(tree: &Tree, id: Option<&str>, parent: &str) -> bool {
        let mut faults = Faults::new();
        tree.check_place(id.map(slug).as_ref(), &slug(parent), &mut faults);
        faults.is_empty()
    }

    #[test]
    fn no_category_is_below_itself() {
        let tree = tree(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "")]);
        assert!(!fits(&tree, Some("a"), "a"));
        assert!(!fits(&tree, Some("a"), "c"));
        assert!(fits(&tree, Some("c"), "a"));
        assert!(fits(&tree, Some("a"), "d"));
        assert!(!fits(&tree, Some("a"), "nothing"));
    }

    #[test]
    fn the_tree_is_five_levels_deep_at_most() {
        let tree = tree(&[
            ("a", ""),
            ("b", "a"),
            ("c", "b"),
            ("d", "c"),
            ("e", "d"),
            ("x", ""),
            ("y", "x"),
        ]);
        assert!(fits(&tree, None, "d"));
        assert!(!fits(&tree, None, "e"));
        assert!(fits(&tree, Some("x"), "c"));
        assert!(!fits(&tree, Some("x"), "d"));
        assert!(!fits(&tree, Some("a"), "x"));
    }

    #[test]
    fn courses_are_counted_with_those_below_and_siblings_come_by_name() {
        let shown = tree(&[("z", ""), ("a", "z"), ("c", "a"), ("b", "z")]).show();
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].courses, shown[0].courses_in_all), (1, 4));
        let children: Vec<_> = shown[0].children.iter().map(|it| &*it.id).collect();
        assert_eq!(children, ["a", "b"]);
        assert_eq!(shown[0].children[0].courses_in_all, 2);
    }

    #[test]
    fn a_circle_that_somebody_made_by_hand_hangs_nothing_up() {
        let tree = tree(&[("a", "b"), ("b", "a"), ("c", "")]);
        assert!(!fits(&tree, None, "a"));
        assert_eq!(tree.show().len(), 1);
    }
}
