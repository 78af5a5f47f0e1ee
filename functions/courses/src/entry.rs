//! Entries of the taxonomy: what courses are filed under, and how many are.
//!
//! A category or a tag is an entry each. Whoever files a course counts in the
//! same commit, so the counts are right at any moment, and a category
//! can't go while somebody files a course under it.

use runtime::prelude::*;

use crate::{category::Category, course::Level, forms::Slug};

/// What kind of entry one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A field of study, which an admin has made.
    Category,
    /// What somebody has written on a course.
    Tag,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Tag => "tag",
        }
    }
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    /// What the courses themselves say: `web`, `clean-code`.
    pub name: String,
    /// How many courses say so, drafts and published ones.
    pub filed: u64,
    /// How many published courses do.
    pub published: u64,
    /// How many published courses of a category have each level, the easiest first.
    #[serde(default)]
    pub levels: [u64; 3],
    /// What else is known of a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
}

impl Document for Entry {
    const COLLECTION: &'static str = "taxonomy";
    const INDEXES: &'static [Index] = &[
        Index::ascending("name").equals(&["kind"]),
        Index::descending("published").equals(&["kind"]),
    ];
    fn key(&self) -> String {
        id(self.kind, &self.name)
    }
}

/// How many more courses an entry has, or fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub filed: i64,
    pub published: i64,
    pub levels: [i64; 3],
}

/// The id of an entry.
pub fn id(kind: Kind, name: &str) -> String {
    format!("{}:{name}", kind.as_str())
}

/// The most tags that are told of.
const TAGS: u32 = 200;

impl Entry {
    /// An entry that no course is filed under.
    pub fn blank(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), filed: 0, published: 0, levels: [0; 3], category: None }
    }

    /// Counts some more courses, or some fewer.
    pub fn count(&mut self, more: Difference) {
        let add = |count: &mut u64, more| *count = count.saturating_add_signed(more);
        add(&mut self.filed, more.filed);
        add(&mut self.published, more.published);
        for (count, more) in self.levels.iter_mut().zip(more.levels) {
            add(count, more);
        }
    }

    /// Whether nothing is lost with it.
    pub fn is_idle(&self) -> bool {
        self.category.is_none() && self.filed == 0 && self.published == 0
    }

    /// The entries of a kind, by their names.
    pub fn all_of(kind: Kind, most: u32) -> Query {
        Query::ascending::<Self>("name").equals("kind", kind).limit(most)
    }

    /// The tags that most courses have.
    pub fn first_tags() -> Query {
        Query::descending::<Self>("published").equals("kind", Kind::Tag).limit(TAGS)
    }
}

/// The entry of a category, if there's one.
pub async fn category<C>(cx: &Context<C>, slug: &Slug) -> Result<Option<Stored<Entry>>> {
    cx.get::<Entry>(&id(Kind::Category, slug)).await
}

/// A level, and how many courses ask so much.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LevelCount {
    /// The level.
    pub level: Level,
    /// How many published courses have it.
    pub courses: u64,
}

/// A tag, and how many courses have it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// How many published courses have it.
    pub courses: u64,
}
