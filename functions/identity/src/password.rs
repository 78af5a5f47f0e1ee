//! Passwords: which ones are taken, and how they are kept.
//!
//! A password is hashed by Argon2id, which takes 19 MiB and some milliseconds
//! of a core so that guessing costs as much. Hashes are made by a few
//! workers with memory of their own, never on the threads that serve
//! requests.

mod common;
mod foreign;
mod hashed;
mod workers;

use std::{borrow::Cow, fmt};

use runtime::{Random, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use unicode_normalization::UnicodeNormalization;

pub(crate) use hashed::Hashed;
use hashed::{SALT_LENGTH, STANDARD};
pub use workers::median_micros;
use workers::workers;

use crate::email::Email;

/// A new password: long enough, and none that is guessed first; there is no
/// rule of what must stand in it.
pub(crate) type NewPassword = Password<12>;

/// A password that someone claims is theirs: whatever they type may be tried.
pub(crate) type ClaimedPassword = Password<1>;

/// The longest password, in characters: room for any passphrase.
const LONGEST: usize = 128;

/// A password of at least `LEAST` characters, in Unicode's form NFC, so that it's the
/// same on a keyboard that composes its accents and on one that doesn't.
///
/// Spaces count, also at its ends. Control characters are refused: no keyboard
/// types them, so they come from a mistake (a line's end that was pasted along)
/// that would lock its owner out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password<const LEAST: usize>(String);

impl<const LEAST: usize> Password<LEAST> {
    /// The password, if it's one: `reason: explanation` if not.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("invalid-characters: no line break or control character may stand in a \
                        password"
                .to_owned());
        }
        let password: String = text.nfc().collect();
        match password.chars().count() {
            0 => Err("empty: it must not be empty".to_owned()),
            length if length < LEAST => {
                Err(format!("too-short: at least {LEAST} characters, and there are {length}"))
            }
            length if length > LONGEST => {
                Err(format!("too-long: at most {LONGEST} characters, and there are {length}"))
            }
            // What is tried for a sign-in may be anything.
            _ if LEAST > 1 && common::is_common(&password) => {
                Err("too-common: it's among the first that anyone would guess".to_owned())
            }
            _ => Ok(Self(password)),
        }
    }

    /// Whether the address it's for stands in it, or the part before the `@`.
    pub(crate) fn tells(&self, email: &Email) -> bool {
        let folded = self.0.to_lowercase();
        let local = email.as_str().split(['@', '+']).next().unwrap_or_default();
        folded.contains(email.as_str()) || (local.len() >= 4 && folded.contains(local))
    }

    /// Hashes it, with a salt of its own.
    pub(crate) async fn hash(&self, random: &dyn Random) -> Result<Hashed> {
        let mut salt = [0; SALT_LENGTH];
        random.fill(&mut salt);
        let key = workers().derive(&self.0, &salt, STANDARD).await?;
        Ok(Hashed::new(STANDARD, &salt, &key))
    }

    /// Whether it's the one that was hashed.
    ///
    /// Without a hash it isn't, and finding that out takes as long: who asks
    /// can't tell from the time whether there's an account. Only what other
    /// software hashed takes as long as that made it take, until its owner has
    /// signed in.
    pub(crate) async fn is(&self, hashed: Option<&Hashed>) -> Result<bool> {
        let Some(hashed) = hashed else {
            workers().derive(&self.0, &[0; SALT_LENGTH], STANDARD).await?;
            return Ok(false);
        };
        match hashed {
            Hashed::Own(own) => {
                let key = workers().derive(&self.0, &own.salt, own.cost).await?;
                Ok(runtime::same_secret(&key, &own.key))
            }
            Hashed::Foreign(foreign) => workers().check(&self.0, foreign).await,
        }
    }
}

impl<const LEAST: usize> fmt::Debug for Password<LEAST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl<const LEAST: usize> Serialize for Password<LEAST> {
    /// A password comes in and never goes out again.
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("a password isn't written anywhere"))
    }
}

impl<'de, const LEAST: usize> Deserialize<'de> for Password<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<const LEAST: usize> JsonSchema for Password<LEAST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Password{LEAST}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "password",
            "minLength": LEAST,
            "maxLength": LONGEST,
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
        })
    }
}

