//! Passwords that are guessed first: those that many people have, and those
//! that are made of these.

use std::{collections::HashSet, sync::LazyLock};

/// The passwords that were found most often where some were lost, in small
/// letters: all with 12 characters or more, and the first 4,000 of the others,
/// of which longer ones are made.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common.txt").lines().collect());

/// The longest unit that repeating makes no better, in characters.
const UNIT_MOST: usize = 8;

/// Whether a password is among the first that anyone would guess.
pub(super) fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    let letters: Vec<char> = folded.chars().collect();
    // `2024password!!` is a common one with decorations.
    let core = folded.trim_matches(|it: char| !it.is_alphabetic());
    COMMON.contains(&*folded)
        || (!core.is_empty() && COMMON.contains(core))
        || is_repeated(&letters)
        || is_run(&letters)
        || is_two_in_one(&folded)
}

/// `abcabcabcabc`, and `aaaaaaaaaaaa`.
fn is_repeated(letters: &[char]) -> bool {
    let repeats = |unit: usize| letters.iter().zip(&letters[unit..]).all(|(a, b)| a == b);
    (1..=UNIT_MOST.min(letters.len() / 2)).any(repeats)
}

/// `abcdefghijkl` and `098765432109`, one slip allowed.
fn is_run(letters: &[char]) -> bool {
    let steps = |up: bool| {
        let follows = |pair: &&[char]| {
            let (one, next) = if up { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            (one, next) == ('9', '0') || u32::from(one) + 1 == u32::from(next)
        };
        letters.windows(2).filter(follows).count()
    };
    let most = steps(true).max(steps(false));
    most + 2 >= letters.len()
}

/// `passworddragon`.
fn is_two_in_one(folded: &str) -> bool {
    let mut cuts = folded.char_indices().skip(1).map(|(place, _)| folded.split_at(place));
    cuts.any(|(one, other)| COMMON.contains(one) && COMMON.contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_common_however_it_is_decorated() {
        for password in [
            "1q2w3e4r5t6y",
            "Password1234",
            "passwordpassword",
            "PASSWORDdragon",
            "2024!password!2024",
            "administrator1",
            "abcdefghijkl",
            "zyxwvutsrqpo",
            "123456789012",
            "aaaaaaaaaaaa",
            "abc1abc1abc1abc",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn words_that_nobody_would_put_together_are_not() {
        for password in [
            "correct horse battery",
            "staple correct horse",
            "aprender-cada-dia",
            "tr0ub4dor and three",
            "Zq8#mLw2!xTv",
            "contraseña larga y mía",
        ] {
            assert!(!is_common(password), "{password}");
        }
    }
}
