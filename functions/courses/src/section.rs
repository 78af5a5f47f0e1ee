//! A section: one run of a course, with its dates, its seats and its rules.

use contracts::courses::{CourseId, SECTION_CANCELLED, SectionFacts, SectionId};
use runtime::prelude::*;

use crate::{
    calendar::{Calendar, CalendarChanges, Meeting},
    change::Change,
    course::Course,
    seats::Count,
};

/// The section has ended.
pub const SECTION_OVER: Problem = Problem::conflict(
    "section-over",
    "This section is over; it can't be cancelled any more.",
    "Esta sección ya terminó; no se puede cancelar.",
);

/// The longest that a seat is kept for somebody to accept it: 30 days.
const OFFER_HOURS: u32 = 720;
/// The most seats or places that a section may be said to have.
const MOST_SEATS: u32 = 1_000_000;
/// How many times before each meeting people are reminded at most.
const REMINDERS: usize = 5;
/// The longest time before a meeting that people are reminded at: 30 days.
const LONGEST_BEFORE_MINUTES: u32 = 43_200;
/// A day and an hour before.
const REMINDERS_UNLESS_SAID: [u32; 2] = [1440, 60];

/// A section as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub id: SectionId,
    pub course_id: CourseId,
    pub title: String,
    /// How many may attend; nothing: any number.
    pub capacity: Option<u32>,
    /// How many may wait; nothing: any number.
    pub waitlist_capacity: Option<u32>,
    pub calendar: Calendar,
    /// Grows each time that the calendar changes.
    pub calendar_sequence: u32,
    pub enrollment_opens_at: Option<Timestamp>,
    pub enrollment_closes_at: Option<Timestamp>,
    pub approval_required: bool,
    /// How long somebody has to accept a seat that became free for them.
    #[serde(default)]
    pub offer_hours: Option<u32>,
    /// The enrollment key as the platform's secret seals it; the key itself isn't kept.
    pub enrollment_key_seal: Option<String>,
    pub reminder_minutes_before: Vec<u32>,
    pub cancelled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: u64,
    /// How full it was when it was counted last.
    #[serde(default)]
    pub last_count: Count,
    /// Where it stands in the list of its course: by its start, last if it has none.
    sorts_at: Timestamp,
    /// Until when it isn't over; absent once it's cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_until: Option<Timestamp>,
    /// Until when its seats are counted now and then: as long as people may
    /// enroll, and not if any number may attend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted_until: Option<Timestamp>,
}

impl Document for Section {
    const COLLECTION: &'static str = "sections";
    const INDEXES: &'static [Index] = &[
        Index::ascending("sorts_at").equals(&["course_id"]),
        Index::ascending("open_until").equals(&["course_id"]),
        Index::ascending("counted_until"),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// What is to be changed about a section.
#[derive(Clone, Debug, Default)]
pub struct SectionChanges {
    pub title: Change<Line<1, 200>>,
    pub capacity: Change<Option<u32>>,
    pub waitlist_capacity: Change<Option<u32>>,
    pub calendar: CalendarChanges,
    pub enrollment_opens_at: Change<Option<Timestamp>>,
    pub enrollment_closes_at: Change<Option<Timestamp>>,
    pub approval_required: Change<bool>,
    pub offer_hours: Change<Option<u32>>,
    pub enrollment_key: Change<Option<Line<1, 100>>>,
    pub reminder_minutes_before: Change<Vec<u32>>,
}

/// Where a section is in its life. It follows from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SectionState {
    /// Enrollment opens later.
    Scheduled,
    /// Enrollment is open, and the section hasn't begun.
    EnrollmentOpen,
    /// Enrollment is closed, and the section hasn't begun.
    EnrollmentClosed,
    /// It has begun.
    Running,
    /// It has ended.
    Over,
    /// It won't take place.
    Cancelled,
}

