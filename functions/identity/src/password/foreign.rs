//! Hashes that other software made: they let their owners in once, and are
//! replaced by our own then.

use std::num::NonZeroU32;

use anyhow::{Context as _, ensure};
use aws_lc_rs::pbkdf2;
use base64::{Engine, prelude::BASE64_STANDARD};
use sha_crypt::{PasswordHashRef, PasswordVerifier as _, ShaCrypt};

/// What a hash may cost: less would be no protection, more would keep our
/// workers from everyone else.
const PBKDF2_ROUNDS: std::ops::RangeInclusive<u32> = 10_000..=2_000_000;
const SHA_CRYPT_ROUNDS: std::ops::RangeInclusive<u32> = 5_000..=1_000_000;
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 8..=14;
/// The longest text of a hash.
const LONGEST: usize = 256;

/// A hash that other software made, as that wrote it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    text: String,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// Django's `pbkdf2_sha256$rounds$salt$key`.
    Pbkdf2 { rounds: NonZeroU32, salt: String, key: Vec<u8> },
    /// `$6$rounds=…$salt$key`: Moodle's, from 4.3 on.
    ShaCrypt,
    /// `$2y$10$…`: Moodle's, before.
    Bcrypt,
}

impl Foreign {
    /// Reads a hash as the other software wrote it.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        ensure!(text.len() <= LONGEST && text.is_ascii(), "it's no hash");
        let kind = match text {
            _ if text.starts_with("pbkdf2_sha256$") => pbkdf2(text)?,
            _ if text.starts_with("$6$") => sha_crypt(text)?,
            _ if ["$2y$", "$2a$", "$2b$"].iter().any(|it| text.starts_with(it)) => bcrypt(text)?,
            _ => anyhow::bail!("it's made in no way that is known here"),
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The hash as the other software wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a password is the one that was hashed. It takes long.
    pub(super) fn is_of(&self, password: &str) -> bool {
        match &self.kind {
            Kind::Pbkdf2 { rounds, salt, key } => {
                let (way, salt) = (pbkdf2::PBKDF2_HMAC_SHA256, salt.as_bytes());
                pbkdf2::verify(way, *rounds, salt, password.as_bytes(), key).is_ok()
            }
            Kind::ShaCrypt => PasswordHashRef::new(&self.text).is_ok_and(|hash| {
                ShaCrypt::SHA512.verify_password(password.as_bytes(), hash).is_ok()
            }),
            // PHP takes 72 bytes of a password, and so does this.
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
        }
    }
}

fn pbkdf2(text: &str) -> anyhow::Result<Kind> {
    let [_, rounds, salt, key] = text.split('$').collect::<Vec<_>>()[..] else {
        anyhow::bail!("it hasn't four parts");
    };
    let (rounds, key) = (rounds.parse()?, BASE64_STANDARD.decode(key)?);
    ensure!(PBKDF2_ROUNDS.contains(&rounds), "{rounds} rounds are too few or too many");
    ensure!(salt.len() >= 8, "its salt has {} letters", salt.len());
    ensure!(key.len() == 32, "its key has {} bytes", key.len());
    let rounds = NonZeroU32::new(rounds).context("it has no rounds")?;
    Ok(Kind::Pbkdf2 { rounds, salt: salt.to_owned(), key })
}

fn sha_crypt(text: &str) -> anyhow::Result<Kind> {
    let [_, _, rounds, salt, key] = text.split('$').collect::<Vec<_>>()[..] else {
        anyhow::bail!("it doesn't say how many rounds");
    };
    let rounds = rounds.strip_prefix("rounds=").context("it doesn't say how many rounds")?;
    let rounds: u32 = rounds.parse()?;
    ensure!(SHA_CRYPT_ROUNDS.contains(&rounds), "{rounds} rounds are too few or too many");
    ensure!((8..=16).contains(&salt.len()), "its salt has {} letters", salt.len());
    ensure!(key.len() == 86, "its key has {} letters", key.len());
    Ok(Kind::ShaCrypt)
}

fn bcrypt(text: &str) -> anyhow::Result<Kind> {
    let parts: Result<bcrypt::HashParts, _> = text.parse();
    let parts = parts.map_err(|why| anyhow::anyhow!("{why}"))?;
    let cost = parts.get_cost();
    ensure!(BCRYPT_COST.contains(&cost), "a cost of {cost} is too low or too high");
    ensure!(text.len() == 60, "it has {} letters", text.len());
    Ok(Kind::Bcrypt)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by Python's passlib and hashlib, as Django and Moodle make them.
    const DJANGO: &str =
        "pbkdf2_sha256$600000$2aVfX0kYbq7PzT1nWc3LrE$NRpQZpW6jJJsfVAswCZS9y3jNk1ui3VWxuXwfpIUpYM=";
    const MOODLE: &str = "$6$rounds=10000$k3yH0rseB4ttery1$DaQezsSFw0L/jcR9vBb8YTTQEX50N2nYAs1CibNa.exN7/2SxH5qA5p4UJuhPebNjq8vpXYv621kfGT0KRg0b.";
    const OLD_MOODLE: &str = "$2y$10$abcdefghijklmnopqrstuuCj7fyLDJytXL.TfOiOeiv0fQvSOK1/2";

    #[test]
    fn hashes_of_django_and_moodle_let_their_owners_in() {
        for text in [DJANGO, MOODLE, OLD_MOODLE] {
            let hash = Foreign::read(text).unwrap();
            assert!(hash.is_of("correct horse battery"), "{text}");
            assert!(!hash.is_of("staple correct horse") && !hash.is_of(""), "{text}");
            assert_eq!(hash.as_str(), text);
        }
    }

    #[test]
    fn what_is_no_hash_or_protects_too_little_is_refused() {
        let cheap = DJANGO.replacen("$600000$", "$1000$", 1);
        let dear = DJANGO.replacen("$600000$", "$999999999$", 1);
        let quick = MOODLE.replacen("rounds=10000", "rounds=1000", 1);
        let weak = OLD_MOODLE.replacen("$10$", "$04$", 1);
        let cut = &MOODLE[..MOODLE.len() - 1];
        for text in [
            "",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "pbkdf2_sha256$600000$salt",
            "$1$abc$def",
            "$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$AAAA",
            &cheap,
            &dear,
            &quick,
            &weak,
            cut,
        ] {
            assert!(Foreign::read(text).is_err(), "{text}");
        }
    }
}
