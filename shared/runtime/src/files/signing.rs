//! Links: what is signed, so that a client can send or fetch one file by itself.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use contracts::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Expected, FileError, FileName, Generation, MediaType};

/// The headers of an upload, called as Cloud Storage calls them: every adapter
/// asks for the same, so that a client which forgets one fails with each.
pub mod header {
    /// From how many to how many bytes the content may have: `min,max`.
    pub const SIZES: &str = "x-goog-content-length-range";
    /// Which generation there must be; 0: none.
    pub const GENERATION: &str = "x-goog-if-generation-match";
}

/// How many seconds a link is good for, at most: seven days.
const LASTS_AT_MOST: u32 = 7 * 24 * 60 * 60;

/// How many bytes a file has at most: 5 TiB.
const SIZE_AT_MOST: u64 = 5 << 40;

fn lasting(seconds: u32) -> Result<u32, FileError> {
    if (1..=LASTS_AT_MOST).contains(&seconds) {
        return Ok(seconds);
    }
    Err(FileError::invalid(
        "A link is good for 1 second to 7 days.",
        "Un enlace vale de 1 segundo a 7 días.",
    ))
}

/// One file that somebody may send.
#[derive(Clone, Debug)]
pub struct Upload {
    name: FileName,
    media_type: MediaType,
    sizes: RangeInclusive<u64>,
    expected: Expected,
    seconds: u32,
}

impl Upload {
    /// A file of so many bytes, within so many seconds from now (at most 7 days).
    pub fn new(
        name: FileName,
        media_type: MediaType,
        sizes: RangeInclusive<u64>,
        seconds: u32,
    ) -> Result<Self, FileError> {
        if sizes.is_empty() || *sizes.end() > SIZE_AT_MOST {
            return Err(FileError::invalid(
                "A file has at most 5 TiB.",
                "Un archivo tiene 5 TiB como máximo.",
            ));
        }
        let seconds = lasting(seconds)?;
        Ok(Self { name, media_type, sizes, expected: Expected::Anything, seconds })
    }

    /// The same, if this is so when the file arrives.
    #[must_use]
    pub fn if_there(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// The file's name.
    pub const fn name(&self) -> &FileName {
        &self.name
    }

    /// The same, under another name.
    pub(super) fn renamed(self, name: FileName) -> Self {
        Self { name, ..self }
    }

    /// For how many seconds the link is good.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The headers that are part of the signature, and that the client must send.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let sizes = format!("{},{}", self.sizes.start(), self.sizes.end());
        let mut headers = BTreeMap::from([
            ("content-type".to_owned(), self.media_type.as_str().to_owned()),
            (header::SIZES.to_owned(), sizes),
        ]);
        let generation = match self.expected {
            Expected::Anything => None,
            Expected::Absent => Some("0".to_owned()),
            Expected::At(generation) => Some(generation.to_string()),
        };
        headers.extend(generation.map(|it| (header::GENERATION.to_owned(), it)));
        headers
    }
}

/// One file that somebody may fetch.
#[derive(Clone, Debug)]
pub struct Download {
    name: FileName,
    generation: Option<Generation>,
    saved_as: Option<String>,
    media_type: Option<MediaType>,
    seconds: u32,
}

/// What needs no escape in a parameter of RFC 8187.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'!');

impl Download {
    /// A file, within so many seconds from now (at most 7 days).
    pub fn new(name: FileName, seconds: u32) -> Result<Self, FileError> {
        let (generation, saved_as, media_type) = Default::default();
        let seconds = lasting(seconds)?;
        Ok(Self { name, generation, saved_as, media_type, seconds })
    }

    /// The same, under another name.
    pub(super) fn renamed(self, name: FileName) -> Self {
        Self { name, ..self }
    }

