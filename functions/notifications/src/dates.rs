//! Dates and times as people read them, in their language and in their zone.

use contracts::{Language, TimeZone, Timestamp};
use jiff::{Zoned, civil::Date, tz::Offset};

/// The days of the week, from Monday on.
const WEEKDAYS: [(&str, &str); 7] = [
    ("Monday", "lunes"),
    ("Tuesday", "martes"),
    ("Wednesday", "miércoles"),
    ("Thursday", "jueves"),
    ("Friday", "viernes"),
    ("Saturday", "sábado"),
    ("Sunday", "domingo"),
];

/// The months, from January on.
const MONTHS: [(&str, &str); 12] = [
    ("January", "enero"),
    ("February", "febrero"),
    ("March", "marzo"),
    ("April", "abril"),
    ("May", "mayo"),
    ("June", "junio"),
    ("July", "julio"),
    ("August", "agosto"),
    ("September", "septiembre"),
    ("October", "octubre"),
    ("November", "noviembre"),
    ("December", "diciembre"),
];

/// Who reads a date: in which language, and on which clock.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Their language.
    pub language: Language,
    /// Their zone.
    pub time_zone: &'a TimeZone,
}

impl Reader<'_> {
    /// A point in time: `Monday, December 7, 2026, 18:00 (New York, UTC−5)`.
    pub fn moment(self, at: Timestamp) -> String {
        let at = self.zoned(at);
        format!("{}, {} ({})", self.day(&at), clock(&at), self.zone(&at))
    }

    /// A span of time: `Monday, December 7, 2026, 18:00–20:00 (New York, UTC−5)`.
    pub fn span(self, starts_at: Timestamp, ends_at: Timestamp) -> String {
        let (starts, ends) = (self.zoned(starts_at), self.zoned(ends_at));
        let (day, from, to) = (self.day(&starts), clock(&starts), clock(&ends));
        if starts.offset() != ends.offset() {
            // The clocks are changed meanwhile: without its offset neither time would be clear.
            return format!("{} – {}", self.moment(starts_at), self.moment(ends_at));
        }
        let zone = self.zone(&starts);
        if starts.date() == ends.date() {
            format!("{day}, {from}–{to} ({zone})")
        } else {
            format!("{day}, {from} – {}, {to} ({zone})", self.day(&ends))
        }
    }

    /// A point in time for a line that has little room: `Monday, December 7, 18:00`.
    pub fn short(self, at: Timestamp) -> String {
        let at = self.zoned(at);
        let (weekday, month, day) = self.names(&at);
        match self.language {
            Language::En => format!("{weekday}, {month} {day}, {}", clock(&at)),
            Language::Es => format!("{weekday} {day} de {month}, {}", clock(&at)),
        }
    }

    /// A day that is written as `2026-12-07`: `Monday, December 7`.
    pub fn date(self, day: &str) -> String {
        let Ok(date) = day.parse::<Date>() else { return day.to_owned() };
        let Ok(at) = date.to_zoned(jiff::tz::TimeZone::UTC) else { return day.to_owned() };
        let (weekday, month, day) = self.names(&at);
        match self.language {
            Language::En => format!("{weekday}, {month} {day}"),
            Language::Es => format!("{weekday} {day} de {month}"),
        }
    }

    /// Whether someone in another zone would read another time off the clock.
    pub fn differs(self, at: Timestamp, zone: &TimeZone) -> bool {
        self.zoned(at).datetime() != at.as_jiff().to_zoned(zone.as_jiff()).datetime()
    }

    fn zoned(self, at: Timestamp) -> Zoned {
        at.as_jiff().to_zoned(self.time_zone.as_jiff())
    }

    fn names(self, at: &Zoned) -> (&'static str, &'static str, i8) {
        let weekday = WEEKDAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())];
        let month = MONTHS[usize::from(at.month().unsigned_abs() - 1)];
        let choose = |(en, es)| self.language.choose(en, es);
        (choose(weekday), choose(month), at.day())
    }

    fn day(self, at: &Zoned) -> String {
        let ((weekday, month, day), year) = (self.names(at), at.year());
        match self.language {
            Language::En => format!("{weekday}, {month} {day}, {year}"),
            Language::Es => format!("{weekday}, {day} de {month} de {year}"),
        }
    }

    /// The zone as people know it, by its city, and how far from UTC it is just then.
    fn zone(self, at: &Zoned) -> String {
        let (city, offset) = (city(self.time_zone), offset(at.offset()));
        if city == offset { offset } else { format!("{city}, {offset}") }
    }
}

