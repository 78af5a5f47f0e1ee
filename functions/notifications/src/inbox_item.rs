//! An inbox item: news in a person's list of notifications.

use runtime::prelude::*;

use crate::{
    news::{Kind, News},
    section::KnownSection,
};

/// News in a person's list. It says what it is about by itself, so that a
/// list is read at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboxItem {
    /// Its id; that of the message.
    pub id: String,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is about.
    pub kind: Kind,
    /// The resource that it is about.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it tells.
    pub news: News,
    /// What the course and the section were called then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub titles: Option<Titles>,
    /// Since when it's there.
    pub created_at: Timestamp,
    /// Whether the person hasn't read it.
    #[serde(default)]
    pub unread: bool,
    /// When the person read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

/// What a course and one of its sections are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Titles {
    /// The course's title.
    pub course: String,
    /// The section's title.
    pub section: String,
}

impl Document for InboxItem {
    const COLLECTION: &'static str = "inbox_items";
    const INDEXES: &'static [Index] = &[
        Index::descending("created_at").equals(&["user_id"]),
        Index::descending("created_at").equals(&["user_id", "unread"]),
    ];
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl InboxItem {
    /// News for a person, which is about a section or about themself.
    pub fn new(
        user_id: &UserId,
        news: News,
        section: Option<&KnownSection>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: news.id(user_id),
            user_id: user_id.clone(),
            kind: news.kind(),
            reference: news.reference(user_id),
            titles: section.map(Titles::of),
            news,
            created_at: now,
            unread: true,
            read_at: None,
        }
    }

    /// A person's items, the newest first.
    pub fn of(user_id: &UserId) -> Query {
        Query::descending::<Self>("created_at").equals("user_id", user_id)
    }

    /// Those that a person hasn't read, the newest first.
    pub fn unread(user_id: &UserId) -> Query {
        Self::of(user_id).equals("unread", true)
    }

    /// The person has read it.
    pub fn read(&mut self, now: Timestamp) {
        self.unread = false;
        self.read_at.get_or_insert(now);
    }
}

impl Titles {
    /// What a section and its course are called now.
    pub fn of(section: &KnownSection) -> Self {
        Self { course: section.course_title.clone(), section: section.facts.title.clone() }
    }

    /// What a meeting is called in a calendar.
    pub fn summary(&self) -> String {
        let Self { course, section } = self;
        if section == course { course.clone() } else { format!("{course}: {section}") }
    }
}