impl Section {
    /// A section of a course with nothing said about it.
    pub fn blank(id: SectionId, course_id: CourseId, now: Timestamp) -> Self {
        Self {
            id,
            course_id,
            title: String::new(),
            capacity: None,
            waitlist_capacity: None,
            calendar: Calendar::default(),
            calendar_sequence: 0,
            enrollment_opens_at: None,
            enrollment_closes_at: None,
            approval_required: false,
            offer_hours: None,
            enrollment_key_seal: None,
            reminder_minutes_before: REMINDERS_UNLESS_SAID.to_vec(),
            cancelled_at: None,
            created_at: now,
            updated_at: now,
            revision: 1,
            last_count: Count { counted_at: Some(now), ..Count::default() },
            sorts_at: end_of_time(),
            open_until: Some(end_of_time()),
            counted_until: None,
        }
    }

    /// The section as it would be with some changes; refused if they break a rule.
    pub fn with(
        &self,
        changes: SectionChanges,
        secret: &runtime::Secret,
        new_id: impl FnMut() -> String,
    ) -> Result<Self> {
        let mut faults = Faults::new();
        let mut next = self.clone();
        changes.title.map(String::from).apply(&mut next.title);
        changes.capacity.apply(&mut next.capacity);
        changes.waitlist_capacity.apply(&mut next.waitlist_capacity);
        changes.enrollment_opens_at.apply(&mut next.enrollment_opens_at);
        changes.enrollment_closes_at.apply(&mut next.enrollment_closes_at);
        changes.approval_required.apply(&mut next.approval_required);
        changes.offer_hours.apply(&mut next.offer_hours);
        let seal =
            |key: Line<1, 100>| secret.seal_text("enrollment-key", &[self.id.as_str(), &key]);
        changes.enrollment_key.map(|key| key.map(seal)).apply(&mut next.enrollment_key_seal);
        if let Change::To(minutes) = changes.reminder_minutes_before {
            check_reminders(&minutes, &mut faults);
            next.reminder_minutes_before.clear();
            for minutes in minutes {
                if !next.reminder_minutes_before.contains(&minutes) {
                    next.reminder_minutes_before.push(minutes);
                }
            }
        }
        next.calendar = self.calendar.with(changes.calendar, &mut faults, new_id);
        next.check(&mut faults);
        faults.check()?;
        next.file();
        Ok(next)
    }

    fn check(&self, faults: &mut Faults) {
        faults.unless(
            self.capacity.is_none_or(|seats| (1..=MOST_SEATS).contains(&seats)),
            "capacity",
            "out-of-range",
            "A capacity is 1 to 1,000,000, or null for any number.",
            "Un cupo va de 1 a 1.000.000, o es null para cualquier número.",
        );
        faults.unless(
            self.waitlist_capacity.is_none_or(|places| places <= MOST_SEATS),
            "waitlist_capacity",
            "out-of-range",
            "A waitlist has 0 to 1,000,000 places, or null for any number.",
            "Una lista de espera tiene de 0 a 1.000.000 lugares, o null para cualquier número.",
        );
        faults.unless(
            self.offer_hours.is_none_or(|hours| (1..=OFFER_HOURS).contains(&hours)),
            "offer_hours",
            "out-of-range",
            "A seat is offered for 1 to 720 hours, or null to give it at once.",
            "Un cupo se ofrece de 1 a 720 horas, o null para darlo de inmediato.",
        );
        let window = self.enrollment_opens_at.zip(self.enrollment_closes_at);
        faults.unless(
            window.is_none_or(|(opens_at, closes_at)| opens_at < closes_at),
            "enrollment_closes_at",
            "not-after-opening",
            "Enrollment closes after it opens.",
            "Las inscripciones cierran después de abrir.",
        );
    }

    /// Takes on a change; tells whether when or where people gather has changed.
    pub fn take_on(&mut self, next: Self, now: Timestamp) -> bool {
        let rescheduled = self.calendar != next.calendar;
        *self = next;
        self.calendar_sequence += u32::from(rescheduled);
        self.touch(now);
        rescheduled
    }

