//! Calendars: a section's meetings as an `.ics` file (RFC 5545) that adds them
//! to a person's calendar, moves them there, or takes them out (RFC 5546).

use contracts::{Timestamp, courses::MeetingFacts, enrollments::EnrollmentId};
use icalendar::{Calendar, Component, Event, EventLike, Property};
use runtime::{derived_id, mail::Attachment};

use crate::line::{one_line, web_link};

/// What a file does to a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Adds meetings, or moves those that are there.
    Request,
    /// Takes meetings out.
    Cancel,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// Whose calendar it is for, and what stands in it.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    /// Whose.
    pub enrollment_id: &'a EnrollmentId,
    /// What the meetings are called.
    pub summary: &'a str,
    /// Grows with each change, or calendars ignore it.
    pub sequence: u32,
    /// The person's address: some calendars only take what is for their owner.
    pub attendee: &'a str,
    /// The host that organizes, in the name of which nobody reads mail.
    pub host: &'a str,
    /// When this is written.
    pub now: Timestamp,
}

impl Entries<'_> {
    /// The file for some meetings; none if there are none.
    pub fn attached<'m>(
        &self,
        method: Method,
        meetings: impl Iterator<Item = &'m MeetingFacts>,
    ) -> Option<Attachment> {
        let mut calendar = Calendar::empty();
        for (name, value) in [
            ("VERSION", "2.0"),
            ("PRODID", "-//Aula//Aula//EN"),
            ("CALSCALE", "GREGORIAN"),
            ("METHOD", method.as_str()),
        ] {
            calendar.append_property(Property::new(name, value));
        }
        calendar.extend(meetings.map(|meeting| self.event(method, meeting)));
        calendar.events().next()?;
        let filename = match method {
            Method::Request => "invite.ics",
            Method::Cancel => "cancel.ics",
        };
        Some(Attachment {
            filename: filename.to_owned(),
            content_type: format!("text/calendar; method={}; charset=utf-8", method.as_str()),
            content: calendar.to_string(),
        })
    }

    fn event(&self, method: Method, meeting: &MeetingFacts) -> Event {
        let mut event = Event::new();
        // Not of the platform's address: it may move, and the meeting stays the same.
        let id = derived_id(&["meeting", &meeting.id, self.enrollment_id.as_str()]);
        event
            .uid(&format!("{id}@aula"))
            .sequence(self.sequence)
            .summary(&one_line(self.summary))
            .add_property("DTSTAMP", utc(self.now))
            .add_property("DTSTART", utc(meeting.starts_at))
            .add_property("DTEND", utc(meeting.ends_at))
            .append_property(
                Property::new("ORGANIZER", format!("mailto:no-reply@{}", self.host))
                    .add_parameter("CN", "Aula")
                    .done(),
            );
        if let Some(location) = &meeting.location {
            event.location(&one_line(location));
        }
        if let Some(url) = meeting.url.as_deref().and_then(web_link) {
            event.url(url).description(url);
        }
        if is_plain_address(self.attendee) {
            // Nobody is asked to answer: who can't come leaves the section.
            event.append_multi_property(
                Property::new("ATTENDEE", format!("mailto:{}", self.attendee))
                    .add_parameter("PARTSTAT", "ACCEPTED")
                    .add_parameter("RSVP", "FALSE")
                    .done(),
            );
        }
        event.add_property(
            "STATUS",
            match method {
                Method::Request => "CONFIRMED",
                Method::Cancel => "CANCELLED",
            },
        );
        event.done()
    }
}

