//! When a section of the catalog meets: told in weeks from now, so that some
//! sections are always running and others are about to begin.

use std::time::Duration;

use anyhow::{Context as _, Result};
use contracts::{TimeZone, Timestamp};
use serde::Deserialize;

/// The same hour on some days of some weeks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The week that it begins in: 0 is this one, 1 the next.
    first_week: i64,
    /// On which days of each week, in their order.
    days: Vec<Day>,
    /// At what time, as the section's zone tells it: `18:30`.
    at: String,
    /// How long each meeting is.
    minutes: i64,
    /// In how many weeks.
    weeks: i64,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// From when until when people meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

const DAYS_OF_A_WEEK: i64 = 7;

impl Schedule {
    /// Every meeting, in the order of time.
    pub fn meetings(&self, zone: &TimeZone, now: Timestamp) -> Result<Vec<Meeting>> {
        let since_monday =
            i64::from(now.as_jiff().to_zoned(zone.as_jiff()).weekday().to_monday_zero_offset());
        let mut meetings = Vec::new();
        for week in self.first_week..self.first_week + self.weeks {
            for day in &self.days {
                let days = week * DAYS_OF_A_WEEK + *day as i64 - since_monday;
                let starts_at = on_day(days, &self.at, zone, now)?;
                let ends_at = starts_at.plus_minutes(self.minutes);
                meetings.push(Meeting { starts_at, ends_at });
            }
        }
        Ok(meetings)
    }
}

/// An hour on the day that is so many days from today, as a zone tells it.
pub fn on_day(days: i64, hour: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp> {
    let zone = zone.as_jiff();
    let today = now.as_jiff().to_zoned(zone.clone()).date();
    let length = Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
    let date = if days < 0 { today.checked_sub(length) } else { today.checked_add(length) };
    let (hour, minute) = hour.split_once(':').context("an hour is such as 18:30")?;
    let time = date?.at(hour.parse()?, minute.parse()?, 0, 0);
    Ok(time.to_zoned(zone)?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schedule(first_week: i64) -> Schedule {
        let schedule = json!({
            "first_week": first_week, "days": ["tue", "thu"], "at": "18:30", "minutes": 90, "weeks": 2,
        });
        serde_json::from_value(schedule).unwrap()
    }

    fn starts(first_week: i64, zone: &str, now: &str) -> Vec<String> {
        let meetings = schedule(first_week).meetings(&zone.parse().unwrap(), now.parse().unwrap());
        meetings.unwrap().iter().map(|it| it.starts_at.to_string()).collect()
    }

    #[test]
    fn the_first_week_is_counted_from_this_one() {
        // A Saturday.
        let now = "2026-11-21T15:00:00Z";
        let next = [
            "2026-11-24T23:30:00.000Z",
            "2026-11-26T23:30:00.000Z",
            "2026-12-01T23:30:00.000Z",
            "2026-12-03T23:30:00.000Z",
        ];
        assert_eq!(starts(1, "America/Bogota", now), next);
        assert_eq!(starts(-1, "America/Bogota", now)[0], "2026-11-10T23:30:00.000Z");
        // Already Sunday's evening in Madrid, and still Sunday in Bogotá an hour later.
        assert_eq!(
            starts(1, "Europe/Madrid", "2026-11-22T23:30:00Z")[0],
            "2026-12-01T17:30:00.000Z"
        );
        assert_eq!(starts(1, "America/Bogota", "2026-11-22T23:30:00Z")[0], next[0]);
    }

    #[test]
    fn the_hour_stays_though_the_clocks_are_set_back() {
        let starts = starts(0, "Europe/Madrid", "2026-10-19T09:00:00Z");
        assert_eq!(starts[1], "2026-10-22T16:30:00.000Z");
        assert_eq!(starts[2], "2026-10-27T17:30:00.000Z");
    }

    #[test]
    fn a_meeting_ends_after_its_minutes() {
        let now = Timestamp::UNIX_EPOCH;
        let meetings = schedule(0).meetings(&TimeZone::default(), now).unwrap();
        assert_eq!(meetings[0].ends_at, meetings[0].starts_at.plus_minutes(90));
    }
}