    /// Only this generation of it.
    #[must_use]
    pub const fn of(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    /// To be saved under a name, instead of shown.
    #[must_use]
    pub fn saved_as(mut self, name: &str) -> Self {
        self.saved_as = Some(name.to_owned());
        self
    }

    /// Of this type, whatever was said when it was written.
    #[must_use]
    pub fn shown_as(mut self, media_type: MediaType) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// The file's name.
    pub const fn name(&self) -> &FileName {
        &self.name
    }

    /// For how many seconds the link is good.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The parameters that are part of the signature, as Cloud Storage calls them.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        let generation = self.generation.map(|it| ("generation", it.to_string()));
        let saved_as = self.saved_as.as_ref();
        let disposition = saved_as.map(|name| ("response-content-disposition", attachment(name)));
        let media_type = self.media_type.as_ref();
        let media_type = media_type.map(|it| ("response-content-type", it.as_str().to_owned()));
        let all = [generation, disposition, media_type].into_iter().flatten();
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The value of a `Content-Disposition` (RFC 6266), whatever the name has in it:
/// once plain for old clients, once exact.
fn attachment(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || " -._()".contains(it);
    let plain: String = name.chars().map(|it| if is_plain(it) { it } else { '_' }).collect();
    // Two spaces would be one in a header that is signed.
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, PLAIN)
    )
}

/// A request that its holder can make, as often as they like until it expires.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The HTTP method: PUT to send a file, GET to fetch one.
    pub method: String,
    /// Where to. Whoever knows it can use it, so it's as secret as the file.
    pub url: String,
    /// The headers to send along, exactly as they are here.
    pub headers: BTreeMap<String, String>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A log must not give the file away.
        let url = self.url.split('?').next().unwrap_or_default();
        write!(f, "Link({} {url}?… until {})", self.method, self.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> FileName {
        FileName::parse("a/b.pdf").unwrap()
    }

    fn pdf() -> MediaType {
        MediaType::parse("application/pdf").unwrap()
    }

    #[test]
    fn a_link_lasts_seven_days_at_most() {
        for seconds in [1, 604_800] {
            Download::new(name(), seconds).unwrap();
            Upload::new(name(), pdf(), 0..=1, seconds).unwrap();
        }
        for seconds in [0, 604_801] {
            Download::new(name(), seconds).unwrap_err();
            Upload::new(name(), pdf(), 0..=1, seconds).unwrap_err();
        }
    }

    #[test]
    fn an_upload_says_its_type_its_sizes_and_what_must_be_there() {
        let upload = Upload::new(name(), pdf(), 1..=9, 60).unwrap();
        let said = |upload: &Upload| {
            upload
                .headers()
                .into_iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
        };
        let both = ["content-type: application/pdf", "x-goog-content-length-range: 1,9"];
        assert_eq!(said(&upload), both);
        let absent = upload.clone().if_there(Expected::Absent);
        assert_eq!(said(&absent)[2..], ["x-goog-if-generation-match: 0"]);
        let there = upload.if_there(Expected::At(Generation::of(7).unwrap()));
        assert_eq!(said(&there)[2..], ["x-goog-if-generation-match: 7"]);
        #[expect(clippy::reversed_empty_ranges, reason = "that's what is refused")]
        Upload::new(name(), pdf(), 9..=1, 60).unwrap_err();
        Upload::new(name(), pdf(), 0..=(5 << 40) + 1, 60).unwrap_err();
    }

    #[test]
    fn a_file_can_be_saved_under_any_name() {
        assert_eq!(attachment("a.pdf"), "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf");
        assert_eq!(
            attachment("ñ  \"a\";\r\nb"),
            "attachment; filename=\"_ _a____b\"; filename*=UTF-8''%C3%B1%20%20%22a%22%3B%0D%0Ab"
        );
    }

    #[test]
    fn a_log_does_not_give_a_link_away() {
        let link = Link {
            method: "GET".to_owned(),
            url: "https://a.example/b?signature=secret".to_owned(),
            headers: BTreeMap::new(),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        let shown = format!("{link:?}");
        assert!(shown.contains("https://a.example/b?…") && !shown.contains("secret"), "{shown}");
    }
}
