//! What part of a file is asked for (RFC 9110 §14).

use std::ops::Range;

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing else is asked for, or nothing that we understand.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that there are none of.
    Beyond,
}

impl Asked {
    /// Reads a `Range` of a file of some size. Several at once are answered with the whole.
    pub(super) fn parse(header: &str, size: u64) -> Self {
        let Some(spec) = header.trim().strip_prefix("bytes=") else { return Self::Whole };
        let Some((first, last)) = spec.split_once('-') else { return Self::Whole };
        let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        if !digits(first) || !digits(last) || spec.len() > 40 {
            return Self::Whole;
        }
        // What is too large for a number is behind the end.
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        let range = match (first, last) {
            ("", "") => return Self::Whole,
            ("", last) => size.saturating_sub(number(last))..size,
            (first, "") => number(first)..size,
            (first, last) if number(last) < number(first) => return Self::Whole,
            (first, last) => number(first)..size.min(number(last).saturating_add(1)),
        };
        if range.is_empty() { Self::Beyond } else { Self::Part(range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_there_is_of_it() {
        for (header, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("bytes=7-", 7..10),
            ("bytes=-2", 8..10),
            ("bytes=8-99999999999999999999", 8..10),
            ("bytes=-100", 0..10),
        ] {
            assert_eq!(Asked::parse(header, 10), Asked::Part(range), "{header}");
        }
        for header in ["bytes=10-", "bytes=99999999999999999999-", "bytes=-0"] {
            assert_eq!(Asked::parse(header, 10), Asked::Beyond, "{header}");
        }
        assert_eq!(Asked::parse("bytes=0-", 0), Asked::Beyond);
        for header in
            ["", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5", "bytes=4-2"]
        {
            assert_eq!(Asked::parse(header, 10), Asked::Whole, "{header}");
        }
    }
}
