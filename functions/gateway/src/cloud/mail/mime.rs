//! Reading a message: as much of MIME as the platform writes.

use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::mail::{Attachment, Message};

/// What every message has, and isn't told as a header of its own.
const OWN: &[&str] = &["from", "to", "subject", "message-id", "date", "mime-version"];

/// A message or a part of one.
struct Part<'a> {
    headers: Vec<(String, String)>,
    content: &'a str,
}

/// Reads a message to an address.
pub(super) fn read(to: &str, content: &str) -> Option<Message> {
    let part = Part::read(content)?;
    let is_mimes = |name: &str| name.starts_with("content-") && name != "content-language";
    let own = |name: &str| OWN.contains(&name) || is_mimes(name);
    let name = words(part.header("to").split('<').next().unwrap_or_default());
    let mut message = Message {
        message_id: part.header("message-id").trim_matches(['<', '>']).to_owned(),
        to: to.to_owned(),
        to_name: name.trim().trim_matches('"').to_owned(),
        subject: words(part.header("subject")),
        text: String::new(),
        html: String::new(),
        headers: part
            .headers
            .iter()
            .filter(|(name, _)| !own(&name.to_ascii_lowercase()))
            .map(|(name, value)| (name.clone(), words(value)))
            .collect(),
        attachments: Vec::new(),
    };
    part.put_into(&mut message);
    (!message.message_id.is_empty()).then_some(message)
}

impl<'a> Part<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (head, content) = text.split_once("\r\n\r\n")?;
        // A folded line goes on with a space.
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = head.split("\r\n").filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        });
        Some(Self { headers: headers.collect(), content })
    }

    fn header(&self, wanted: &str) -> &str {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value)
    }

    /// Puts the part where it belongs in a message.
    fn put_into(&self, message: &mut Message) {
        let content_type = self.header("content-type");
        if content_type.starts_with("multipart/") {
            let Some(boundary) = parameter(content_type, "boundary") else { return };
            for part in parts(self.content, &boundary).filter_map(Part::read) {
                part.put_into(message);
            }
            return;
        }
        let content = self.decoded();
        let disposition = self.header("content-disposition");
        if disposition.starts_with("attachment") {
            message.attachments.push(Attachment {
                filename: parameter(disposition, "filename").unwrap_or_default(),
                content_type: content_type.to_owned(),
                content,
            });
        } else if content_type.starts_with("text/html") {
            message.html = content;
        } else {
            message.text = content;
        }
    }

    fn decoded(&self) -> String {
        let bytes = match &*self.header("content-transfer-encoding").to_ascii_lowercase() {
            "base64" => {
                let text: String = self.content.split_ascii_whitespace().collect();
                BASE64_STANDARD.decode(text).unwrap_or_default()
            }
            "quoted-printable" => unquoted(self.content.replace("=\r\n", "").as_bytes()),
            _ => self.content.as_bytes().to_vec(),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What is between the boundaries.
fn parts<'a>(content: &'a str, boundary: &str) -> impl Iterator<Item = &'a str> {
    let delimiter = format!("--{boundary}");
    let pieces: Vec<_> = content.split(&delimiter).skip(1).collect();
    let parts = pieces.into_iter().take_while(|it| !it.starts_with("--"));
    parts.filter_map(|it| it.strip_prefix("\r\n")).map(|it| it.strip_suffix("\r\n").unwrap_or(it))
}

/// A parameter of a header: `name=value` or `name="value"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|it| {
        let (name, value) = it.trim().split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim_matches('"').to_owned())
    })
}

/// Quoted-printable (RFC 2045 §6.7), its soft line breaks gone already.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'=');
        let code = code.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// A header's text with its encoded words (RFC 2047) read; the space between two of them
/// isn't part of it.
fn words(text: &str) -> String {
    let (mut told, mut after_encoded) = (String::new(), false);
    for (index, word) in text.split(' ').enumerate() {
        let encoded = encoded(word);
        if index > 0 && !(after_encoded && encoded.is_some()) {
            told.push(' ');
        }
        after_encoded = encoded.is_some();
        told.push_str(encoded.as_deref().unwrap_or(word));
    }
    told
}

fn encoded(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (_charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match encoding {
        "b" | "B" => BASE64_STANDARD.decode(text).ok()?,
        _ => unquoted(text.replace('_', " ").as_bytes()),
    };
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read_and_others_stay() {
        assert_eq!(words("a =?utf-8?b?w7E=?= =?utf-8?q?=C3=B1_x?= b"), "a ññ x b");
        assert_eq!(words("=?no"), "=?no");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(read("a@b.c", "no head").is_none());
        assert!(read("a@b.c", "Subject: x\r\n\r\nno id").is_none());
    }
}