    /// Cancels it as a whole.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), Problem> {
        if self.state(now) == SectionState::Over {
            return Err(SECTION_OVER);
        }
        self.cancelled_at = Some(now);
        self.calendar_sequence += 1;
        self.touch(now);
        self.file();
        Ok(())
    }

    /// Refuses what can't be done with a cancelled section.
    pub fn expect_not_cancelled(&self) -> Result<(), Problem> {
        if self.cancelled_at.is_some() { Err(SECTION_CANCELLED) } else { Ok(()) }
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    /// Sets what it's found by.
    fn file(&mut self) {
        self.sorts_at = self.calendar.starts_at.unwrap_or(end_of_time());
        let open_until = self.calendar.ends_at.unwrap_or(end_of_time());
        self.open_until = self.cancelled_at.is_none().then_some(open_until);
        let closes_at = self.enrollment_closes_at.unwrap_or(open_until);
        let counted = self.capacity.and(self.open_until);
        self.counted_until = counted.map(|open_until| open_until.min(closes_at));
    }

    /// The sections of a course, in the order of their starts.
    pub fn of_course(course_id: &CourseId) -> Query {
        Query::ascending::<Self>("sorts_at").equals("course_id", course_id)
    }

    /// The sections of a course that are neither over nor cancelled.
    pub fn open_of_course(course_id: &CourseId, now: Timestamp) -> Query {
        let later = Timestamp::from_millis(now.as_millis() + 1);
        Query::ascending::<Self>("open_until").equals("course_id", course_id).at_least(later)
    }

    /// The sections whose seats are to be counted.
    pub fn counted(now: Timestamp) -> Query {
        let later = Timestamp::from_millis(now.as_millis() + 1);
        Query::ascending::<Self>("counted_until").at_least(later)
    }

    /// Whether people may enroll now.
    pub fn takes_people(&self, now: Timestamp) -> bool {
        let is_past = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        self.cancelled_at.is_none()
            && !is_past(self.calendar.ends_at)
            && !is_past(self.enrollment_closes_at)
            && self.enrollment_opens_at.is_none_or(|time| time <= now)
    }

    /// Whether it had a free seat when it was counted last. Who comes while
    /// others wait waits too.
    pub fn has_free_seat(&self) -> bool {
        let Count { taken, waiting, .. } = self.last_count;
        waiting == 0 && self.capacity.is_none_or(|capacity| taken < capacity)
    }

    /// The capacity that it would be lowered to.
    pub fn lowered_capacity(&self, next: &Self) -> Option<u32> {
        next.capacity.filter(|most| self.capacity.is_none_or(|capacity| *most < capacity))
    }

    /// Where it is in its life.
    pub fn state(&self, now: Timestamp) -> SectionState {
        let has_come = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        if self.cancelled_at.is_some() {
            SectionState::Cancelled
        } else if has_come(self.calendar.ends_at) {
            SectionState::Over
        } else if has_come(self.calendar.starts_at) {
            SectionState::Running
        } else if has_come(self.enrollment_closes_at) {
            SectionState::EnrollmentClosed
        } else if self.enrollment_opens_at.is_some() && !has_come(self.enrollment_opens_at) {
            SectionState::Scheduled
        } else {
            SectionState::EnrollmentOpen
        }
    }

    /// The version that it is at.
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }

    /// What other domains must know of it.
    pub fn facts(&self, course: &Course) -> SectionFacts {
        SectionFacts {
            section_id: self.id.clone(),
            course_id: self.course_id.clone(),
            course_title: course.title.clone(),
            title: self.title.clone(),
            cancelled: self.cancelled_at.is_some(),
            capacity: self.capacity,
            waitlist_capacity: self.waitlist_capacity,
            enrollment_opens_at: self.enrollment_opens_at,
            enrollment_closes_at: self.enrollment_closes_at,
            approval_required: self.approval_required,
            offer_hours: self.offer_hours,
            enrollment_key_seal: self.enrollment_key_seal.clone(),
            time_zone: self.calendar.time_zone.clone(),
            starts_at: self.calendar.starts_at,
            ends_at: self.calendar.ends_at,
            meetings: self.calendar.gatherings(self.id.as_str()),
            reminder_minutes_before: self.reminder_minutes_before.clone(),
            calendar_sequence: self.calendar_sequence,
            revision: self.revision,
        }
    }

    /// The section as those who run its course see it, or as everyone does.
    /// Without a count it's told how full it was when it was counted last.
    pub fn show(self, count: Option<&Count>, now: Timestamp, to_staff: bool) -> ShownSection {
        let (state, etag) = (self.state(now), self.etag());
        let seats_counted_at = if count.is_none() {
            self.last_count.counted_at.or(Some(self.created_at))
        } else {
            None
        };
        let count = *count.unwrap_or(&self.last_count);
        let seats_taken = count.taken;
        let Calendar { time_zone, starts_at, ends_at, mut meetings } = self.calendar;
        if !to_staff {
            for meeting in &mut meetings {
                meeting.url = None;
            }
        }
        ShownSection {
            id: self.id,
            course_id: self.course_id,
            title: self.title,
            state,
            capacity: self.capacity,
            seats_taken,
            seats_free: self.capacity.map(|capacity| capacity.saturating_sub(seats_taken)),
            waitlist_capacity: self.waitlist_capacity,
            waitlist_length: count.waiting,
            seats_counted_at,
            time_zone,
            starts_at,
            ends_at,
            enrollment_opens_at: self.enrollment_opens_at,
            enrollment_closes_at: self.enrollment_closes_at,
            meetings,
            calendar_sequence: self.calendar_sequence,
            approval_required: self.approval_required,
            offer_hours: self.offer_hours,
            enrollment_key_required: self.enrollment_key_seal.is_some(),
            reminder_minutes_before: self.reminder_minutes_before,
            created_at: self.created_at,
            updated_at: self.updated_at,
            cancelled_at: self.cancelled_at,
            etag,
        }
    }
}

