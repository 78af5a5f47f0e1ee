//! When and where people gather: a section's dates and its meetings.

use contracts::{TimeZone, courses::MeetingFacts};
use runtime::prelude::*;

use crate::{change::Change, forms::WebAddress, ids::Ids};

/// The most meetings that a section has.
const MEETINGS: usize = 100;
/// How long the beginning of a section without an end is taken to last.
const HOUR_MINUTES: i64 = 60;

/// When and where people gather.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub time_zone: TimeZone,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    /// In the order of time.
    pub meetings: Vec<Meeting>,
}

/// One gathering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meeting {
    /// Made by the platform; it stays when the meeting is moved.
    pub id: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Where people gather.
    pub location: Option<String>,
    /// Where people gather on the web; shown to the course's instructors alone,
    /// and mailed to those who have a seat.
    pub url: Option<String>,
}

/// A meeting of a new section.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMeeting {
    /// When it begins.
    starts_at: Timestamp,
    /// When it ends, which is later.
    ends_at: Timestamp,
    /// Where people gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Line<1, 300>>,
    /// Where people gather on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<WebAddress>,
}

/// A meeting as it's to be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisedMeeting {
    /// The meeting that is changed; a new one has none. If none of the meetings
    /// sent has an id, each is taken for the one that was at its time, or else
    /// for the next that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// When it begins.
    starts_at: Timestamp,
    /// When it ends, which is later.
    ends_at: Timestamp,
    /// Where people gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Line<1, 300>>,
    /// Where people gather on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<WebAddress>,
}

impl From<NewMeeting> for RevisedMeeting {
    fn from(NewMeeting { starts_at, ends_at, location, url }: NewMeeting) -> Self {
        Self { id: None, starts_at, ends_at, location, url }
    }
}

/// What is to be changed about when and where people gather.
#[derive(Clone, Debug, Default)]
pub struct CalendarChanges {
    pub time_zone: Change<TimeZone>,
    pub starts_at: Change<Option<Timestamp>>,
    pub ends_at: Change<Option<Timestamp>>,
    pub meetings: Change<Vec<RevisedMeeting>>,
}

impl Calendar {
    /// The calendar as it would be with some changes. Dates that aren't said
    /// are those of the meetings; where both say the same, they move together.
    pub fn with(
        &self,
        changes: CalendarChanges,
        faults: &mut Faults,
        new_id: impl FnMut() -> String,
    ) -> Self {
        let (starts_said, ends_said) = (!changes.starts_at.is_keep(), !changes.ends_at.is_keep());
        let meetings_said = !changes.meetings.is_keep();
        let mut next = self.clone();
        changes.time_zone.apply(&mut next.time_zone);
        changes.starts_at.apply(&mut next.starts_at);
        changes.ends_at.apply(&mut next.ends_at);
        if let Change::To(sent) = changes.meetings {
            next.meetings = revise(&self.meetings, sent, faults, new_id);
            if !next.meetings.is_empty() && !starts_said && self.starts_at == self.first_start() {
                next.starts_at = None;
            }
            if !next.meetings.is_empty() && !ends_said && self.ends_at == self.last_end() {
                next.ends_at = None;
            }
        } else if let [only] = &mut next.meetings[..]
            && (self.starts_at, self.ends_at) == (Some(only.starts_at), Some(only.ends_at))
        {
            only.starts_at = next.starts_at.unwrap_or(only.starts_at);
            only.ends_at = next.ends_at.unwrap_or(only.ends_at);
        }
        next.starts_at = next.starts_at.or(next.first_start());
        next.ends_at = next.ends_at.or(next.last_end());
        next.check(meetings_said, faults);
        next
    }

    fn first_start(&self) -> Option<Timestamp> {
        self.meetings.iter().map(|meeting| meeting.starts_at).min()
    }

    fn last_end(&self) -> Option<Timestamp> {
        self.meetings.iter().map(|meeting| meeting.ends_at).max()
    }

    fn check(&self, meetings_said: bool, faults: &mut Faults) {
        let in_order = self.starts_at.zip(self.ends_at).is_none_or(|(start, end)| start < end);
        faults.unless(
            in_order,
            "ends_at",
            "not-after-start",
            "A section ends after it starts.",
            "Una sección termina después de comenzar.",
        );
        if !in_order {
            return;
        }
        let field =
            |name: &str| if meetings_said { "meetings".to_owned() } else { name.to_owned() };
        faults.unless(
            self.first_start()
                .is_none_or(|first| self.starts_at.is_none_or(|start| start <= first)),
            &field("starts_at"),
            "before-the-section",
            "A meeting would begin before the section starts.",
            "Un encuentro comenzaría antes que la sección.",
        );
        faults.unless(
            self.last_end().is_none_or(|last| self.ends_at.is_none_or(|end| last <= end)),
            &field("ends_at"),
            "after-the-section",
            "A meeting would last longer than the section.",
            "Un encuentro terminaría después que la sección.",
        );
    }

