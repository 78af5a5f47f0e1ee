//! Files: what is too large for a document, and the port that keeps it.
//!
//! A file's bytes seldom pass through a function: a client is given a link,
//! signed for one request ([`Upload`], [`Download`]), and sends or fetches them
//! itself. Who holds a link can do what it says until it expires, and no more:
//! its method, name, type and size are part of the signature.

mod folder;
mod name;
mod signing;

use std::{fmt, io, str::FromStr};

use async_trait::async_trait;
use contracts::{Page, Problem, Timestamp};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use self::{
    folder::{DomainFiles, NoFiles},
    name::{FileName, MediaType},
    signing::{Download, Link, Upload, header},
};
use crate::{Bytes, Error, Refusal, Said};

/// What a file holds, piece by piece, so that it needn't fit into memory.
pub type Content = BoxStream<'static, io::Result<Bytes>>;

/// One of the contents that a name has had: each new one has another
/// generation, also after a deletion. Which is newer, it doesn't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation(i64);

impl Generation {
    /// The generation with this number, which is positive.
    pub const fn of(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Generation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::of).ok_or("a generation is a positive number")
    }
}

impl TryFrom<String> for Generation {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> Self {
        generation.to_string()
    }
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// The file's name.
    pub name: FileName,
    /// Which of the name's contents it is.
    pub generation: Generation,
    /// How many bytes it has.
    pub size: u64,
    /// What kind of content it is, as whoever wrote it said.
    pub media_type: String,
    /// When it was complete.
    pub created_at: Timestamp,
    /// The CRC-32C of the content.
    pub crc32c: u32,
    /// The MD5 of the content, where the adapter knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<[u8; 16]>,
}

/// What must be so for a file to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: whatever is there is replaced.
    #[default]
    Anything,
    /// There's no file of this name.
    Absent,
    /// The file has this generation.
    At(Generation),
}

impl Expected {
    /// Whether it is so, where this is there now.
    pub fn check(self, now: Option<Generation>) -> Result<(), FileError> {
        match (self, now) {
            (Self::Absent, Some(_)) => Err(FileError::Exists),
            (Self::At(then), now) if now != Some(then) => Err(FileError::Changed),
            _ => Ok(()),
        }
    }

    /// Why it isn't so, if an adapter says that it isn't.
    pub const fn refusal(self) -> FileError {
        match self {
            Self::Absent => FileError::Exists,
            Self::Anything | Self::At(_) => FileError::Changed,
        }
    }
}

/// A file to be written by a function itself.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its name.
    pub name: FileName,
    /// What kind of content it is.
    pub media_type: MediaType,
    /// What must be so.
    pub expected: Expected,
}

/// There's no file of this name.
pub const NO_SUCH_FILE: Problem =
    Problem::not_found("no-such-file", "There is no such file.", "No existe ese archivo.");

/// There's a file of this name already.
pub const FILE_EXISTS: Problem = Problem::conflict(
    "file-exists",
    "There is a file of this name already.",
    "Ya existe un archivo con ese nombre.",
);

/// The file isn't the one that the caller has seen.
pub const FILE_CHANGED: Problem = Problem::conflict(
    "file-changed",
    "The file has changed meanwhile.",
    "El archivo cambió mientras tanto.",
);

/// The name, the type or the size isn't one that a file can have.
pub const INVALID_FILE: Problem = Problem::invalid(
    "invalid-file",
    "A file can't have this name, type or size.",
    "Un archivo no puede tener este nombre, tipo o tamaño.",
);

/// Why a file wasn't written, read or found.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name, the type or the size isn't one that a file can have.
    #[error("a file can't have this name, type or size")]
    Invalid(Said),
    /// There's no such file, or no such generation of it.
    #[error("there is no such file")]
    Missing,
    /// There's a file of this name already.
    #[error("there is a file of this name already")]
    Exists,
    /// The file has another generation.
    #[error("the file has changed meanwhile")]
    Changed,
    /// The adapter can't just now; it may work later.
    #[error("files are unavailable: {0}")]
    Unavailable(String),
    /// Something is wrong on our side.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl FileError {
    pub(crate) fn invalid(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self::Invalid(Said::new(en, es))
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Invalid(said) => Refusal::of(INVALID_FILE).saying(said).into(),
            FileError::Missing => NO_SUCH_FILE.into(),
            FileError::Exists => FILE_EXISTS.into(),
            FileError::Changed => FILE_CHANGED.into(),
            FileError::Unavailable(why) => {
                tracing::warn!(why, "files are unavailable");
                Self::Unavailable(1)
            }
            FileError::Internal(error) => Self::Internal(error),
        }
    }
}

/// The port: what keeps files.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Signs a link that one file can be sent to.
    async fn upload_link(&self, upload: &Upload) -> Result<Link, FileError>;
    /// Signs a link that a file can be fetched from. Whether there is one isn't checked.
    async fn download_link(&self, download: &Download) -> Result<Link, FileError>;
    /// What is known of a file.
    async fn info(&self, name: &FileName) -> Result<FileInfo, FileError>;
    /// Reads a file, or only this generation of it. The end of the content is an
    /// error if it isn't what was written.
    async fn read(
        &self,
        name: &FileName,
        generation: Option<Generation>,
    ) -> Result<Content, FileError>;
    /// Writes a file: whole, or not at all if the content ends with an error.
    /// Once it's `Ok`, it's durable.
    async fn write(&self, file: &NewFile, content: Content) -> Result<FileInfo, FileError>;
    /// Deletes this generation of a file. If there's no file, there's nothing to do.
    async fn delete(&self, name: &FileName, generation: Generation) -> Result<(), FileError>;
    /// The files whose names begin so, sorted by their names' bytes, at most so
    /// many (1 to 1000); the page token is the adapter's own.
    async fn list(
        &self,
        prefix: &str,
        limit: u32,
        page_token: Option<&str>,
    ) -> Result<Page<FileInfo>, FileError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_refused_by_its_reason() {
        let (one, other) = (Generation(1), Generation(2));
        assert!(
            Expected::Anything.check(None).is_ok() && Expected::Anything.check(Some(one)).is_ok()
        );
        assert!(Expected::Absent.check(None).is_ok());
        assert!(matches!(Expected::Absent.check(Some(one)), Err(FileError::Exists)));
        assert!(Expected::At(one).check(Some(one)).is_ok());
        assert!(matches!(Expected::At(one).check(Some(other)), Err(FileError::Changed)));
        assert!(matches!(Expected::At(one).check(None), Err(FileError::Changed)));
    }

    #[test]
    fn a_generation_is_a_positive_number_written_as_text() {
        assert_eq!(serde_json::to_string(&Generation(7)).unwrap(), "\"7\"");
        assert_eq!("7".parse(), Ok(Generation(7)));
        assert!("0".parse::<Generation>().is_err() && "-7".parse::<Generation>().is_err());
    }

    #[test]
    fn people_are_told_what_is_wrong_with_a_file() {
        let error = Error::from(FileName::parse("../x").unwrap_err());
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.problem, INVALID_FILE);
    }
}
