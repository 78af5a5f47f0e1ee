//! A course's card: what lists show of it, and what it's found by.
//!
//! A card is kept beside its course and changes in the same commit. It's lean,
//! and what is shown is kept as the JSON that goes out, so that a page of a
//! list is read and sent without being taken apart. A field that is added to
//! what is shown gets onto a card when its course changes next.

use std::borrow::Cow;

use contracts::courses::{CourseId, CourseState};
use runtime::{Record, prelude::*};
use schemars::{Schema, SchemaGenerator};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    course::{Course, Level},
    forms::{LanguageTag, Slug},
    offering::Offering,
    section::Section,
    terms,
    words::folded,
};

/// A card as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// What lists show: a [`CourseCard`]. It stands first, so that who needs
    /// nothing else reads no further.
    pub shown: ShownCard,
    pub id: CourseId,
    pub state: CourseState,
    pub created_at: Timestamp,
    /// The title as it sorts: without regard to capitals and accents.
    pub title_key: String,
    /// What the course is found by.
    pub terms: Vec<String>,
    /// Whether a section starts soon.
    #[serde(default)]
    pub soon: bool,
    /// Whether a section has a free seat.
    #[serde(default)]
    pub free: bool,
    /// When the clock alone changes that next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_at: Option<Timestamp>,
}