    /// The gatherings that people are reminded of. A section that begins at
    /// some time and names no meeting is one itself, under its own id.
    pub fn gatherings(&self, section_id: &str) -> Vec<MeetingFacts> {
        if self.meetings.is_empty()
            && let Some(starts_at) = self.starts_at
        {
            let ends_at = self.ends_at.unwrap_or(starts_at.plus_minutes(HOUR_MINUTES));
            let id = section_id.to_owned();
            return vec![MeetingFacts { id, starts_at, ends_at, location: None, url: None }];
        }
        let facts = |meeting: &Meeting| MeetingFacts {
            id: meeting.id.clone(),
            starts_at: meeting.starts_at,
            ends_at: meeting.ends_at,
            location: meeting.location.clone(),
            url: meeting.url.clone(),
        };
        self.meetings.iter().map(facts).collect()
    }
}

/// Revises meetings, so that each keeps its id when it's moved.
fn revise(
    old: &[Meeting],
    sent: Vec<RevisedMeeting>,
    faults: &mut Faults,
    mut new_id: impl FnMut() -> String,
) -> Vec<Meeting> {
    faults.unless(
        sent.len() <= MEETINGS,
        "meetings",
        "too-many",
        "A section has at most 100 meetings.",
        "Una sección tiene como máximo 100 encuentros.",
    );
    let nameless = sent.iter().all(|meeting| meeting.id.is_none());
    let mut left: Vec<&Meeting> = if nameless { old.iter().collect() } else { Vec::new() };
    let mut ids = Ids::of(old.iter().map(|meeting| meeting.id.as_str()));
    let mut meetings = Vec::with_capacity(sent.len());
    for (at, meeting) in sent.into_iter().enumerate() {
        let field = format!("meetings[{at}]");
        faults.unless(
            meeting.starts_at < meeting.ends_at,
            &format!("{field}.ends_at"),
            "not-after-start",
            "A meeting ends after it starts.",
            "Un encuentro termina después de comenzar.",
        );
        meetings.push(Meeting {
            id: ids.keep(meeting.id, &field, faults).unwrap_or_default(),
            starts_at: meeting.starts_at,
            ends_at: meeting.ends_at,
            location: meeting.location.map(String::from),
            url: meeting.url.map(|url| url.to_string()),
        });
    }
    meetings.sort_by_key(|meeting| (meeting.starts_at, meeting.ends_at));
    for meeting in meetings.iter_mut().filter(|meeting| meeting.id.is_empty()) {
        let time = (meeting.starts_at, meeting.ends_at);
        if let Some(at) = left.iter().position(|old| (old.starts_at, old.ends_at) == time) {
            meeting.id.clone_from(&left.remove(at).id);
        }
    }
    let mut left = left.into_iter();
    for meeting in meetings.iter_mut().filter(|meeting| meeting.id.is_empty()) {
        meeting.id = left.next().map_or_else(&mut new_id, |old| old.id.clone());
    }
    meetings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus_minutes(hour * 60)
    }

    fn meetings(hours: &[(i64, i64)]) -> Value {
        let meeting =
            |(start, end): &(i64, i64)| json!({ "starts_at": hour(*start), "ends_at": hour(*end) });
        hours.iter().map(meeting).collect()
    }

    fn sent(meetings: Value) -> Change<Vec<RevisedMeeting>> {
        Change::To(serde_json::from_value(meetings).unwrap())
    }

    fn with(old: &Calendar, changes: CalendarChanges) -> (Calendar, Faults) {
        let (mut faults, mut last) = (Faults::new(), old.meetings.len() * 10);
        let next = old.with(changes, &mut faults, || {
            last += 1;
            format!("m{last}")
        });
        (next, faults)
    }

    fn of_meetings(hours: &[(i64, i64)]) -> Calendar {
        let changes =
            CalendarChanges { meetings: sent(meetings(hours)), ..CalendarChanges::default() };
        with(&Calendar::default(), changes).0
    }

    fn ids(calendar: &Calendar) -> Vec<&str> {
        calendar.meetings.iter().map(|meeting| meeting.id.as_str()).collect()
    }

    #[test]
    fn dates_that_are_not_said_are_those_of_the_meetings() {
        let calendar = of_meetings(&[(5, 6), (1, 2)]);
        assert_eq!((calendar.starts_at, calendar.ends_at), (Some(hour(1)), Some(hour(6))));
        assert_eq!(calendar.meetings[0].starts_at, hour(1));
    }

    #[test]
    fn dates_and_meetings_that_say_the_same_move_together() {
        let later = CalendarChanges {
            meetings: sent(meetings(&[(3, 4), (7, 9)])),
            ..CalendarChanges::default()
        };
        let (moved, faults) = with(&of_meetings(&[(1, 2), (5, 6)]), later);
        assert!(faults.is_empty());
        assert_eq!((moved.starts_at, moved.ends_at), (Some(hour(3)), Some(hour(9))));

        let later = CalendarChanges {
            starts_at: Change::To(Some(hour(3))),
            ends_at: Change::To(Some(hour(4))),
            ..CalendarChanges::default()
        };
        let (moved, faults) = with(&of_meetings(&[(1, 2)]), later);
        assert!(faults.is_empty());
        assert_eq!((moved.meetings[0].starts_at, moved.meetings[0].ends_at), (hour(3), hour(4)));
        assert_eq!(ids(&moved), ["m1"]);
    }

    #[test]
    fn no_meeting_is_outside_of_the_dates_that_were_said() {
        let dates = |start, end| CalendarChanges {
            starts_at: Change::To(Some(hour(start))),
            ends_at: Change::To(Some(hour(end))),
            ..CalendarChanges::default()
        };
        let calendar = of_meetings(&[(1, 2), (5, 6)]);
        assert!(with(&calendar, dates(0, 7)).1.is_empty());
        assert!(!with(&calendar, dates(2, 7)).1.is_empty());
        assert!(!with(&calendar, dates(0, 5)).1.is_empty());
        assert!(!with(&calendar, dates(7, 0)).1.is_empty());
        assert!(!with(&calendar, dates(1, 1)).1.is_empty());
        let (wide, _) = with(&calendar, dates(0, 7));
        let outside =
            CalendarChanges { meetings: sent(meetings(&[(6, 8)])), ..CalendarChanges::default() };
        assert!(!with(&wide, outside).1.is_empty());
    }

    #[test]
    fn taking_the_meetings_away_leaves_the_dates() {
        let none = CalendarChanges { meetings: sent(json!([])), ..CalendarChanges::default() };
        let (calendar, faults) = with(&of_meetings(&[(1, 2)]), none);
        assert!(faults.is_empty());
        assert_eq!((calendar.starts_at, calendar.ends_at), (Some(hour(1)), Some(hour(2))));
        let gatherings = calendar.gatherings("s1");
        assert_eq!((gatherings.len(), gatherings[0].id.as_str()), (1, "s1"));
    }

    #[test]
    fn a_section_without_an_end_still_has_a_beginning_to_be_reminded_of() {
        let calendar = Calendar { starts_at: Some(hour(1)), ..Calendar::default() };
        let gatherings = calendar.gatherings("s1");
        assert_eq!((gatherings[0].starts_at, gatherings[0].ends_at), (hour(1), hour(2)));
        assert!(Calendar::default().gatherings("s1").is_empty());
    }

    #[test]
    fn a_meeting_keeps_its_id_when_it_is_moved() {
        let old = of_meetings(&[(1, 2), (3, 4), (5, 6)]);
        assert_eq!(ids(&old), ["m1", "m2", "m3"]);
        let change =
            |value| CalendarChanges { meetings: sent(value), ..CalendarChanges::default() };

        // By its id, wherever it goes; what has none beside it is new.
        let mut by_id = meetings(&[(9, 10), (5, 6)]);
        by_id[0]["id"] = json!("m1");
        assert_eq!(ids(&with(&old, change(by_id)).0), ["m31", "m1"]);
        // Without ids: who is at its time keeps it, the others follow in order.
        assert_eq!(ids(&with(&old, change(meetings(&[(3, 4), (5, 6)]))).0), ["m2", "m3"]);
        assert_eq!(
            ids(&with(&old, change(meetings(&[(2, 3), (3, 4), (7, 8), (8, 9)]))).0),
            ["m1", "m2", "m3", "m31"]
        );

        for hostile in [json!("m9"), json!("")] {
            let mut by_id = meetings(&[(1, 2)]);
            by_id[0]["id"] = hostile;
            assert!(!with(&old, change(by_id)).1.is_empty());
        }
    }

    proptest! {
        #[test]
        fn meetings_are_in_order_inside_the_dates_and_each_has_an_id_of_its_own(
            before in proptest::collection::vec((0_i64..50, 1_i64..9), 0..6),
            after in proptest::collection::vec((0_i64..50, 1_i64..9), 0..6),
        ) {
            let ends = |hours: Vec<(i64, i64)>| -> Vec<_> {
                hours.into_iter().map(|(start, length)| (start, start + length)).collect()
            };
            let old = of_meetings(&ends(before));
            let changes = CalendarChanges { meetings: sent(meetings(&ends(after))), ..CalendarChanges::default() };
            let (next, faults) = with(&old, changes);
            prop_assert!(faults.is_empty());
            prop_assert!(next.meetings.is_sorted_by_key(|it| (it.starts_at, it.ends_at)));
            let distinct: std::collections::HashSet<_> = ids(&next).into_iter().collect();
            prop_assert_eq!(distinct.len(), next.meetings.len());
            prop_assert!(!distinct.contains(""));
            for meeting in &next.meetings {
                prop_assert!(next.starts_at.unwrap() <= meeting.starts_at);
                prop_assert!(meeting.ends_at <= next.ends_at.unwrap());
            }
        }
    }
}