fn check_reminders(minutes: &[u32], faults: &mut Faults) {
    faults.unless(
        minutes.len() <= REMINDERS,
        "reminder_minutes_before",
        "too-many",
        "There are at most 5 reminders.",
        "Hay como máximo 5 recordatorios.",
    );
    for (at, minutes) in minutes.iter().enumerate() {
        faults.unless(
            (1..=LONGEST_BEFORE_MINUTES).contains(minutes),
            &format!("reminder_minutes_before[{at}]"),
            "out-of-range",
            "A reminder comes 1 to 43,200 minutes before.",
            "Un recordatorio llega de 1 a 43.200 minutos antes.",
        );
    }
}

/// Later than any date that a section has.
fn end_of_time() -> Timestamp {
    Timestamp::from_millis(i64::MAX)
}

/// A section: one run of a course.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Section")]
pub struct ShownSection {
    /// The section's id.
    pub id: SectionId,
    /// The course that it runs.
    pub course_id: CourseId,
    /// What it's called.
    pub title: String,
    /// Where it is in its life, by the clock.
    pub state: SectionState,
    /// How many may attend; null: any number.
    pub capacity: Option<u32>,
    /// How many have a seat.
    pub seats_taken: u32,
    /// How many seats are left; null: any number.
    pub seats_free: Option<u32>,
    /// How many may wait for a seat; null: any number, 0: nobody.
    pub waitlist_capacity: Option<u32>,
    /// How many wait for a seat.
    pub waitlist_length: u32,
    /// When that was counted, if it can't be counted just now; null: now.
    pub seats_counted_at: Option<Timestamp>,
    /// The zone that its times are told in, beside each reader's own.
    pub time_zone: contracts::TimeZone,
    /// When it begins; null if that isn't settled.
    pub starts_at: Option<Timestamp>,
    /// When it ends; null if that isn't settled.
    pub ends_at: Option<Timestamp>,
    /// From when on people may enroll; null: at once.
    pub enrollment_opens_at: Option<Timestamp>,
    /// Until when people may enroll; null: until the section ends.
    pub enrollment_closes_at: Option<Timestamp>,
    /// Its gatherings, in the order of time.
    pub meetings: Vec<Meeting>,
    /// Grows each time that when or where people gather changes.
    pub calendar_sequence: u32,
    /// Whether an instructor must approve each enrollment.
    pub approval_required: bool,
    /// How many hours somebody who waits has to accept a seat that became free;
    /// null: it's theirs at once.
    pub offer_hours: Option<u32>,
    /// Whether enrolling needs a key.
    pub enrollment_key_required: bool,
    /// How long before each meeting people are reminded, in minutes.
    pub reminder_minutes_before: Vec<u32>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Its version: send it as `If-Match` to change the section.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use runtime::Secret;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus_minutes(minute)
    }

    fn section() -> Section {
        Section::blank("s1".into(), "c1".into(), at(0))
    }

    fn with(section: &Section, changes: SectionChanges) -> Result<Section> {
        section.with(changes, &Secret::new(&[7; 32]), || "m".to_owned())
    }

    fn dated() -> Section {
        let calendar = CalendarChanges {
            starts_at: Change::To(Some(at(30))),
            ends_at: Change::To(Some(at(40))),
            ..CalendarChanges::default()
        };
        let changes = SectionChanges {
            calendar,
            enrollment_opens_at: Change::To(Some(at(10))),
            enrollment_closes_at: Change::To(Some(at(20))),
            ..SectionChanges::default()
        };
        with(&section(), changes).unwrap()
    }

    #[test]
    fn a_section_goes_through_its_life_by_the_clock() {
        let states = [0, 9, 10, 19, 20, 29, 30, 39, 40, 99].map(|minute| dated().state(at(minute)));
        let (scheduled, open, closed) =
            (SectionState::Scheduled, SectionState::EnrollmentOpen, SectionState::EnrollmentClosed);
        let (running, over) = (SectionState::Running, SectionState::Over);
        assert_eq!(
            states,
            [scheduled, scheduled, open, open, closed, closed, running, running, over, over]
        );
        assert_eq!(section().state(at(99)), SectionState::EnrollmentOpen);
    }

    #[test]
    fn what_is_over_is_not_cancelled() {
        let mut section = dated();
        assert_eq!(section.cancel(at(40)), Err(SECTION_OVER));
        section.cancel(at(39)).unwrap();
        assert_eq!(section.state(at(39)), SectionState::Cancelled);
        assert_eq!((section.calendar_sequence, section.revision), (1, 2));
        assert_eq!(section.open_until, None);
        assert!(section.expect_not_cancelled().is_err());
    }

    #[test]
    fn only_a_new_calendar_makes_the_sequence_grow() {
        let mut section = dated();
        let renamed = SectionChanges {
            title: Change::To(Line::new("New").unwrap()),
            ..SectionChanges::default()
        };
        let next = with(&section, renamed).unwrap();
        assert!(!section.take_on(next, at(1)));
        assert_eq!((section.calendar_sequence, section.revision), (0, 2));
        let zone = "America/Bogota".parse().unwrap();
        let calendar =
            CalendarChanges { time_zone: Change::To(zone), ..CalendarChanges::default() };
        let next =
            with(&section, SectionChanges { calendar, ..SectionChanges::default() }).unwrap();
        assert!(section.take_on(next, at(2)));
        assert_eq!((section.calendar_sequence, section.revision), (1, 3));
        assert_eq!((section.created_at, section.updated_at), (at(0), at(2)));
    }

    #[test]
    fn a_capacity_is_lowered_when_fewer_may_attend_than_before() {
        let of = |capacity| Section { capacity, ..section() };
        let lowered = |from, to| of(from).lowered_capacity(&of(to));
        assert_eq!(lowered(None, None), None);
        assert_eq!(lowered(None, Some(5)), Some(5));
        assert_eq!(lowered(Some(5), Some(4)), Some(4));
        assert_eq!(lowered(Some(5), Some(5)), None);
        assert_eq!(lowered(Some(5), Some(6)), None);
        assert_eq!(lowered(Some(5), None), None);
    }

    #[test]
    fn numbers_and_windows_out_of_range_are_refused() {
        let refused = |changes| with(&section(), changes).is_err();
        let capacity =
            |it| SectionChanges { capacity: Change::To(Some(it)), ..SectionChanges::default() };
        assert!(refused(capacity(0)) && refused(capacity(1_000_001)) && !refused(capacity(1)));
        let waitlist = |it| SectionChanges {
            waitlist_capacity: Change::To(Some(it)),
            ..SectionChanges::default()
        };
        assert!(refused(waitlist(1_000_001)) && !refused(waitlist(0)));
        let offer =
            |it| SectionChanges { offer_hours: Change::To(Some(it)), ..SectionChanges::default() };
        assert!(refused(offer(0)) && refused(offer(721)) && !refused(offer(720)));
        let reminders = |it: &[u32]| SectionChanges {
            reminder_minutes_before: Change::To(it.to_vec()),
            ..SectionChanges::default()
        };
        assert!(refused(reminders(&[0])) && refused(reminders(&[43_201])));
        assert!(refused(reminders(&[1, 2, 3, 4, 5, 6])) && !refused(reminders(&[])));
        let window = |opens, closes| SectionChanges {
            enrollment_opens_at: Change::To(Some(at(opens))),
            enrollment_closes_at: Change::To(Some(at(closes))),
            ..SectionChanges::default()
        };
        assert!(refused(window(2, 1)) && refused(window(1, 1)) && !refused(window(1, 2)));
    }

    #[test]
    fn reminders_are_distinct_and_a_key_is_kept_as_a_seal() {
        let changes = SectionChanges {
            reminder_minutes_before: Change::To(vec![60, 5, 60]),
            enrollment_key: Change::To(Line::new("sésamo").ok()),
            ..SectionChanges::default()
        };
        let section = with(&section(), changes).unwrap();
        assert_eq!(section.reminder_minutes_before, [60, 5]);
        let seal = Secret::new(&[7; 32]).seal_text("enrollment-key", &["s1", "sésamo"]);
        assert_eq!(section.enrollment_key_seal.as_ref(), Some(&seal));
        let cleared =
            SectionChanges { enrollment_key: Change::To(None), ..SectionChanges::default() };
        assert_eq!(with(&section, cleared).unwrap().enrollment_key_seal, None);
    }

    #[test]
    fn seats_are_counted_against_the_capacity() {
        let seats = Count { taken: 3, waiting: 2, counted_at: Some(at(7)) };
        let shown = |capacity, seats| Section { capacity, ..section() }.show(seats, at(7), true);
        let some = shown(Some(5), Some(&seats));
        assert_eq!(some.seats_counted_at, None);
        assert_eq!((some.seats_taken, some.seats_free, some.waitlist_length), (3, Some(2), 2));
        let open = shown(None, Some(&seats));
        assert_eq!((open.seats_taken, open.seats_free), (3, None));
        let none = shown(Some(5), None);
        assert_eq!((none.seats_taken, none.seats_free, none.waitlist_length), (0, Some(5), 0));
        assert_eq!(none.seats_counted_at, Some(at(0)));
        assert_eq!(shown(Some(2), Some(&seats)).seats_free, Some(0));
    }
}
