//! `GET /local/inbox`: the mail that the platform has sent, newest first, as a
//! page or as JSON.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use embedded::{Inbox, Letter};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{escaped, page};

/// How many mails are shown unless it's said, and the most.
const SHOWN: u32 = 100;
const MOST: u32 = 1000;

pub(super) fn router(inbox: Arc<Inbox>) -> Router {
    Router::new().route("/local/inbox", get(shown_inbox)).with_state(inbox)
}

/// What is to be shown, and how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    to: Option<String>,
    limit: Option<u32>,
    as_json: bool,
}

impl Wish {
    fn of(query: &str) -> Self {
        let mut wish = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy();
            match name {
                "to" if !value.is_empty() => wish.to = Some(value.into_owned()),
                "limit" => wish.limit = value.parse().ok(),
                "format" => wish.as_json = value == "json",
                _ => {}
            }
        }
        wish
    }
}

async fn shown_inbox(State(inbox): State<Arc<Inbox>>, RawQuery(query): RawQuery) -> Response {
    let wish = Wish::of(query.as_deref().unwrap_or_default());
    let limit = wish.limit.unwrap_or(SHOWN).clamp(1, MOST);
    let letters = match inbox.newest(wish.to.as_deref(), limit, None).await {
        Ok(page) => page.items,
        Err(error) => {
            tracing::error!(error = %error, "the inbox can't be read");
            return super::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "state": "failing" }));
        }
    };
    if wish.as_json {
        let letters = letters.iter().map(as_json).collect();
        return super::json(StatusCode::OK, &Value::Array(letters));
    }
    page("Inbox", &body(&letters, wish.to.as_deref()), POLICY)
}

fn as_json(letter: &Letter) -> Value {
    let Letter { message, sent_at, .. } = letter;
    let own = ("Message-ID".to_owned(), format!("<{}>", message.message_id));
    let headers = std::iter::once(&own).chain(&message.headers);
    let headers: Map<_, _> =
        headers.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({
        "to": message.to,
        "to_name": message.to_name,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "headers": headers,
        "attachments": message.attachments,
        "sent_at": sent_at,
    })
}

/// A mail's own styles are welcome; a script of its couldn't run.
const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

fn body(letters: &[Letter], to: Option<&str>) -> String {
    let mut body = format!(
        "<h1>Inbox</h1>\n<form><label>To <input name=\"to\" type=\"search\" value=\"{}\"></label>\
        </form>\n<p>{} mails, newest first. <a href=\"?format=json\">As JSON</a></p>\n",
        escaped(to.unwrap_or_default()),
        letters.len(),
    );
    for letter in letters {
        body.push_str(&shown(letter));
    }
    body
}

/// A mail. Its HTML is shown in a frame that may do nothing at all.
fn shown(letter: &Letter) -> String {
    let Letter { message, sent_at, .. } = letter;
    let mut shown = format!(
        "<details>\n<summary><time>{sent_at}</time><strong>{}</strong> to {}</summary>\n",
        escaped(&message.subject),
        escaped(&message.to),
    );
    let _ = writeln!(shown, "<pre>{}</pre>", escaped(&message.text));
    let _ = writeln!(
        shown,
        "<iframe sandbox title=\"HTML\" srcdoc=\"{}\"></iframe>",
        escaped(&message.html)
    );
    for (name, value) in &message.headers {
        let _ = writeln!(shown, "<p><code>{}: {}</code></p>", escaped(name), escaped(value));
    }
    for attachment in &message.attachments {
        let _ = writeln!(
            shown,
            "<details><summary>{} <code>{}</code></summary><pre>{}</pre></details>",
            escaped(&attachment.filename),
            escaped(&attachment.content_type),
            escaped(&attachment.content),
        );
    }
    shown.push_str("</details>\n");
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(subject: &str, html: &str) -> Letter {
        serde_json::from_value(json!({
            "id": "l1",
            "sent_at": "2026-03-02T12:00:00.000Z",
            "recipient": "ada@example.com",
            "message": {
                "message_id": "m1@aula.example", "to": "Ada@example.com", "to_name": "Ada",
                "subject": subject, "text": "<b>text</b>", "html": html,
                "headers": [["X-Aula-Ref", "users/1"]],
                "attachments": [{
                    "filename": "a.ics", "content_type": "text/calendar", "content": "BEGIN",
                }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_query_says_what_is_shown() {
        let wish = Wish::of("format=json&to=a%2Bb%40c.org&limit=5&color=red");
        let to = Some("a+b@c.org".to_owned());
        assert_eq!(wish, Wish { to, limit: Some(5), as_json: true });
        assert_eq!(Wish::of("to=&limit=x"), Wish::default());
    }

    #[test]
    fn no_mail_can_leave_its_frame() {
        let attack = "\"></iframe><script>alert(1)</script>";
        let shown = shown(&letter(attack, attack));
        assert!(!shown.contains("<script") && !shown.contains("\"></iframe><s"));
        assert!(!shown.contains("<b>text"));
        assert_eq!(shown.matches("<iframe sandbox title").count(), 1);
    }

    #[test]
    fn json_has_what_a_reader_of_mail_wants() {
        let json = as_json(&letter("Hi", "<p>"));
        assert_eq!(json["headers"]["Message-ID"], "<m1@aula.example>");
        assert_eq!(json["headers"]["X-Aula-Ref"], "users/1");
        assert_eq!(json["attachments"][0]["filename"], "a.ics");
        assert_eq!(json["sent_at"], "2026-03-02T12:00:00.000Z");
    }
}
