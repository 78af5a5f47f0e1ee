//! Words as people search for them: without regard to capitals and accents.

use unicode_normalization::UnicodeNormalization;

/// The longest part of a word that counts, in characters.
const LONGEST: usize = 40;

/// A text without capitals and accents, so that `Ánimo` sorts and matches as `animo`.
pub fn folded(text: &str) -> String {
    let small = text.chars().flat_map(char::to_lowercase);
    // The marks that alphabets put over and under letters; elsewhere a mark is a letter.
    small.nfd().filter(|it| !matches!(it, '\u{300}'..='\u{36f}')).nfc().collect()
}

/// The words of a text, folded, each as often as it stands there.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = folded(text);
    let words: Vec<_> = folded
        .split(|it: char| !it.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LONGEST).collect())
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn words_have_no_capitals_accents_or_punctuation() {
        assert_eq!(
            list("¡Programación ÁGIL, con C++ y Rust!"),
            ["programacion", "agil", "con", "c", "y", "rust"]
        );
        assert_eq!(list("cafe\u{301} CAFÉ"), ["cafe", "cafe"]);
        assert_eq!(list("Straße İstanbul Чайка"), ["straße", "istanbul", "чаика"]);
        assert_eq!(list(" -_- "), [""; 0]);
        assert_eq!(list(&"x".repeat(99)), ["x".repeat(40)]);
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,40}") {
            prop_assert_eq!(folded(&folded(&text)), folded(&text));
        }

        #[test]
        fn a_word_is_one_word_and_needs_no_escape_in_json(text in "\\PC{0,40}") {
            for word in words(&text) {
                prop_assert_eq!(list(&word), [word.clone()]);
                prop_assert_eq!(serde_json::to_string(&word).unwrap(), format!("\"{}\"", word));
            }
        }
    }
}
