//! What a course offers by its sections: whether one starts soon, and whether
//! one has a free seat. A course's card says so, and lists are filtered by it.
//!
//! It depends on the clock too, so the card also says when to look again.

use runtime::prelude::*;

use crate::section::{Section, SectionState};

/// How soon is soon: 30 days.
const SOON_MINUTES: i64 = 30 * 24 * 60;

/// What a course offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offering {
    /// Whether a section starts soon.
    pub soon: bool,
    /// Whether people may enroll in a section now, and find a free seat.
    pub free: bool,
    /// When the clock alone changes it next.
    pub changes_at: Option<Timestamp>,
}

impl Offering {
    /// What a course with these sections offers at some time.
    pub fn of<'a>(sections: impl Iterator<Item = &'a Section>, now: Timestamp) -> Self {
        sections.map(|section| Self::of_one(section, now)).fold(Self::default(), Self::and)
    }

    fn of_one(section: &Section, now: Timestamp) -> Self {
        let state = section.state(now);
        let over = matches!(state, SectionState::Cancelled | SectionState::Over);
        let starts_at = section.calendar.starts_at;
        let soon_from = starts_at.map(|it| it.plus_minutes(-SOON_MINUTES));
        let closes_at = section.enrollment_closes_at;
        let turns = [
            soon_from,
            starts_at,
            section.calendar.ends_at,
            section.enrollment_opens_at,
            closes_at,
        ];
        let next = turns.into_iter().flatten().filter(|it| *it > now).min();
        let has_begun = starts_at.is_some_and(|it| it <= now);
        Self {
            soon: !over && !has_begun && soon_from.is_some_and(|it| it <= now),
            free: section.takes_people(now) && section.has_free_seat(),
            changes_at: next.filter(|_| !over),
        }
    }

    fn and(self, other: Self) -> Self {
        let times = [self.changes_at, other.changes_at];
        Self {
            soon: self.soon || other.soon,
            free: self.free || other.free,
            changes_at: times.into_iter().flatten().min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calendar::Calendar, seats::Count};

    const DAY: i64 = 24 * 60;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus_minutes(minute)
    }

    fn section() -> Section {
        let mut section = Section::blank("s1".into(), "c1".into(), at(0));
        section.capacity = Some(2);
        section.calendar = Calendar {
            starts_at: Some(at(100 * DAY)),
            ends_at: Some(at(101 * DAY)),
            ..Calendar::default()
        };
        section.enrollment_opens_at = Some(at(80 * DAY));
        section.enrollment_closes_at = Some(at(90 * DAY));
        section
    }

    #[test]
    fn a_course_offers_what_its_sections_do_and_knows_when_to_look_again() {
        let section = section();
        let days = [0, 69, 70, 79, 80, 89, 90, 99, 100, 101];
        let told = days.map(|day| {
            let it = Offering::of([&section].into_iter(), at(day * DAY));
            (it.soon, it.free, it.changes_at)
        });
        let next = |day: i64| Some(at(day * DAY));
        assert_eq!(
            told,
            [
                (false, false, next(70)),
                (false, false, next(70)),
                (true, false, next(80)),
                (true, false, next(80)),
                (true, true, next(90)),
                (true, true, next(90)),
                (true, false, next(100)),
                (true, false, next(100)),
                (false, false, next(101)),
                (false, false, None),
            ]
        );
    }

    #[test]
    fn a_seat_is_free_while_fewer_have_one_than_may_and_nobody_waits() {
        let free = |capacity, taken, waiting| {
            let count = Count { taken, waiting, counted_at: None };
            let mut section = section();
            (section.capacity, section.last_count) = (capacity, count);
            Offering::of([&section].into_iter(), at(85 * DAY)).free
        };
        assert!(free(Some(2), 1, 0) && free(None, 9, 0));
        assert!(!free(Some(2), 2, 0) && !free(Some(2), 1, 1));
    }

    #[test]
    fn a_cancelled_section_offers_nothing() {
        let mut section = section();
        section.cancel(at(85 * DAY)).unwrap();
        assert_eq!(Offering::of([&section].into_iter(), at(85 * DAY)), Offering::default());
    }

    #[test]
    fn one_section_without_dates_offers_its_seats_forever() {
        let section = Section::blank("s2".into(), "c1".into(), at(0));
        let offering = Offering::of([&section].into_iter(), at(9));
        assert_eq!((offering.free, offering.soon, offering.changes_at), (true, false, None));
    }
}
