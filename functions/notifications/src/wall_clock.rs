//! The clock on the wall: when it shows a time of day in a zone, also on the
//! days when the clocks are changed.

use std::{borrow::Cow, fmt, str::FromStr};

use contracts::{TimeZone, Timestamp};
use jiff::{
    civil::{Date, Time},
    tz::AmbiguousOffset,
};
use runtime::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serializer, de::Error as _};

/// A time of day as a clock shows it, to the minute: `22:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(Time);

impl TimeOfDay {
    /// A full hour; midnight, if the day has no such hour.
    pub fn hour(hour: u8) -> Self {
        let hour = i8::try_from(hour).unwrap_or_default();
        Self(Time::new(hour, 0, 0, 0).unwrap_or(Time::midnight()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

const NO_TIME_OF_DAY: &str =
    "invalid-time-of-day: a time of day is hours and minutes, such as 22:30";

impl FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |it: &str| {
            let digits = it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_digit());
            it.parse::<i8>().ok().filter(|_| digits)
        };
        let (hour, minute) = text.split_once(':').ok_or(NO_TIME_OF_DAY)?;
        let (Some(hour), Some(minute)) = (number(hour), number(minute)) else {
            return Err(NO_TIME_OF_DAY);
        };
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| NO_TIME_OF_DAY)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for TimeOfDay {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:30"],
        })
    }
}

/// Hours in which no message is wanted, from one time of day until another;
/// over midnight, if the first is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// When they begin, on the person's clock: `22:00`.
    pub from: TimeOfDay,
    /// When they end, on the person's clock: `07:00`.
    pub until: TimeOfDay,
}

impl QuietHours {
    /// When they end, if it's quiet now.
    pub fn end(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let shown = now.as_jiff().to_zoned(zone.as_jiff());
        let (date, time) = (shown.date(), TimeOfDay(shown.time()));
        let date = if self.from <= self.until {
            (self.from <= time && time < self.until).then_some(date)?
        } else if time >= self.from {
            date.tomorrow().ok()?
        } else {
            (time < self.until).then_some(date)?
        };
        let end = first(date, self.until, zone);
        // Where the clocks go back, the same time is shown once more.
        let end = if end > now { end } else { last(date, self.until, zone) };
        (end > now).then_some(end)
    }
}

/// The day that it is on a zone's clocks.
pub fn today(now: Timestamp, zone: &TimeZone) -> Date {
    now.as_jiff().to_zoned(zone.as_jiff()).date()
}

/// When a zone's clocks first show a time on a day, or have gone past it.
pub fn first(date: Date, time: TimeOfDay, zone: &TimeZone) -> Timestamp {
    let zone = zone.as_jiff();
    let shown = zone.to_ambiguous_timestamp(date.to_datetime(time.0));
    let moment = match shown.offset() {
        // The clocks go forward over that time: it's past as soon as they have.
        AmbiguousOffset::Gap { .. } => shown.earlier().map(|before| {
            let change = zone.following(before).next();
            change.map_or(before, |it| it.timestamp())
        }),
        _ => shown.earlier(),
    };
    moment.map_or(Timestamp::from_millis(i64::MAX), Timestamp::from)
}

/// When a zone's clocks show a time on a day for the last time.
fn last(date: Date, time: TimeOfDay, zone: &TimeZone) -> Timestamp {
    let shown = zone.as_jiff().to_ambiguous_timestamp(date.to_datetime(time.0));
    shown.later().map_or(Timestamp::from_millis(i64::MAX), Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::time;

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    fn quiet(from: &str, until: &str) -> QuietHours {
        QuietHours { from: from.parse().unwrap(), until: until.parse().unwrap() }
    }

    fn end(hours: QuietHours, now: &str, name: &str) -> Option<String> {
        let end = hours.end(time(now), &zone(name))?;
        Some(end.to_string().replace(":00.000Z", "Z"))
    }

    #[test]
    fn a_time_of_day_is_read_and_written_in_one_way() {
        for text in ["00:00", "07:05", "23:59"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in ["", "7:05", "24:00", "12:60", "12", "12:00:00", "+1:00", "ab:cd", "é:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_is_quiet_on_the_persons_clock_over_midnight_too() {
        let night = quiet("22:00", "07:00");
        let madrid = "Europe/Madrid";
        assert_eq!(end(night, "2026-03-02T20:59:59Z", madrid), None);
        let morning = Some("2026-03-03T06:00Z".to_owned());
        assert_eq!(end(night, "2026-03-02T21:00:00Z", madrid), morning);
        assert_eq!(end(night, "2026-03-03T05:59:59Z", madrid), morning);
        assert_eq!(end(night, "2026-03-03T06:00:00Z", madrid), None);
        assert_eq!(end(night, "2026-03-02T21:00:00Z", "America/New_York"), None);
        let noon = quiet("12:00", "14:00");
        assert_eq!(end(noon, "2026-03-02T12:30:00Z", madrid).as_deref(), Some("2026-03-02T13:00Z"));
        assert_eq!(end(noon, "2026-03-02T13:00:00Z", madrid), None);
    }

    #[test]
    fn the_night_in_which_the_clocks_go_forward_ends_an_hour_earlier() {
        // New York on March 8, Madrid on March 29: at seven as ever on the clock.
        let night = quiet("22:00", "07:00");
        let end = |now, name| end(night, now, name).unwrap();
        assert_eq!(end("2026-03-07T06:00:00Z", "America/New_York"), "2026-03-07T12:00Z");
        assert_eq!(end("2026-03-08T06:00:00Z", "America/New_York"), "2026-03-08T11:00Z");
        assert_eq!(end("2026-03-28T23:00:00Z", "Europe/Madrid"), "2026-03-29T05:00Z");
        assert_eq!(end("2026-03-27T23:00:00Z", "Europe/Madrid"), "2026-03-28T06:00Z");
        // New York on November 1, Madrid on October 25: back again.
        assert_eq!(end("2026-11-01T04:00:00Z", "America/New_York"), "2026-11-01T12:00Z");
        assert_eq!(end("2026-10-24T23:00:00Z", "Europe/Madrid"), "2026-10-25T06:00Z");
    }

    #[test]
    fn an_end_that_the_clocks_leave_out_comes_when_they_go_past_it() {
        let night = quiet("22:00", "02:30");
        let now = "2026-03-08T06:00:00Z";
        // One in the morning; at two it's three.
        assert_eq!(end(night, now, "America/New_York").as_deref(), Some("2026-03-08T07:00Z"));
        assert_eq!(end(night, "2026-03-08T07:00:00Z", "America/New_York"), None);
        let now = "2026-03-29T00:00:00Z";
        assert_eq!(end(night, now, "Europe/Madrid").as_deref(), Some("2026-03-29T01:00Z"));
    }

    #[test]
    fn an_end_that_the_clocks_show_twice_ends_what_began_before_it() {
        let night = quiet("22:00", "01:30");
        let new_york = "America/New_York";
        // 00:30, then 01:10 for the first time, then 01:10 for the second time.
        let first = Some("2026-11-01T05:30Z".to_owned());
        assert_eq!(end(night, "2026-11-01T04:30:00Z", new_york), first);
        assert_eq!(end(night, "2026-11-01T05:10:00Z", new_york), first);
        let second = Some("2026-11-01T06:30Z".to_owned());
        assert_eq!(end(night, "2026-11-01T06:10:00Z", new_york), second);
        assert_eq!(end(night, "2026-11-01T06:30:00Z", new_york), None);
    }
}
