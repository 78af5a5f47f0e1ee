//! Bounded texts: how long a text may be, and what may stand in it, its type says.

use std::{borrow::Cow, fmt, ops::Deref};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// One line of `MIN` to `MAX` characters, such as a title or a name.
///
/// It holds no control character, line separator or direction override, so it
/// can't break out of a mail header or make a name read as another. Space
/// around it is dropped, and it is kept in Unicode's form NFC.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Line<const MIN: usize, const MAX: usize>(String);

/// A text of `MIN` to `MAX` characters that may have lines and tabs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// Whether a character could hide or forge something in a line.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn normalized(text: &str) -> String {
    let text = text.trim();
    if is_nfc(text) { text.to_owned() } else { text.nfc().collect() }
}

fn bounded<const MIN: usize, const MAX: usize>(text: &str) -> Result<String, String> {
    // Counted before and after: normalizing may lengthen a text, and the schema counts before.
    let text = normalized(text);
    let length = text.chars().count();
    if length > MAX {
        Err(format!("too-long: at most {MAX} characters, and there are {length}"))
    } else if length < MIN && length == 0 {
        Err("empty: it must not be empty".to_owned())
    } else if length < MIN {
        Err(format!("too-short: at least {MIN} characters, and there are {length}"))
    } else {
        Ok(text)
    }
}

impl<const MIN: usize, const MAX: usize> Line<MIN, MAX> {
    /// The line, if it's one: `reason: explanation` if not.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.chars().any(is_deceptive) {
            return Err(
                "invalid-characters: no line break or control character may stand here".to_owned()
            );
        }
        bounded::<MIN, MAX>(text).map(Self)
    }
}

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text, if it's one: `reason: explanation` if not.
    pub fn new(text: &str) -> Result<Self, String> {
        let fine = |it: char| matches!(it, '\n' | '\r' | '\t') || !it.is_control();
        if !text.chars().all(fine) {
            return Err("invalid-characters: no control character may stand here".to_owned());
        }
        bounded::<MIN, MAX>(text).map(Self)
    }
}

macro_rules! texts {
    ($name:ident, $pattern:expr) => {
        impl<const MIN: usize, const MAX: usize> Deref for $name<MIN, MAX> {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl<const MIN: usize, const MAX: usize> fmt::Display for $name<MIN, MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<const MIN: usize, const MAX: usize> From<$name<MIN, MAX>> for String {
            fn from(text: $name<MIN, MAX>) -> Self {
                text.0
            }
        }

        impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for $name<MIN, MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl<const MIN: usize, const MAX: usize> JsonSchema for $name<MIN, MAX> {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                format!("{}{MIN}To{MAX}", stringify!($name)).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let pattern = $pattern(MIN);
                json_schema!({
                    "type": "string", "minLength": MIN, "maxLength": MAX, "pattern": pattern,
                })
            }
        }
    };
}

/// A schema's pattern: only allowed characters, and enough of them that trimming can't take.
fn line_pattern(least: usize) -> String {
    surrounded(
        r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]",
        r"[^\s\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]",
        least,
    )
}

fn text_pattern(least: usize) -> String {
    surrounded(
        r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]",
        r"[^\s\u0000-\u001f\u007f-\u009f]",
        least,
    )
}

fn surrounded(any: &str, visible: &str, least: usize) -> String {
    match least {
        0 => format!("^{any}*$"),
        1 => format!("^{any}*{visible}{any}*$"),
        _ => format!("^{any}*{visible}{any}{{{},}}{visible}{any}*$", least - 2),
    }
}

texts!(Line, line_pattern);
texts!(Text, text_pattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_normalized_and_bounded() {
        assert_eq!(&*Line::<1, 5>::new("  cafe\u{301} ").unwrap(), "café");
        assert!(Line::<1, 5>::new("   ").unwrap_err().starts_with("empty"));
        assert!(Line::<1, 5>::new("abcdef").unwrap_err().starts_with("too-long"));
        assert!(Line::<3, 5>::new("ab").unwrap_err().starts_with("too-short"));
    }

    #[test]
    fn no_line_can_forge_a_header_or_turn_a_name_around() {
        for text in ["a\r\nBcc: b@c.d", "a\0", "a\u{2028}b", "\u{202e}abc", "a\u{85}b"] {
            assert!(Line::<1, 99>::new(text).unwrap_err().starts_with("invalid-characters"));
        }
        assert!(Text::<1, 99>::new("two\nlines").is_ok());
        assert!(Text::<1, 99>::new("a\u{7}").is_err());
    }
}