/// The city that a zone is named after.
pub fn city(zone: &TimeZone) -> String {
    zone.as_str().rsplit('/').next().unwrap_or_default().replace('_', " ")
}

fn clock(at: &Zoned) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

fn offset(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '−' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    fn span(language: Language, name: &str, from: &str, to: &str) -> String {
        Reader { language, time_zone: &zone(name) }.span(time(from), time(to))
    }

    #[test]
    fn a_date_is_spelled_in_the_readers_language() {
        let (from, to) = ("2026-12-07T23:00:00Z", "2026-12-08T01:00:00Z");
        let said = span(Language::En, "America/New_York", from, to);
        assert_eq!(said, "Monday, December 7, 2026, 18:00–20:00 (New York, UTC−5)");
        let said = span(Language::Es, "America/New_York", from, to);
        assert_eq!(said, "lunes, 7 de diciembre de 2026, 18:00–20:00 (New York, UTC−5)");
        let said = span(Language::Es, "UTC", from, from);
        assert_eq!(said, "lunes, 7 de diciembre de 2026, 23:00–23:00 (UTC)");
    }

    #[test]
    fn what_ends_on_another_day_says_so() {
        let said =
            span(Language::En, "Asia/Kolkata", "2026-12-07T17:00:00Z", "2026-12-07T19:00:00Z");
        let expected = "Monday, December 7, 2026, 22:30 – \
                        Tuesday, December 8, 2026, 00:30 (Kolkata, UTC+5:30)";
        assert_eq!(said, expected);
    }

    #[test]
    fn six_in_the_evening_stays_six_in_the_evening_when_the_clocks_change() {
        // New York goes to summer time on March 8, Madrid on March 29: between them is
        // one hour less than otherwise.
        for (starts_at, new_york, madrid) in [
            (
                "2026-03-02T23:00:00Z",
                "18:00–19:00 (New York, UTC−5)",
                "00:00–01:00 (Madrid, UTC+1)",
            ),
            (
                "2026-03-09T22:00:00Z",
                "18:00–19:00 (New York, UTC−4)",
                "23:00–00:00 (Madrid, UTC+1)",
            ),
            (
                "2026-03-30T22:00:00Z",
                "18:00–19:00 (New York, UTC−4)",
                "00:00–01:00 (Madrid, UTC+2)",
            ),
            (
                "2026-10-26T22:00:00Z",
                "18:00–19:00 (New York, UTC−4)",
                "23:00–00:00 (Madrid, UTC+1)",
            ),
        ] {
            let ends_at = time(starts_at).plus_minutes(60).to_string();
            let said = span(Language::En, "America/New_York", starts_at, &ends_at);
            assert!(said.ends_with(new_york), "{said}");
            let said = span(Language::En, "Europe/Madrid", starts_at, &ends_at);
            let (from, to) = madrid.split_once('–').unwrap();
            assert!(said.contains(from) && said.ends_with(to), "{said}");
        }
    }

    #[test]
    fn a_span_over_the_change_of_the_clocks_says_both_offsets() {
        let said =
            span(Language::En, "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z");
        let expected = "Sunday, November 1, 2026, 01:30 (New York, UTC−4) – \
                        Sunday, November 1, 2026, 01:30 (New York, UTC−5)";
        assert_eq!(said, expected);
        let said =
            span(Language::Es, "Europe/Madrid", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
        let expected = "domingo, 29 de marzo de 2026, 01:30 (Madrid, UTC+1) – \
                        domingo, 29 de marzo de 2026, 03:30 (Madrid, UTC+2)";
        assert_eq!(said, expected);
    }

    #[test]
    fn zones_differ_only_if_their_clocks_do_at_that_time() {
        let (lima, new_york) = (zone("America/Lima"), zone("America/New_York"));
        let reader = Reader { language: Language::En, time_zone: &lima };
        assert!(!reader.differs(time("2026-12-07T23:00:00Z"), &new_york));
        assert!(reader.differs(time("2026-07-07T23:00:00Z"), &new_york));
    }
}
