//! A message as it goes over the wire: MIME, with nothing in its headers that
//! isn't meant to be there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::Timestamp;
use lettre::{
    Address,
    message::{
        Attachment, Mailbox, MultiPart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use runtime::mail::{MailError, Message};

/// Headers that the message itself makes: another one would contradict it.
const OWN: &[&str] = &[
    "bcc",
    "cc",
    "date",
    "from",
    "message-id",
    "mime-version",
    "reply-to",
    "sender",
    "subject",
    "to",
];

/// Composes a message.
pub(super) fn compose(
    message: &Message,
    from: &Mailbox,
    now: Timestamp,
) -> Result<lettre::Message, MailError> {
    let address = message.to.parse::<Address>().map_err(|_| refused("the address isn't one"))?;
    let name = Some(one_line(&message.to_name)).filter(|name| !name.is_empty());
    let mut builder = lettre::Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(one_line(&message.subject))
        .message_id(Some(format!("<{}>", id(&message.message_id)?)))
        .date(date(now));
    for (name, value) in &message.headers {
        builder = builder.raw_header(HeaderValue::new(header_name(name)?, one_line(value)));
    }
    let (text, html) = (message.text.clone(), message.html.clone());
    let content = MultiPart::alternative_plain_html(text, html);
    let content = if message.attachments.is_empty() {
        content
    } else {
        let mut mixed = MultiPart::mixed().multipart(content);
        for attached in &message.attachments {
            let content_type = ContentType::parse(&attached.content_type);
            let content_type =
                content_type.map_err(|_| refused("an attachment's type isn't one"))?;
            let attachment = Attachment::new(one_line(&attached.filename));
            mixed = mixed.singlepart(attachment.body(attached.content.clone(), content_type));
        }
        mixed
    };
    builder.multipart(content).map_err(|error| refused(&error.to_string()))
}

fn refused(because: &str) -> MailError {
    MailError::Refused(because.to_owned())
}

/// A text without anything that could end a header's line.
fn one_line(text: &str) -> String {
    let ends_lines = |it: char| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}');
    text.replace(ends_lines, " ").trim().to_owned()
}

/// A `Message-ID`: what is between the angle brackets.
fn id(message_id: &str) -> Result<&str, MailError> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>');
    let (left, right) = message_id.split_once('@').unwrap_or_default();
    if left.is_empty() || right.is_empty() || !message_id.bytes().all(fits) {
        return Err(refused("the Message-ID isn't one"));
    }
    Ok(message_id)
}

fn header_name(name: &str) -> Result<HeaderName, MailError> {
    let lower = name.to_ascii_lowercase();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // The language is the message's; all else of the content is MIME's.
    let is_mimes = lower.starts_with("content-") && lower != "content-language";
    if !plain || OWN.contains(&lower.as_str()) || is_mimes {
        return Err(refused("a header's name isn't one, or the message has it already"));
    }
    let name = HeaderName::new_from_ascii(name.to_owned());
    name.map_err(|_| refused("a header's name isn't one"))
}

