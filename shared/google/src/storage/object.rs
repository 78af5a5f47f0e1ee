//! An object, as the JSON API tells of it.

use anyhow::Context as _;
use base64::{Engine, prelude::BASE64_STANDARD};
use contracts::Timestamp;
use runtime::{FileInfo, FileName, files::Generation};
use serde::Deserialize;

/// Which fields of an object are asked for.
pub(super) const FIELDS: &str = "name,generation,size,contentType,timeCreated,crc32c,md5Hash";

/// An object, as the JSON API tells of it: numbers are texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    name: String,
    generation: String,
    size: String,
    content_type: Option<String>,
    time_created: Timestamp,
    crc32c: String,
    md5_hash: Option<String>,
}

impl Object {
    /// Whether its name is one that we give.
    pub(super) fn is_ours(&self) -> bool {
        FileName::parse(&*self.name).is_ok()
    }

    /// What is known of the file; a fault, if the object's name is none that we give.
    pub(super) fn into_info(self) -> anyhow::Result<FileInfo> {
        let crc32c = BASE64_STANDARD.decode(&self.crc32c)?.try_into().ok();
        let md5 = self.md5_hash.map(|it| BASE64_STANDARD.decode(it)).transpose()?;
        Ok(FileInfo {
            name: FileName::parse(self.name)?,
            generation: self.generation.parse::<Generation>().map_err(anyhow::Error::msg)?,
            size: self.size.parse().context("size")?,
            // Who writes past us may leave it out.
            media_type: self.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            created_at: self.time_created,
            crc32c: u32::from_be_bytes(crc32c.context("crc32c")?),
            md5: md5.and_then(|it| it.try_into().ok()),
        })
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Objects {
    #[serde(default)]
    pub items: Vec<Object>,
    pub next_page_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{
        "kind": "storage#object", "name": "a/b.txt", "generation": "1790000000000001",
        "size": "9", "contentType": "text/plain", "timeCreated": "2026-11-22T07:00:00.123Z",
        "crc32c": "4waSgw==", "md5Hash": "JfnnlDI7RTiF9RgfG2JNCw=="
    }"#;

    #[test]
    fn an_object_is_read_as_the_json_api_tells_it() {
        let info = serde_json::from_str::<Object>(TOLD).unwrap().into_info().unwrap();
        assert_eq!((info.name.as_str(), info.size), ("a/b.txt", 9));
        assert_eq!(info.generation.number(), 1_790_000_000_000_001);
        assert_eq!(info.created_at.to_string(), "2026-11-22T07:00:00.123Z");
        assert_eq!((info.crc32c, info.md5.unwrap()[0]), (0xE306_9283, 0x25));
    }

    #[test]
    fn what_was_written_past_us_may_lack_a_type_but_not_have_another_name() {
        let told = TOLD.replace("contentType", "contentLanguage").replace("md5Hash", "etag");
        let info = serde_json::from_str::<Object>(&told).unwrap().into_info().unwrap();
        assert_eq!((&*info.media_type, info.md5), ("application/octet-stream", None));
        let folder = TOLD.replace("a/b.txt", "a/");
        serde_json::from_str::<Object>(&folder).unwrap().into_info().unwrap_err();
    }
}
