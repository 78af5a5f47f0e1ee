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

    const fn file(self) -> &'static str {
        match self {
            Self::Request => "invite",
            Self::Cancel => "cancel",
        }
    }
}

/// How many files a message carries: the feed of the calendar has all.
const FILES_MOST: usize = 50;

/// A calendar with nothing in it.
fn calendar() -> Calendar {
    let mut calendar = Calendar::empty();
    for (name, value) in
        [("VERSION", "2.0"), ("PRODID", "-//Aula//Aula//EN"), ("CALSCALE", "GREGORIAN")]
    {
        calendar.append_property(Property::new(name, value));
    }
    calendar
}

/// A meeting as it stands in a person's feed.
#[derive(Clone, Debug)]
pub struct FeedEntry<'a> {
    /// The enrollment by which it's the person's.
    pub enrollment_id: &'a EnrollmentId,
    /// The meeting.
    pub meeting: &'a MeetingFacts,
    /// What it's called.
    pub summary: &'a str,
    /// Grows with each change.
    pub sequence: u32,
    /// Whether it won't take place, or not with this person.
    pub cancelled: bool,
}

/// A person's feed: a calendar that isn't addressed to anyone (RFC 5545), with
/// as many events as there are.
pub fn feed<'a>(entries: impl Iterator<Item = FeedEntry<'a>>, now: Timestamp) -> String {
    let mut calendar = calendar();
    for (property, value) in
        [("NAME", "Aula"), ("X-WR-CALNAME", "Aula"), ("X-PUBLISHED-TTL", "PT1H")]
    {
        calendar.append_property(Property::new(property, value));
    }
    let hourly =
        Property::new("REFRESH-INTERVAL", "PT1H").add_parameter("VALUE", "DURATION").done();
    calendar.append_property(hourly);
    for entry in entries {
        let FeedEntry { enrollment_id, meeting, summary, sequence, cancelled } = entry;
        let mut event = described(enrollment_id, meeting, summary, sequence, now);
        event.add_property("STATUS", if cancelled { "CANCELLED" } else { "CONFIRMED" });
        // What won't take place needn't keep the person from anything else.
        event.add_property("TRANSP", if cancelled { "TRANSPARENT" } else { "OPAQUE" });
        calendar.push(event.done());
    }
    let is_empty = calendar.events().next().is_none();
    let text = calendar.to_string();
    // A calendar must have some component; the zone of its times says nothing new.
    if is_empty { text.replace("END:VCALENDAR", &format!("{UTC}END:VCALENDAR")) } else { text }
}

/// The zone that times are written in.
const UTC: &str = "BEGIN:VTIMEZONE\r\nTZID:UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n\
     TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";

/// A meeting as an event, whatever calendar it is for.
fn described(
    enrollment_id: &EnrollmentId,
    meeting: &MeetingFacts,
    summary: &str,
    sequence: u32,
    now: Timestamp,
) -> Event {
    let mut event = Event::new();
    // Not of the platform's address: it may move, and the meeting stays the same.
    let id = derived_id(&["meeting", &meeting.id, enrollment_id.as_str()]);
    event
        .uid(&format!("{id}@aula"))
        .sequence(sequence)
        .summary(&one_line(summary))
        .add_property("DTSTAMP", utc(now))
        .add_property("DTSTART", utc(meeting.starts_at))
        .add_property("DTEND", utc(meeting.ends_at));
    if let Some(location) = &meeting.location {
        event.location(&one_line(location));
    }
    if let Some(url) = meeting.url.as_deref().and_then(web_link) {
        event.url(url).description(url);
    }
    event
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
    /// The files for some meetings, the first ones if there are too many: one
    /// for each, for a request and a cancellation are of one event (RFC 5546).
    pub fn attached<'m>(
        &self,
        method: Method,
        meetings: impl Iterator<Item = &'m MeetingFacts>,
    ) -> Vec<Attachment> {
        let meetings: Vec<_> = meetings.take(FILES_MOST).collect();
        let file = |(number, meeting): (usize, &MeetingFacts)| {
            let mut calendar = calendar();
            calendar.append_property(Property::new("METHOD", method.as_str()));
            calendar.push(self.event(method, meeting));
            let (method, name) = (method.as_str(), method.file());
            Attachment {
                filename: if meetings.len() == 1 {
                    format!("{name}.ics")
                } else {
                    format!("{name}-{}.ics", number + 1)
                },
                content_type: format!("text/calendar; method={method}; charset=utf-8"),
                content: calendar.to_string(),
            }
        };
        meetings.iter().copied().enumerate().map(file).collect()
    }

    fn event(&self, method: Method, meeting: &MeetingFacts) -> Event {
        let Self { enrollment_id, summary, sequence, host, now, .. } = self;
        let mut event = described(enrollment_id, meeting, summary, *sequence, *now);
        event.append_property(
            Property::new("ORGANIZER", format!("mailto:no-reply@{host}"))
                .add_parameter("CN", "Aula")
                .done(),
        );
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
        let file = entries.attached(method, meetings.iter()).remove(0);
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
    fn each_meeting_has_a_file_of_its_own_for_one_request_is_of_one_event() {
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
        let all: Vec<_> =
            (0..60).map(|it| meeting(&format!("m{it}"), "2026-03-09T22:00:00Z")).collect();
        let files = |count: usize| entries.attached(Method::Request, all[..count].iter());
        assert_eq!(files(0), []);
        assert_eq!(files(1)[0].filename, "invite.ics");
        let two = files(2);
        assert_eq!((&*two[0].filename, &*two[1].filename), ("invite-1.ics", "invite-2.ics"));
        assert!(two.iter().all(|it| it.content.matches("BEGIN:VEVENT").count() == 1));
        assert_eq!(files(60).len(), FILES_MOST);
    }

    #[test]
    fn a_feed_has_all_with_the_uids_that_mail_has() {
        let enrollment_id = EnrollmentId::from("e1");
        let (first, second) = ("2026-03-09T22:00:00Z", "2026-03-16T22:00:00Z");
        let meetings = [meeting("m1", first), meeting("m2", second)];
        let entry = |meeting, cancelled| FeedEntry {
            enrollment_id: &enrollment_id,
            meeting,
            summary: "Rust",
            sequence: 3,
            cancelled,
        };
        let entries = [entry(&meetings[0], false), entry(&meetings[1], true)];
        let feed = feed(entries.into_iter(), time("2026-03-02T12:00:00Z"));
        let mailed = file(Method::Request, "Rust", 3, &meetings[..1]);
        assert!(feed.contains(line(&mailed, "UID")) && feed.contains("SEQUENCE:3\r\n"), "{feed}");
        assert_eq!(feed.matches("BEGIN:VEVENT").count(), 2);
        assert_eq!(feed.matches("STATUS:CANCELLED").count(), 1);
        assert!(feed.contains("REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n"), "{feed}");
        for none in ["METHOD", "ATTENDEE", "ORGANIZER"] {
            assert!(!feed.contains(none), "{feed}");
        }
        insta::assert_snapshot!(feed.replace("\r\n", "\n"));
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
