//! A hash of a password as text that says how it was made: a PHC string, as
//! other software reads it too.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, anyhow};
use argon2::Params;
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::foreign::Foreign;

/// What a hash costs whoever makes it, us and those who guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// The memory, in KiB.
    pub(super) memory: u32,
    /// How often it's gone through.
    pub(super) passes: u32,
    /// How many lanes could be filled at once.
    pub(super) lanes: u32,
}

/// What a hash costs today (OWASP's first choice for Argon2id). When this is
/// raised, each password is hashed anew as its owner signs in.
pub(super) const STANDARD: Cost = Cost { memory: 19_456, passes: 2, lanes: 1 };

/// The length of a salt and of a key, in bytes.
pub(super) const SALT_LENGTH: usize = 16;
pub(super) const KEY_LENGTH: usize = 32;

impl Cost {
    /// The same for the library.
    pub(super) fn params(self) -> anyhow::Result<Params> {
        Params::new(self.memory, self.passes, self.lanes, Some(KEY_LENGTH))
            .map_err(|error| anyhow!("argon2: {error}"))
    }
}

/// A hashed password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Hashed {
    /// One of ours: Argon2id.
    Own(Own),
    /// One that other software made.
    Foreign(Foreign),
}

/// A password that is hashed by Argon2id.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Own {
    pub(super) cost: Cost,
    pub(super) salt: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Hashed {
    pub(super) fn new(cost: Cost, salt: &[u8], key: &[u8]) -> Self {
        Self::Own(Own { cost, salt: salt.to_vec(), key: key.to_vec() })
    }

    /// Whether it's made as hashes are made today.
    pub(crate) fn is_up_to_date(&self) -> bool {
        matches!(self, Self::Own(Own { cost, .. }) if *cost == STANDARD)
    }
}

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(Own { cost: Cost { memory, passes, lanes }, salt, key }) => {
                let (salt, key) = (encoded(salt), encoded(key));
                write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${key}")
            }
            Self::Foreign(foreign) => f.write_str(foreign.as_str()),
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

impl FromStr for Hashed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("$argon2id$v=19$") else {
            return Ok(Self::Foreign(Foreign::read(text)?));
        };
        let [cost, salt, key] = rest.split('$').collect::<Vec<_>>()[..] else {
            return Err(anyhow!("it hasn't three parts"));
        };
        let [memory, passes, lanes] = cost.split(',').collect::<Vec<_>>()[..] else {
            return Err(anyhow!("its cost hasn't three parts"));
        };
        let number = |text: &str, name: &str| -> anyhow::Result<u32> {
            Ok(text.strip_prefix(name).context("its cost is out of order")?.parse()?)
        };
        let cost = Cost {
            memory: number(memory, "m=")?,
            passes: number(passes, "t=")?,
            lanes: number(lanes, "p=")?,
        };
        let (salt, key) =
            (BASE64_STANDARD_NO_PAD.decode(salt)?, BASE64_STANDARD_NO_PAD.decode(key)?);
        cost.params()?;
        anyhow::ensure!((8..=64).contains(&salt.len()), "its salt has {} bytes", salt.len());
        anyhow::ensure!(key.len() == KEY_LENGTH, "its key has {} bytes", key.len());
        Ok(Self::Own(Own { cost, salt, key }))
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(…)")
    }
}

impl Serialize for Hashed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_was_written() {
        let hashed = Hashed::new(STANDARD, &[1; SALT_LENGTH], &[2; KEY_LENGTH]);
        assert!(hashed.to_string().parse::<Hashed>().unwrap() == hashed);
        assert_eq!(format!("{hashed:?}"), "Hashed(…)");
    }

    #[test]
    fn what_is_no_such_hash_is_refused() {
        let good = Hashed::new(STANDARD, &[1; SALT_LENGTH], &[2; KEY_LENGTH]).to_string();
        for (from, to) in [
            ("$argon2id", "$argon2i"),
            ("v=19", "v=16"),
            ("m=19456,t=2", "t=2,m=19456"),
            ("p=1", "p=0"),
            ("p=1", "p=1,data=AAAA"),
            ("m=19456", "m=1"),
            ("AQEBAQEBAQEBAQEBAQEBAQ", "AQEB"),
            ("AgICAg", "!!!!!!"),
            ("AgICAgIC", ""),
        ] {
            assert!(good.contains(from), "{from} isn't in {good}");
            assert!(good.replacen(from, to, 1).parse::<Hashed>().is_err(), "{to}");
        }
    }
}