impl Document for Card {
    const COLLECTION: &'static str = "course_cards";
    const INDEXES: &'static [Index] = &[
        Index::descending("created_at").equals(&["state"]),
        Index::ascending("title_key").equals(&["state"]),
        Index::descending("created_at").equals(&["state"]).containing("terms"),
        Index::ascending("title_key").equals(&["state"]).containing("terms"),
        Index::ascending("changes_at"),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Card {
    /// The card of a course that offers something.
    pub fn of(course: &Course, offering: Offering) -> Self {
        let Offering { soon, free, changes_at } = offering;
        Self {
            shown: ShownCard::of(course),
            id: course.id.clone(),
            state: course.state,
            created_at: course.created_at,
            title_key: folded(&course.title),
            terms: terms::of_course(course, offering),
            soon,
            free,
            changes_at,
        }
    }

    /// What the course offered when its sections were looked at last.
    fn offering(&self) -> Offering {
        let Self { soon, free, changes_at, .. } = *self;
        Offering { soon, free, changes_at }
    }

    /// The cards of what the clock has changed.
    pub fn due(now: Timestamp) -> Query {
        Query::ascending::<Self>("changes_at").at_most(now)
    }

    /// A stored card, if its course can be found by all of these terms.
    pub fn found(record: Record, terms: &[String]) -> Result<Option<Self>> {
        // Most cards lack one, which shows before they are read.
        if !terms.iter().all(|term| record.body.contains(term.as_str())) {
            return Ok(None);
        }
        let card = Stored::<Self>::read(record)?.into_inner();
        Ok(terms.iter().all(|term| card.terms.contains(term)).then_some(card))
    }
}

/// A course's card as it must be after the course has changed.
pub async fn of_changed<C>(cx: &Context<C>, course: &Course) -> Result<Stored<Card>> {
    let kept = cx.get::<Card>(course.id.as_str()).await?;
    let offering = kept.as_ref().map(|kept| kept.offering()).unwrap_or_default();
    Ok(replaced(kept, Card::of(course, offering)))
}

/// The most open sections of a course that are looked at: those that end first.
const SECTIONS: u32 = 200;

/// A course's card as it must be after some of its sections have changed, or
/// come, and with what the clock has changed.
pub async fn of_changed_sections<C>(
    cx: &Context<C>,
    course: &Course,
    changed: &[&Section],
) -> Result<Stored<Card>> {
    // It's read first: if it's the same still when it's saved, so were the sections.
    let kept = cx.get::<Card>(course.id.as_str()).await?;
    let open = Section::open_of_course(&course.id, cx.now).limit(SECTIONS);
    let (sections, _) = cx.query::<Section>(&open).await?;
    let has_changed = |it: &&Section| changed.iter().any(|changed| changed.id == it.id);
    let others = sections.iter().map(|it| &**it).filter(|it| !has_changed(it));
    let offering = Offering::of(others.chain(changed.iter().copied()), cx.now);
    Ok(replaced(kept, Card::of(course, offering)))
}

fn replaced(kept: Option<Stored<Card>>, card: Card) -> Stored<Card> {
    match kept {
        Some(mut kept) => {
            *kept = card;
            kept
        }
        None => Stored::new(card),
    }
}

/// What lists show of a course, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownCard(Box<RawValue>);

impl ShownCard {
    /// What is shown of a stored card.
    pub fn read(record: Record) -> Result<Self> {
        // A store that keeps fields in an order of its own has all of it read.
        if let Some(body) = record.body.strip_prefix(r#"{"shown":"#)
            && let Some(Ok(shown)) = serde_json::Deserializer::from_str(body).into_iter().next()
        {
            return Ok(shown);
        }
        Ok(Stored::<Card>::read(record)?.into_inner().shown)
    }

    fn of(course: &Course) -> Self {
        let card = CourseCard {
            id: course.id.clone(),
            code: course.code.clone(),
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

/// What lists show of a course: all but its description, its outline and its
/// prerequisites.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CourseCard {
    /// The course's id.
    id: CourseId,
    /// What it was known by where it was imported from; null: it was made here.
    code: Option<String>,
    /// What it's called.
    title: String,
    /// What it's about, in a sentence or two; empty until it's written.
    summary: String,
    /// The language that it's taught in.
    language: Option<LanguageTag>,
    /// The category that it belongs to.
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
    use serde_json::{Value, json};

    use super::*;

    fn card() -> Card {
        let mut course = Course::blank("c1".into(), "ines".into(), Timestamp::UNIX_EPOCH);
        course.title = "Ánimo «Rust\" \\ año".to_owned();
        course.summary = "{\"shown\":{}} w:summary".to_owned();
        Card::of(&course, Offering::default())
    }

    fn record(body: String) -> Record {
        Record { id: "c1".to_owned(), body, version: runtime::Version(String::new()) }
    }

    fn kept() -> String {
        serde_json::to_string(&card()).unwrap()
    }

    #[test]
    fn a_card_is_found_by_its_terms_and_by_no_parts_of_them() {
        let found = |terms: &[&str]| {
            let terms: Vec<_> = terms.iter().map(|&term| term.to_owned()).collect();
            Card::found(record(kept()), &terms).unwrap().is_some()
        };
        for term in ["w:animo", "w:rust", "w:ano", "w:summary", "i:ines"] {
            assert!(found(&[term]), "{term}");
        }
        for term in ["w:rus", "w:ust", "rust", "w:", "i:ine", "i:inesa", "c1", "draft"] {
            assert!(!found(&[term]) && !found(&["w:rust", term]), "{term}");
        }
        assert!(found(&["w:rust", "i:ines"]));
        assert_eq!(card().title_key, "animo «rust\" \\ ano");
    }

    #[test]
    fn what_is_shown_is_read_in_whatever_order_it_is_kept() {
        let read = |body| {
            let shown = ShownCard::read(record(body)).unwrap();
            serde_json::to_value(shown).unwrap()
        };
        let whole: Value = serde_json::from_str(&kept()).unwrap();
        assert_eq!(read(kept()), whole["shown"]);
        let (mut last, shown) = (whole.clone(), &whole["shown"]);
        last.as_object_mut().unwrap().remove("shown");
        let last = format!("{},\"shown\":{shown}}}", last.to_string().strip_suffix('}').unwrap());
        assert_eq!(read(last), *shown);
        assert!(ShownCard::read(record("{\"shown\":{\"id\":".to_owned())).is_err());
    }

    #[test]
    fn what_is_kept_to_be_shown_is_what_the_documents_promise() {
        let shown = serde_json::to_string(&card().shown).unwrap();
        let read: CourseCard = serde_json::from_str(&shown).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), shown);
        let schema = serde_json::to_value(schemars::schema_for!(Page<ShownCard>)).unwrap();
        assert_eq!(schema["properties"]["items"]["items"], json!({ "$ref": "#/$defs/CourseCard" }));
    }
}
