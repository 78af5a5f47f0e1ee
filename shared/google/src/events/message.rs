//! An event as a message: the attributes of `CloudEvents` 1.0 in binary mode,
//! and the event's data as the content.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use contracts::Timestamp;
use http::{HeaderMap, HeaderName};
use runtime::Envelope;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// What things are called on the bus.
#[derive(Clone, Debug)]
pub struct Names {
    project: String,
    prefix: String,
}

impl Names {
    /// The names in a project, which begin with a prefix.
    pub fn new(project: &str, prefix: &str) -> Self {
        Self { project: project.to_owned(), prefix: prefix.to_owned() }
    }

    /// The topic of a type of event.
    pub fn topic(&self, kind: &str) -> String {
        format!("projects/{}/topics/{}{kind}", self.project, self.prefix)
    }

    /// The subscription of a subscriber.
    pub fn subscription(&self, function: &str) -> String {
        let service = runtime::service_name(function);
        format!("projects/{}/subscriptions/{}{service}", self.project, self.prefix)
    }

    /// The topic of what nobody could take.
    pub fn dead_letters_topic(&self) -> String {
        self.topic("dead-letters")
    }

    /// The subscription that keeps what nobody could take.
    pub fn dead_letters(&self) -> String {
        format!("projects/{}/subscriptions/{}dead-letters", self.project, self.prefix)
    }

    /// The service of the subscriber that a subscription, named without its
    /// project, is of.
    #[cfg(feature = "tools")]
    pub(super) fn service<'a>(&self, subscription: &'a str) -> Option<&'a str> {
        subscription.strip_prefix(&self.prefix)
    }
}

/// The attribute that says that one subscriber alone is meant, by its service:
/// it's replayed to the one that couldn't take it.
pub(super) const ONLY: &str = "aula-only";

/// The attribute with the event's id.
const ID: &str = "ce-id";

/// An event's attributes.
pub(super) fn attributes(event: &Envelope) -> Vec<(&'static str, String)> {
    vec![
        ("ce-specversion", "1.0".to_owned()),
        (ID, event.id.clone()),
        ("ce-type", event.kind.clone()),
        ("ce-source", event.source.clone()),
        ("ce-subject", event.subject.clone()),
        ("ce-time", event.emitted_at.to_string()),
        ("ce-correlationid", event.correlation_id.clone()),
        ("ce-causationid", event.causation_id.clone()),
        ("traceparent", event.traceparent.clone()),
        ("content-type", "application/json".to_owned()),
    ]
}

/// What was pushed.
pub(super) struct Pushed {
    /// The event; or why it isn't one.
    pub event: Result<Envelope, String>,
    /// The service of the subscriber that alone is meant, if one is.
    pub only: Option<String>,
    /// The trace that it says it belongs to.
    pub traceparent: Option<String>,
}

/// The body of a push, wrapped.
#[derive(Deserialize)]
struct Wrapped {
    message: WrappedMessage,
}

#[derive(Deserialize)]
pub(super) struct WrappedMessage {
    #[serde(default)]
    pub data: String,
    #[serde(default)]
    pub attributes: HashMap<String, String>,
    #[cfg(feature = "tools")]
    #[serde(default, rename = "messageId")]
    pub message_id: String,
}

impl Pushed {
    /// Reads a push: the attributes are headers and the body is the event, or
    /// both are wrapped in JSON.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if headers.contains_key(ID) {
            let attribute = |name: &str| {
                let name = HeaderName::try_from(name).ok()?;
                Some(headers.get(name)?.to_str().ok()?.to_owned())
            };
            let data = String::from_utf8(body.to_vec()).map_err(|_| "it isn't UTF-8".to_owned());
            return Self::of(attribute, data);
        }
        match read_wrapped(body) {
            Ok(message) => message.read(),
            Err(because) => Self { event: Err(because), only: None, traceparent: None },
        }
    }

    fn of(attribute: impl Fn(&str) -> Option<String>, data: Result<String, String>) -> Self {
        let traceparent = attribute("traceparent");
        Self { only: attribute(ONLY), event: event(attribute, data), traceparent }
    }
}

/// Reads what is wrapped in JSON.
pub(super) fn read_wrapped(body: &[u8]) -> Result<WrappedMessage, String> {
    let wrapped = serde_json::from_slice::<Wrapped>(body);
    wrapped.map(|it| it.message).map_err(|error| format!("it isn't a push of Pub/Sub: {error}"))
}

/// A push as it's kept: wrapped, whether or not it was, so that nothing is
/// missing when it's published once more.
pub(super) fn wrapped(headers: &HeaderMap, body: &[u8]) -> String {
    if !headers.contains_key(ID) {
        return String::from_utf8_lossy(body).into_owned();
    }
    let is_ours = |name: &str| {
        name.starts_with("ce-") || matches!(name, "traceparent" | "content-type") || name == ONLY
    };
    let attributes = headers.iter().filter(|(name, _)| is_ours(name.as_str()));
    let attributes: BTreeMap<_, _> = attributes
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let message = json!({ "data": BASE64_STANDARD.encode(body), "attributes": attributes });
    json!({ "message": message }).to_string()
}