/// A password as it was kept when that cost an eighth of today's memory.
#[cfg(test)]
pub(crate) async fn hash_cheaply(password: &str) -> Hashed {
    let cost = hashed::Cost { memory: STANDARD.memory / 8, ..STANDARD };
    let (salt, workers) = ([3; SALT_LENGTH], workers());
    let key = workers.derive(password, &salt, cost).await.expect("a worker is free");
    Hashed::new(cost, &salt, &key)
}

#[cfg(test)]
mod tests {
    use testing::App;

    use super::*;

    fn claimed(text: &str) -> ClaimedPassword {
        Password::new(text).unwrap()
    }

    fn reason(text: &str) -> String {
        let refused = NewPassword::new(text).unwrap_err();
        refused.split_once(": ").unwrap().0.to_owned()
    }

    #[test]
    fn a_new_password_has_12_to_128_characters() {
        assert_eq!(reason(""), "empty");
        assert_eq!(reason("eleven char"), "too-short");
        assert!(NewPassword::new("twelve chars").is_ok());
        let long: String = ('α'..='ω').cycle().take(128).map(|it| it.to_string()).collect();
        assert!(NewPassword::new(&long).is_ok());
        assert_eq!(reason(&"x".repeat(129)), "too-long");
        assert_eq!(reason("line\nfeed and more"), "invalid-characters");
        assert_eq!(reason("a zero\0 byte, hidden"), "invalid-characters");
    }

    #[test]
    fn a_new_password_is_none_of_the_first_that_are_guessed() {
        assert_eq!(reason("Password1234"), "too-common");
        assert!(ClaimedPassword::new("Password1234").is_ok(), "an old one may be so");
    }

    #[test]
    fn a_password_that_has_its_address_in_it_tells_it() {
        let email = Email::new("grace.hopper+aula@example.org").unwrap();
        let tells = |text: &str| claimed(text).tells(&email);
        assert!(tells("I am Grace.Hopper!") && tells("grace.hopper+aula@example.org"));
        assert!(!tells("grace under pressure"));
        let short = Email::new("ada@example.org").unwrap();
        assert!(!claimed("canada is large").tells(&short));
    }

    #[test]
    fn spaces_at_the_ends_of_a_password_count() {
        assert_ne!(claimed(" correct horse "), claimed("correct horse"));
    }

    #[test]
    fn a_password_is_counted_in_the_form_that_it_is_kept_in() {
        assert_eq!(reason(&"e\u{301}".repeat(11)), "too-short");
    }

    #[test]
    fn no_password_can_be_printed_or_written() {
        let password = claimed("correct horse");
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert!(serde_json::to_string(&password).is_err());
    }

    #[tokio::test]
    async fn a_password_is_known_again_however_its_accents_were_typed() {
        let app = App::of(crate::domain);
        let cx = app.context();
        let hashed = claimed("contraseñá larga").hash(cx.random()).await.unwrap();
        assert!(claimed("contrasen\u{303}a\u{301} larga").is(Some(&hashed)).await.unwrap());
        assert!(!claimed("contrasena larga").is(Some(&hashed)).await.unwrap());
        assert!(!claimed("contraseñá larga").is(None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_made_elsewhere_at_another_cost_is_known_and_to_be_made_anew() {
        // Of the reference implementation's own tests (P-H-C/phc-winner-argon2).
        let reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
                         $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hashed: Hashed = reference.parse().unwrap();
        assert!(claimed("password").is(Some(&hashed)).await.unwrap());
        assert!(!claimed("differentpassword").is(Some(&hashed)).await.unwrap());
        assert!(!hashed.is_up_to_date());
    }

    #[tokio::test]
    async fn a_hash_says_how_it_was_made_and_has_its_own_salt() {
        let app = App::of(crate::domain);
        let cx = app.context();
        let password = claimed("correct horse");
        let one = password.hash(cx.random()).await.unwrap();
        let other = password.hash(cx.random()).await.unwrap();
        assert!(one.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one.to_string(), other.to_string());
        assert!(one.is_up_to_date());
        assert!(median_micros().is_some());
    }
}