fn date(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use runtime::mail::Attachment;

    use super::*;

    fn message() -> Message {
        Message {
            message_id: "one@aula.example".to_owned(),
            to: "ada@example.com".to_owned(),
            to_name: "Ada".to_owned(),
            subject: "Hello".to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
            headers: vec![
                ("X-Aula-Ref".to_owned(), "things/1".to_owned()),
                ("Content-Language".to_owned(), "en".to_owned()),
            ],
            attachments: Vec::new(),
        }
    }

    fn composed(message: &Message) -> Result<String, MailError> {
        let from = "Aula <no-reply@aula.example>".parse().unwrap();
        let composed = compose(message, &from, Timestamp::UNIX_EPOCH)?;
        Ok(String::from_utf8(composed.formatted()).unwrap())
    }

    fn headers(message: &Message) -> Vec<String> {
        let composed = composed(message).unwrap();
        let (head, _) = composed.split_once("\r\n\r\n").unwrap();
        // A folded line goes on with a space.
        head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_message_has_the_headers_that_it_should_have() {
        let headers = headers(&message());
        for header in [
            "From: Aula <no-reply@aula.example>",
            "To: Ada <ada@example.com>",
            "Subject: Hello",
            "Message-ID: <one@aula.example>",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "X-Aula-Ref: things/1",
            "Content-Language: en",
            "MIME-Version: 1.0",
        ] {
            assert!(headers.contains(&header.to_owned()), "{header} in {headers:?}");
        }
    }

    #[test]
    fn no_name_or_subject_adds_a_header() {
        let attack =
            "Ada\r\nBcc: all@example.com\r\n\r\n<script>\n.\nMAIL FROM:<x@y>\u{2028}\u{85}";
        let mut attacked = message();
        attacked.to_name = attack.to_owned();
        attacked.subject = attack.to_owned();
        attacked.headers[0].1 = attack.to_owned();
        attacked.attachments.push(Attachment {
            filename: attack.to_owned(),
            content_type: "text/calendar; charset=utf-8; method=REQUEST".to_owned(),
            content: "BEGIN:VCALENDAR".to_owned(),
        });
        let names = |message: &Message| -> Vec<String> {
            headers(message).iter().map(|it| it.split(':').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&attacked), names(&message()));
        let composed = composed(&attacked).unwrap();
        assert!(!composed.lines().any(|line| line.starts_with("Bcc:")), "{composed}");
        assert!(!composed.replace("\r\n", "").contains(['\r', '\n']), "a bare line end");
    }

    #[test]
    fn other_alphabets_are_encoded() {
        let mut message = message();
        message.to_name = "Íñigo, el «único»".to_owned();
        message.subject = "Recordatorio: álgebra".to_owned();
        message.text = "Mañana a las 9:00".to_owned();
        let composed = composed(&message).unwrap();
        assert!(composed.is_ascii());
        assert!(composed.contains("Subject: Recordatorio: =?utf-8?"), "{composed}");
    }

    #[test]
    fn what_is_attached_keeps_its_type() {
        let mut message = message();
        message.attachments.push(Attachment {
            filename: "invite.ics".to_owned(),
            content_type: "text/calendar; charset=utf-8; method=REQUEST".to_owned(),
            content: "BEGIN:VCALENDAR".to_owned(),
        });
        let composed = composed(&message).unwrap();
        for part in ["multipart/mixed", "multipart/alternative", "text/plain", "text/html"] {
            assert!(composed.contains(&format!("Content-Type: {part};")), "{part} in {composed}");
        }
        assert!(composed.contains("Content-Type: text/calendar; charset=utf-8; method=REQUEST"));
        assert!(composed.contains("filename=\"invite.ics\""));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let broken = |breaking: fn(&mut Message)| {
            let mut message = message();
            breaking(&mut message);
            matches!(composed(&message), Err(MailError::Refused(_)))
        };
        assert!(broken(|it| it.to = "ada".to_owned()));
        assert!(broken(|it| it.to = "ada@example.com\r\nRCPT TO:<x@y.z>".to_owned()));
        assert!(broken(|it| it.to = "ada@example.com, eve@example.com".to_owned()));
        assert!(broken(|it| it.message_id = "one@aula>\r\nX: y".to_owned()));
        assert!(broken(|it| it.message_id = "one".to_owned()));
        assert!(broken(|it| it.headers[0].0 = "Bcc".to_owned()));
        assert!(broken(|it| it.headers[0].0 = "Content-Type".to_owned()));
        assert!(broken(|it| it.headers[0].0 = "X:\r\nY".to_owned()));
        assert!(broken(|it| it.headers[0].0 = String::new()));
        assert!(broken(|it| it.attachments.push(Attachment {
            filename: "a".to_owned(),
            content_type: "nonsense".to_owned(),
            content: String::new(),
        })));
    }
}
