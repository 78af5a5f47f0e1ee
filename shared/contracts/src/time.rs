//! Points in time, and the zones that people read them in.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time, to the millisecond, in UTC.
///
/// It is always written with three decimals (`2026-11-22T02:57:00.000Z`), so
/// that the order of the texts is the order of the times: stores compare it as
/// text. Any RFC 3339 time can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The beginning of 1970, in UTC.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// So many milliseconds after the beginning of 1970; the nearest time there
    /// is, if that's beyond the year 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        }))
    }

    /// The milliseconds since the beginning of 1970.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The seconds since the beginning of 1970.
    pub fn as_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// So many seconds later.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_millis(self.as_millis().saturating_add(seconds.saturating_mul(1000)))
    }

    /// So many minutes later.
    #[must_use]
    pub fn plus_minutes(self, minutes: i64) -> Self {
        self.plus_seconds(minutes.saturating_mul(60))
    }

    /// The same point as the time library has it, for calendars and zones.
    pub fn as_jiff(self) -> jiff::Timestamp {
        self.0
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        Self::from_millis(time.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp = text.parse().map_err(|_| INVALID_TIME)?;
        // RFC 3339 has four digits for the year; before 1900 it's a mistake.
        let years = -2_208_988_800..=253_402_300_799;
        if !years.contains(&time.as_second()) {
            return Err(INVALID_TIME);
        }
        Ok(time.into())
    }
}

const INVALID_TIME: &str =
    "invalid-time: a time is RFC 3339 with a zone, such as 2026-11-22T09:00:00Z";

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A time zone of the IANA database, such as `America/Bogota`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct TimeZone(String);

impl TimeZone {
    /// Its name in the IANA database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The zone as the time library has it, with its rules.
    pub fn as_jiff(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl FromStr for TimeZone {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = jiff::tz::TimeZone::get(name).ok();
        let known = known.filter(|zone| zone.iana_name().is_some_and(|it| it == name));
        if known.is_some() { Ok(Self(name.to_owned())) } else { Err(UNKNOWN_ZONE) }
    }
}

const UNKNOWN_ZONE: &str =
    "unknown-time-zone: a time zone is a name of the IANA database, such as America/Bogota";

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for TimeZone {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "TimeZone".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 64, "examples": ["America/Bogota"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_so_that_text_sorts_as_time() {
        let written = |text: &str| text.parse::<Timestamp>().map(|time| time.to_string());
        assert_eq!(written("2026-11-22T02:57:00Z").unwrap(), "2026-11-22T02:57:00.000Z");
        assert_eq!(written("2026-11-21T21:57:00.5-05:00").unwrap(), "2026-11-22T02:57:00.500Z");
        assert!(written("2026-02-30T00:00:00Z").is_err());
        assert!(written("2026-02-20T00:00:00").is_err());
        assert!(written("-000001-01-01T00:00:00Z").is_err());
    }

    #[test]
    fn only_zones_of_the_iana_database_are_known() {
        assert!("America/Bogota".parse::<TimeZone>().is_ok());
        assert!("Mars/Olympus".parse::<TimeZone>().is_err());
        assert!("america/bogota".parse::<TimeZone>().is_err());
        assert!("../etc/passwd".parse::<TimeZone>().is_err());
    }
}
