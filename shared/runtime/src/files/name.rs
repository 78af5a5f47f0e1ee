//! What a file may be called, and what kind of content it may have.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FileError;

/// The name of a file: a relative path, such as `courses/7/syllabus.pdf`.
///
/// Cloud Storage's rules, and stricter: 1 to 1024 bytes of UTF-8 in steps
/// divided by `/`, of which none is empty, `.` or `..`; no control characters,
/// none that isn't a character, no backslash; and nothing that begins with
/// `.well-known/acme-challenge/`. So no adapter, proxy or folder can take it
/// for another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// How many bytes a name has at most.
const MOST: usize = 1024;

impl FileName {
    /// Reads a name.
    pub fn parse(name: impl Into<String>) -> Result<Self, FileError> {
        let name = name.into();
        if let Some((en, es)) = fault_of(&name) {
            return Err(FileError::invalid(en, es));
        }
        Ok(Self(name))
    }

    /// The name, as it's written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fault_of(name: &str) -> Option<(&'static str, &'static str)> {
    if name.is_empty() || name.len() > MOST {
        return Some((
            "A file's name has 1 to 1024 bytes.",
            "El nombre de un archivo tiene de 1 a 1024 bytes.",
        ));
    }
    if name.chars().any(is_unfit) {
        return Some((
            "A file's name has no control characters and no backslash.",
            "El nombre de un archivo no tiene caracteres de control ni barras invertidas.",
        ));
    }
    if name.split('/').any(|step| matches!(step, "" | "." | "..")) {
        return Some((
            "A file's name is a relative path without empty steps, “.” and “..”.",
            "El nombre de un archivo es una ruta relativa sin pasos vacíos, «.» ni «..».",
        ));
    }
    name.starts_with(".well-known/acme-challenge/").then_some((
        "A file's name doesn't begin with .well-known/acme-challenge/.",
        "El nombre de un archivo no empieza por .well-known/acme-challenge/.",
    ))
}

/// Control characters, line ends of other scripts, and what isn't a character.
fn is_unfit(character: char) -> bool {
    let is_no_character =
        (u32::from(character) & 0xFFFE) == 0xFFFE || ('\u{FDD0}'..='\u{FDEF}').contains(&character);
    character.is_control() || matches!(character, '\\' | '\u{2028}' | '\u{2029}') || is_no_character
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FileName {
    type Error = FileError;

    fn try_from(name: String) -> Result<Self, FileError> {
        Self::parse(name)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// What kind of content a file has, as `type/subtype`, perhaps with parameters:
/// `text/csv; charset=utf-8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// Reads a media type of at most 255 bytes. It's written as it will be in a
    /// header, exactly: no spaces but single ones.
    pub fn parse(text: impl Into<String>) -> Result<Self, FileError> {
        let text = text.into();
        if is_media_type(&text) {
            return Ok(Self(text));
        }
        Err(FileError::invalid(
            "A media type is written as type/subtype, with at most 255 bytes.",
            "Un tipo de contenido se escribe como tipo/subtipo, con 255 bytes como máximo.",
        ))
    }

    /// The media type, as it's written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end_matches(' ');
    let Some((kind, subkind)) = essence.split_once('/') else { return false };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let is_written_once = !text.contains("  ") && !text.ends_with(' ');
    text.len() <= 255 && is_token(kind) && is_token(subkind) && is_plain && is_written_once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_relative_path() {
        let longest = "a".repeat(1024);
        for name in ["a", "a/b", "ñandú/%2F?#&+ .txt", "...", ".a/..b", "a b", "日本.pdf", &longest]
        {
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
        }
        let too_long = "a".repeat(1025);
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/./b",
            "a/..",
            "a\nb",
            "a\rb",
            "a\0",
            "a\u{7f}",
            "a\u{85}b",
            "a\\b",
            "a\u{2028}",
            "a\u{fffe}",
            "a\u{1ffff}",
            &too_long,
            ".well-known/acme-challenge/x",
        ] {
            assert!(FileName::parse(name).is_err(), "{name:?}");
        }
        serde_json::from_str::<FileName>("\"../a\"").unwrap_err();
    }

    #[test]
    fn a_media_type_is_written_in_one_way() {
        for text in ["text/plain", "image/svg+xml", "text/csv; charset=utf-8", "a/b;c=\"d e\""] {
            assert_eq!(MediaType::parse(text).unwrap().as_str(), text);
        }
        let too_long = format!("a/{}", "b".repeat(254));
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text /plain",
            "text/plain ",
            " text/plain",
            "é/é",
            "text/plain;  a=b",
            "text/plain\n",
            "text/plain\r\nx: y",
            "a/b/c",
            &too_long,
        ] {
            assert!(MediaType::parse(text).is_err(), "{text:?}");
        }
    }
}
