//! Terms: what a course can be found by, and what is looked for.
//!
//! A store can look for one text in an array, no more. So every course has a
//! list of terms: a word, a tag or an instructor is one each, and the facets of
//! which each course has one value (category, level, language) are terms in
//! every combination. A search looks for its rarest term in the index, and for
//! the others in what was found.

use contracts::UserId;

use crate::{
    course::{Course, Level},
    forms::{LanguageTag, Slug},
    offering::Offering,
    words::words,
};

/// The most words that a course can be found by: its index entries cost room.
const WORDS: usize = 120;

/// The facets of which a course has one value each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facets<'a> {
    /// The field of study.
    pub category: Option<&'a Slug>,
    /// How much it asks.
    pub level: Option<Level>,
    /// The language.
    pub language: Option<&'a LanguageTag>,
}

impl Facets<'_> {
    /// All of them in one term; nothing if there is none.
    fn term(self) -> Option<String> {
        let parts = [
            self.category.map(|it| format!("c:{it}")),
            self.level.map(|it| format!("l:{}", it.as_str())),
            self.language.map(|it| format!("g:{}", it.to_ascii_lowercase())),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("|"))
    }
}

/// All that a course can be found by.
pub fn of_course(course: &Course, offering: Offering) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    // Who looks for Spanish finds what is taught in that of Colombia too.
    let whole = course.language.as_ref();
    let primary = whole.and_then(|tag| LanguageTag::new(tag.split('-').next()?).ok());
    for category in [None, course.category.as_ref()] {
        for level in [None, course.level] {
            for language in [None, primary.as_ref(), whole] {
                terms.extend(Facets { category, level, language }.term());
            }
        }
    }
    terms.sort_unstable();
    terms.dedup();
    terms.extend(course.tags.iter().map(tag));
    terms.extend(course.instructors.iter().map(instructor));
    terms.extend(of_offering(offering.soon, offering.free));
    let tags = course.tags.iter().flat_map(|tag| words(tag));
    let mut found = Vec::new();
    for word in words(&course.title).chain(tags).chain(words(&course.summary)) {
        if found.len() < WORDS && !found.contains(&word) {
            found.push(word);
        }
    }
    terms.extend(found.iter().map(|word| self::word(word)));
    terms
}

/// All that is looked for, the rarest first.
pub fn of_search(
    facets: Facets<'_>,
    tag: Option<&Slug>,
    instructor: Option<&UserId>,
    q: &str,
    (soon, free): (bool, bool),
) -> Vec<String> {
    let mut words: Vec<_> = words(q).collect();
    // A long word is rarer than a short one.
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    let mut terms: Vec<_> = words.iter().map(|word| self::word(word)).collect();
    terms.extend(tag.map(self::tag));
    terms.extend(instructor.map(self::instructor));
    terms.extend(facets.term());
    terms.extend(of_offering(soon, free));
    terms
}

/// What a course offers, as terms.
fn of_offering(soon: bool, free: bool) -> impl Iterator<Item = String> {
    let soon = soon.then(|| "o:soon".to_owned());
    soon.into_iter().chain(free.then(|| "o:free".to_owned()))
}

fn word(word: &str) -> String {
    format!("w:{word}")
}

fn tag(tag: &Slug) -> String {
    format!("t:{tag}")
}

/// Somebody who teaches, as a term.
pub fn instructor(id: &UserId) -> String {
    format!("i:{id}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime::prelude::Timestamp;

    use super::*;

    fn course() -> Course {
        let mut course = Course::blank("c1".into(), "ines".into(), Timestamp::UNIX_EPOCH);
        course.title = "Programación en Rust".to_owned();
        course.summary = "Rust, sin miedo.".to_owned();
        course.language = LanguageTag::new("es-CO").ok();
        course.category = Slug::new("web").ok();
        course.level = Some(Level::Advanced);
        course.tags = vec![Slug::new("clean-code").unwrap()];
        course
    }

    #[test]
    fn a_course_is_found_by_each_of_its_terms() {
        let terms = [
            "c:web",
            "c:web|g:es",
            "c:web|g:es-co",
            "c:web|l:advanced",
            "c:web|l:advanced|g:es",
            "c:web|l:advanced|g:es-co",
            "g:es",
            "g:es-co",
            "l:advanced",
            "l:advanced|g:es",
            "l:advanced|g:es-co",
            "t:clean-code",
            "i:ines",
            "w:programacion",
            "w:en",
            "w:rust",
            "w:clean",
            "w:code",
            "w:sin",
            "w:miedo",
        ];
        assert_eq!(of_course(&course(), Offering::default()), terms);
        let offering = Offering { soon: true, free: true, changes_at: None };
        let more: Vec<_> = of_course(&course(), offering);
        assert!(["o:soon", "o:free"].iter().all(|it| more.contains(&(*it).to_owned())));
    }

    #[test]
    fn a_search_begins_with_its_rarest_term() {
        let (slug, language) = (Slug::new("web").unwrap(), LanguageTag::new("es").unwrap());
        let facets = Facets {
            category: Some(&slug),
            level: Some(Level::Beginner),
            language: Some(&language),
        };
        let terms = of_search(facets, Some(&slug), Some(&"ines".into()), "¿el Rust?", (true, true));
        let expected =
            ["w:rust", "w:el", "t:web", "i:ines", "c:web|l:beginner|g:es", "o:soon", "o:free"];
        assert_eq!(terms, expected);
        assert!(of_search(Facets::default(), None, None, " ?! ", (false, false)).is_empty());
    }

    #[test]
    fn the_words_of_a_course_are_bounded_and_those_of_its_title_come_first() {
        let mut course = course();
        let words: Vec<_> = (0..500).map(|number| format!("s{number}")).collect();
        course.summary = words.join(" ");
        let terms = of_course(&course, Offering::default());
        let words = terms.iter().filter(|term| term.starts_with("w:")).count();
        assert_eq!(words, WORDS);
        assert!(terms.contains(&"w:rust".to_owned()));
    }

    proptest! {
        #[test]
        fn every_search_that_a_course_answers_finds_it(
            with in proptest::array::uniform6(any::<bool>()),
            words in proptest::sample::subsequence(vec!["RUST", "programacion", "Miedo", "code"], 0..4),
        ) {
            let course = course();
            let primary = LanguageTag::new("ES").unwrap();
            let language = if with[5] { Some(&primary) } else { course.language.as_ref() };
            let facets = Facets {
                category: course.category.as_ref().filter(|_| with[0]),
                level: course.level.filter(|_| with[1]),
                language: language.filter(|_| with[2]),
            };
            let tag = course.tags.first().filter(|_| with[3]);
            let instructor = course.instructors.first().filter(|_| with[4]);
            let has = of_course(&course, Offering { soon: true, free: true, changes_at: None });
            let asked = of_search(facets, tag, instructor, &words.join(" "), (with[0], with[1]));
            prop_assert!(asked.iter().all(|term| has.contains(term)));
        }
    }
}