impl WrappedMessage {
    /// The event that it is.
    pub fn read(mut self) -> Pushed {
        let data = BASE64_STANDARD.decode(&self.data).map_err(|_| "it isn't Base64".to_owned());
        let data =
            data.and_then(|it| String::from_utf8(it).map_err(|_| "it isn't UTF-8".to_owned()));
        let attributes = std::mem::take(&mut self.attributes);
        Pushed::of(|name| attributes.get(name).cloned(), data)
    }
}

fn event(
    attribute: impl Fn(&str) -> Option<String>,
    data: Result<String, String>,
) -> Result<Envelope, String> {
    let needed = |name: &str| attribute(name).ok_or_else(|| format!("it has no {name}"));
    let emitted_at: Result<Timestamp, _> = needed("ce-time")?.parse();
    let data = RawValue::from_string(data?).map_err(|error| format!("it isn't JSON: {error}"))?;
    let id = needed(ID)?;
    Ok(Envelope {
        kind: needed("ce-type")?,
        source: needed("ce-source")?,
        subject: attribute("ce-subject").unwrap_or_default(),
        emitted_at: emitted_at.map_err(|_| "its ce-time isn't a time".to_owned())?,
        traceparent: attribute("traceparent").unwrap_or_default(),
        correlation_id: attribute("ce-correlationid").unwrap_or_else(|| id.clone()),
        causation_id: attribute("ce-causationid").unwrap_or_else(|| id.clone()),
        id,
        data,
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn told() -> Envelope {
        Envelope {
            id: "e1".to_owned(),
            kind: "things.told.v1".to_owned(),
            source: "things".to_owned(),
            subject: "a".to_owned(),
            emitted_at: Timestamp::from_millis(1_772_452_800_123),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            correlation_id: "c".to_owned(),
            causation_id: "d".to_owned(),
            data: RawValue::from_string(r#"{"id":"ñ"}"#.to_owned()).unwrap(),
        }
    }

    fn same(read: Pushed) {
        let read = serde_json::to_value(read.event.unwrap()).unwrap();
        assert_eq!(read, serde_json::to_value(told()).unwrap());
    }

    #[test]
    fn an_event_survives_the_way_wrapped_or_not() {
        let event = told();
        let attributes: HashMap<_, _> = attributes(&event).into_iter().collect();
        let data = BASE64_STANDARD.encode(event.data.get());
        // Pub/Sub gives some members twice, in two spellings.
        let wrapped = json!({ "subscription": "s", "message": {
            "data": data, "attributes": attributes, "messageId": "1", "message_id": "1",
            "publishTime": "2026-02-26T19:13:55.749Z", "publish_time": "2026-02-26T19:13:55.749Z",
        } });
        same(Pushed::read(&HeaderMap::new(), wrapped.to_string().as_bytes()));

        let mut headers = HeaderMap::new();
        for (name, value) in attributes {
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::try_from(value).unwrap());
        }
        same(Pushed::read(&headers, event.data.get().as_bytes()));

        // What is kept of it is the same event, wrapped.
        let kept = super::wrapped(&headers, event.data.get().as_bytes());
        same(Pushed::read(&HeaderMap::new(), kept.as_bytes()));
    }

    #[test]
    fn what_is_no_event_says_why() {
        let why = |body: &str| {
            Pushed::read(&HeaderMap::new(), body.as_bytes()).event.map(drop).unwrap_err()
        };
        assert!(why("{}").starts_with("it isn't a push of Pub/Sub"));
        assert_eq!(why(r#"{"message":{"messageId":"1"}}"#), "it has no ce-time");
        let mut attributes: HashMap<_, _> = attributes(&told()).into_iter().collect();
        let body = |attributes: &HashMap<_, _>, data: &str| {
            json!({ "message": { "data": data, "attributes": attributes } }).to_string()
        };
        assert_eq!(why(&body(&attributes, "*")), "it isn't Base64");
        assert!(why(&body(&attributes, "e30u")).starts_with("it isn't JSON"));
        attributes.remove("ce-id");
        assert_eq!(why(&body(&attributes, "e30=")), "it has no ce-id");
    }

    #[test]
    fn names_begin_with_their_prefix() {
        let names = Names::new("p", "dev-");
        assert_eq!(names.topic("courses.created.v1"), "projects/p/topics/dev-courses.created.v1");
        let subscription = names.subscription("enrollments.on_courses_deleted");
        assert_eq!(subscription, "projects/p/subscriptions/dev-enrollments-on-courses-deleted");
        #[cfg(feature = "tools")]
        assert_eq!(names.service("dev-enrollments-on-x"), Some("enrollments-on-x"));
    }
}