/// A time as calendars write it, in UTC: `20261207T230000Z`.
fn utc(at: Timestamp) -> String {
    at.as_jiff().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether an address can stand in a `mailto:` as it is.
fn is_plain_address(address: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".!#$*+-=^_~@".contains(&it);
    address.bytes().all(plain) && address.bytes().filter(|it| *it == b'@').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{meeting, time};

    fn file(method: Method, summary: &str, sequence: u32, meetings: &[MeetingFacts]) -> String {
        let enrollment_id = EnrollmentId::from("e1");
        let entries = Entries {
            enrollment_id: &enrollment_id,
            summary,
            sequence,
            attendee: "ada@mail.example",
            host: "aula.example",
            now: time("2026-03-02T12:00:00Z"),
        };
        let file = entries.attached(method, meetings.iter()).unwrap();
        let name = format!("text/calendar; method={}; charset=utf-8", method.as_str());
        assert_eq!(file.content_type, name);
        file.content
    }

    fn line<'a>(file: &'a str, name: &str) -> &'a str {
        file.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {file}"))
    }

    #[test]
    fn a_meeting_keeps_its_uid_when_it_is_moved_and_when_it_is_cancelled() {
        let (first, second) = ("2026-03-09T22:00:00Z", "2026-03-10T22:00:00Z");
        let added = file(Method::Request, "Rust", 0, &[meeting("m1", first)]);
        let moved = file(Method::Request, "Rust", 1, &[meeting("m1", second)]);
        let gone = file(Method::Cancel, "Rust", 2, &[meeting("m1", second)]);
        assert_eq!(line(&added, "UID"), line(&moved, "UID"));
        assert_eq!(line(&added, "UID"), line(&gone, "UID"));
        assert_eq!(line(&moved, "DTSTART"), "DTSTART:20260310T220000Z");
        assert_eq!(line(&moved, "SEQUENCE"), "SEQUENCE:1");
        assert_eq!(
            (line(&gone, "METHOD"), line(&gone, "STATUS")),
            ("METHOD:CANCEL", "STATUS:CANCELLED")
        );
        let other = file(Method::Request, "Rust", 0, &[meeting("m2", first)]);
        assert_ne!(line(&added, "UID"), line(&other, "UID"));
    }

    #[test]
    fn there_is_an_event_for_each_meeting_and_no_file_without_any() {
        let first = meeting("m1", "2026-03-09T22:00:00Z");
        let second = meeting("m2", "2026-03-16T22:00:00Z");
        let both = file(Method::Request, "Rust", 0, &[first, second]);
        assert_eq!(both.matches("BEGIN:VEVENT").count(), 2);
        let enrollment_id = EnrollmentId::from("e1");
        let now = time("2026-03-02T12:00:00Z");
        let entries = Entries {
            enrollment_id: &enrollment_id,
            summary: "",
            sequence: 0,
            attendee: "",
            host: "aula.example",
            now,
        };
        assert_eq!(entries.attached(Method::Request, std::iter::empty()), None);
    }

    #[test]
    fn no_name_adds_a_property() {
        let hostile = MeetingFacts {
            location: Some("Room 1\r\nATTENDEE:mailto:eve@mail.example".into()),
            url: Some("https://a.example\r\nX-EVIL:1".into()),
            ..meeting("m1\r\nX-EVIL:1", "2026-03-09T22:00:00Z")
        };
        let summary = "Rust, C; and\r\nEND:VEVENT\r\nX-EVIL:1";
        let file = file(Method::Request, summary, 0, &[hostile]);
        assert_eq!(line(&file, "SUMMARY"), r"SUMMARY:Rust\, C\; and END:VEVENT X-EVIL:1");
        assert!(!file.lines().any(|line| line.starts_with("X-EVIL")), "{file}");
        assert_eq!(file.lines().filter(|line| line.starts_with("ATTENDEE")).count(), 1);
        assert_eq!(file.lines().filter(|line| *line == "END:VEVENT").count(), 1);
        assert!(!file.contains("URL"), "{file}");
    }

    #[test]
    fn lines_are_folded_and_end_as_they_must() {
        let file = file(
            Method::Request,
            &"ñandú ".repeat(50),
            0,
            &[meeting("m1", "2026-03-09T22:00:00Z")],
        );
        assert!(file.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{file}");
        assert!(file.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn an_address_that_could_break_out_is_left_out() {
        assert!(is_plain_address("ada.lovelace+aula@mail.example"));
        for address in ["", "ada", "a@b@c", "\"a b\"@c", "a@b,c@d", "a@b;X=1", "a%0d@b", "é@b.c"] {
            assert!(!is_plain_address(address), "{address}");
        }
    }
}
