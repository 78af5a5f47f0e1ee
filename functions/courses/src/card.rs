//! A course's card: what lists show of it, and what it's found by.
//!
//! A card is kept beside its course and changes in the same commit. It's lean,
//! and what is shown is kept as the JSON that goes out, so that a page of a
//! list is read and sent without being taken apart. A field that is added to
//! what is shown gets onto a card when its course changes next.

use std::borrow::Cow;

use contracts::courses::{CourseId, CourseState};
use runtime::prelude::*;
use schemars::{Schema, SchemaGenerator};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    course::{Course, Level},
    forms::{LanguageTag, Slug},
    terms,
    words::folded,
};

/// A card as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    pub id: CourseId,
    pub state: CourseState,
    pub created_at: Timestamp,
    /// The title as it sorts: without regard to capitals and accents.
    pub title_key: String,
    /// What the course is found by: an array of texts.
    terms: Box<RawValue>,
    /// What lists show: a [`CourseCard`].
    pub shown: ShownCard,
}

impl Document for Card {
    const COLLECTION: &'static str = "course_cards";
    const INDEXES: &'static [Index] = &[
        Index::descending("created_at").equals(&["state"]),
        Index::ascending("title_key").equals(&["state"]),
        Index::descending("created_at").equals(&["state"]).containing("terms"),
        Index::ascending("title_key").equals(&["state"]).containing("terms"),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Card {
    /// The card of a course.
    pub fn of(course: &Course) -> Self {
        let raw = |terms: &Vec<String>| to_raw_value(terms).expect("texts are JSON");
        Self {
            id: course.id.clone(),
            state: course.state,
            created_at: course.created_at,
            title_key: folded(&course.title),
            terms: raw(&terms::of_course(course)),
            shown: ShownCard::of(course),
        }
    }

    /// Whether its course can be found by a term. No term holds a character
    /// that JSON escapes, so it stands between quotes exactly if it's there.
    pub fn has(&self, term: &str) -> bool {
        self.terms.get().contains(&format!("\"{term}\""))
    }
}

/// A course's card as it must be after the course has changed.
pub async fn of_changed<C>(cx: &Context<C>, course: &Course) -> Result<Stored<Card>> {
    let card = Card::of(course);
    Ok(match cx.get::<Card>(course.id.as_str()).await? {
        Some(mut kept) => {
            *kept = card;
            kept
        }
        None => Stored::new(card),
    })
}

/// What lists show of a course, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownCard(Box<RawValue>);

impl ShownCard {
    fn of(course: &Course) -> Self {
        let card = CourseCard {
            id: course.id.clone(),
            title: course.title.clone(),
            summary: course.summary.clone(),
            language: course.language.clone(),
            category: course.category.clone(),
            level: course.level,
            tags: course.tags.clone(),
            instructors: course.instructors.clone(),
            state: course.state,
            created_at: course.created_at,
            updated_at: course.updated_at,
            published_at: course.published_at,
            etag: course.etag(),
        };
        Self(to_raw_value(&card).expect("cards are JSON"))
    }
}

impl JsonSchema for ShownCard {
    fn schema_name() -> Cow<'static, str> {
        CourseCard::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        CourseCard::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CourseCard::json_schema(generator)
    }
}

/// What lists show of a course: all but its description and its outline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CourseCard {
    /// The course's id.
    id: CourseId,
    /// What it's called.
    title: String,
    /// What it's about, in a sentence or two; empty until it's written.
    summary: String,
    /// The language that it's taught in.
    language: Option<LanguageTag>,
    /// The field of study that it belongs to.
    category: Option<Slug>,
    /// How much it asks of those who take it.
    level: Option<Level>,
    /// What else it can be found by.
    tags: Vec<Slug>,
    /// Who teaches it; who created it comes first.
    instructors: Vec<UserId>,
    /// Where it is in its life.
    state: CourseState,
    /// When it was created.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// When it was published first.
    published_at: Option<Timestamp>,
    /// The course's version: send it as `If-Match` to change the course.
    etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_its_terms_and_no_parts_of_them() {
        let mut course = Course::blank("c1".into(), "ines".into(), Timestamp::UNIX_EPOCH);
        course.title = "Ánimo «Rust\" \\ año".to_owned();
        let card = Card::of(&course);
        for term in ["w:animo", "w:rust", "w:ano", "i:ines"] {
            assert!(card.has(term), "{term}");
        }
        for term in ["w:rus", "w:ust", "rust", "w:", "i:ine", "i:inesa"] {
            assert!(!card.has(term), "{term}");
        }
        assert_eq!(card.title_key, "animo «rust\" \\ ano");
    }
}
