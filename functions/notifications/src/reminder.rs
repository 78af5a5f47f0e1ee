//! A reminder: one for each meeting, person with a seat, and time before.

use std::collections::BTreeMap;

use contracts::{
    courses::{MeetingFacts, SectionId},
    enrollments::EnrollmentId,
};
use runtime::{derived_id, prelude::*};

use crate::{
    attendance::Attendance,
    delivery::Reason,
    news::{About, News},
    section::KnownSection,
};

/// Where a reminder is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReminderState {
    /// It will be sent when it's due.
    Planned,
    /// It was due, and handed to those who send.
    Claimed,
    /// It won't be sent, and why is said.
    Skipped,
    /// Nobody needs it any more.
    Dropped,
}

/// A person is reminded of a meeting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reminder {
    id: String,
    enrollment_id: EnrollmentId,
    /// The section.
    pub section_id: SectionId,
    /// The person.
    pub user_id: UserId,
    meeting_id: String,
    minutes_before: u32,
    /// When the meeting begins, as it was when this was planned.
    starts_at: Timestamp,
    /// The section's calendar sequence then.
    sequence: u32,
    /// Where it is in its life.
    pub state: ReminderState,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// When it is due; absent when there's nothing more to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// What news of it is about.
    about: About,
}

impl Document for Reminder {
    const COLLECTION: &'static str = "reminders";
    const INDEXES: &'static [Index] =
        &[Index::ascending("due_at"), Index::ascending("id").equals(&["enrollment_id"])];
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// What becomes of a reminder that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The person is reminded.
    Remind,
    /// They aren't.
    Skip(Reason),
    /// The meeting was moved, and the reminder hasn't followed yet.
    Move,
}

impl Reminder {
    fn new(
        attendance: &Attendance,
        section: &KnownSection,
        meeting: &MeetingFacts,
        minutes_before: u32,
        since: Timestamp,
    ) -> Self {
        let mut reminder = Self {
            id: id(attendance, meeting, minutes_before),
            enrollment_id: attendance.id.clone(),
            section_id: attendance.section_id.clone(),
            user_id: attendance.user_id.clone(),
            meeting_id: meeting.id.clone(),
            minutes_before,
            starts_at: meeting.starts_at,
            sequence: section.facts.calendar_sequence,
            state: ReminderState::Dropped,
            reason: None,
            due_at: None,
            about: attendance.about(),
        };
        reminder.follow(section, meeting, since);
        reminder
    }

    /// Those of an enrollment.
    pub fn of(enrollment_id: &EnrollmentId) -> Query {
        Query::ascending::<Self>("id").equals("enrollment_id", enrollment_id)
    }

    /// Those that are due.
    pub fn due(now: Timestamp) -> Query {
        Query::ascending::<Self>("due_at").at_most(now)
    }

    /// Whether it still waits for its time.
    pub const fn is_planned(&self) -> bool {
        matches!(self.state, ReminderState::Planned)
    }

    /// Plans it anew if the meeting begins at another time than it did, or if
    /// it had been dropped; whether anything changed. What was due before
    /// `since` is too late: the message that tells the dates says as much.
    fn follow(&mut self, section: &KnownSection, meeting: &MeetingFacts, since: Timestamp) -> bool {
        if self.starts_at == meeting.starts_at && self.state != ReminderState::Dropped {
            return false;
        }
        self.starts_at = meeting.starts_at;
        self.sequence = section.facts.calendar_sequence;
        let due_at = before(meeting.starts_at, self.minutes_before);
        if due_at > since {
            (self.state, self.reason) = (ReminderState::Planned, None);
            self.due_at = Some(due_at);
        } else {
            self.skip(Reason::TooLate);
        }
        true
    }

    /// Follows a meeting that was moved when nobody noticed.
    pub fn catch_up(&mut self, section: &KnownSection, now: Timestamp) {
        if let Some(meeting) = section.meeting(&self.meeting_id) {
            self.follow(section, meeting, now);
        }
    }

    /// What becomes of it now that it's due. It's sent though it's late, as
    /// long as the meeting hasn't begun and no later reminder of it is due too.
    pub fn verdict(&self, section: Option<&KnownSection>, now: Timestamp) -> Verdict {
        let Some(section) = section else { return Verdict::Skip(Reason::SectionNotFound) };
        if section.facts.cancelled {
            return Verdict::Skip(Reason::SectionCancelled);
        }
        let Some(meeting) = section.meeting(&self.meeting_id) else {
            return Verdict::Skip(Reason::MeetingRemoved);
        };
        if meeting.starts_at != self.starts_at {
            return Verdict::Move;
        }
        if meeting.starts_at <= now {
            return Verdict::Skip(Reason::MeetingBegun);
        }
        let overtaken =
            |later: &u32| *later < self.minutes_before && before(meeting.starts_at, *later) <= now;
        if section.facts.reminder_minutes_before.iter().any(overtaken) {
            return Verdict::Skip(Reason::Overtaken);
        }
        Verdict::Remind
    }

    /// Hands it to those who send.
    pub fn claim(&mut self) {
        (self.state, self.due_at) = (ReminderState::Claimed, None);
    }

    /// Won't be sent.
    pub fn skip(&mut self, reason: Reason) {
        (self.state, self.due_at) = (ReminderState::Skipped, None);
        self.reason = Some(reason);
    }

    /// What the person is told.
    pub fn news(&self) -> News {
        News::Reminder {
            about: self.about.clone(),
            meeting_id: self.meeting_id.clone(),
            starts_at: self.starts_at,
            minutes_before: self.minutes_before,
        }
    }
}

#[cfg(test)]
impl Reminder {
    /// How a test sorts them.
    pub fn order(&self) -> (String, std::cmp::Reverse<u32>) {
        (self.meeting_id.clone(), std::cmp::Reverse(self.minutes_before))
    }

    /// When it's due, and why it was skipped.
    pub const fn fate(&self) -> (ReminderState, Option<Timestamp>, Option<Reason>) {
        (self.state, self.due_at, self.reason)
    }
}

fn before(starts_at: Timestamp, minutes: u32) -> Timestamp {
    starts_at.plus_minutes(-i64::from(minutes))
}

fn id(attendance: &Attendance, meeting: &MeetingFacts, minutes_before: u32) -> String {
    let (section_id, user_id) = (attendance.section_id.as_str(), attendance.user_id.as_str());
    derived_id(&[section_id, user_id, &meeting.id, &minutes_before.to_string()])
}

/// How many reminders an enrollment has at most, as its section is now.
pub fn count(section: &KnownSection) -> usize {
    section.facts.meetings.len() * section.facts.reminder_minutes_before.len()
}

/// The reminders of an enrollment that must change, so that all are as its
/// section and its state want them. `since` is when the person was told the
/// dates: what was due before is recorded as skipped.
pub fn plan(
    existing: Vec<Stored<Reminder>>,
    attendance: &Attendance,
    section: &KnownSection,
    since: Timestamp,
) -> Vec<Stored<Reminder>> {
    let mut existing: BTreeMap<_, _> = existing.into_iter().map(|it| (it.id.clone(), it)).collect();
    let mut changed = Vec::new();
    if attendance.has_seat() && !section.facts.cancelled {
        for meeting in &section.facts.meetings {
            for minutes_before in section.facts.reminder_minutes_before.iter().copied() {
                let known = existing.remove(&id(attendance, meeting, minutes_before));
                changed.extend(match known {
                    Some(mut known) => known.follow(section, meeting, since).then(|| {
                        known.about = attendance.about();
                        known
                    }),
                    // Nobody is reminded of what had begun before they came.
                    None => (meeting.starts_at > since).then(|| {
                        Stored::new(Reminder::new(
                            attendance,
                            section,
                            meeting,
                            minutes_before,
                            since,
                        ))
                    }),
                });
            }
        }
    }
    changed.extend(existing.into_values().filter(|it| it.is_planned()).map(|mut reminder| {
        (reminder.state, reminder.due_at) = (ReminderState::Dropped, None);
        reminder
    }));
    changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use contracts::{courses::SectionFacts, enrollments::EnrollmentState};
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;
    use crate::tests::{enrollment, meeting, section, time};

    fn attendance(state: EnrollmentState) -> Attendance {
        let mut attendance = Attendance::new(&enrollment("ada", 1));
        attendance.follow(&enrollment("ada", 1), state);
        attendance
    }

    fn planned(facts: SectionFacts, since: &str) -> Vec<Stored<Reminder>> {
        let section = KnownSection::new(facts);
        plan(Vec::new(), &attendance(EnrollmentState::Confirmed), &section, time(since))
    }

    fn in_short(reminders: &[Stored<Reminder>]) -> Vec<(u32, ReminderState, Option<String>)> {
        let short = |it: &Stored<Reminder>| {
            (it.minutes_before, it.state, it.due_at.map(|at| at.to_string()))
        };
        reminders.iter().map(short).collect()
    }

    #[test]
    fn one_is_planned_for_each_meeting_and_time_before() {
        let reminders = planned(section(), "2026-03-02T12:00:00Z");
        assert_eq!(
            in_short(&reminders),
            [
                (1440, ReminderState::Planned, Some("2026-03-08T22:00:00.000Z".into())),
                (60, ReminderState::Planned, Some("2026-03-09T21:00:00.000Z".into())),
            ]
        );
        let meetings =
            vec![meeting("m1", "2026-03-09T22:00:00Z"), meeting("m2", "2026-03-16T22:00:00Z")];
        assert_eq!(
            planned(SectionFacts { meetings, ..section() }, "2026-03-02T12:00:00Z").len(),
            4
        );
    }

    #[test]
    fn what_was_due_before_the_person_came_is_skipped_and_said_so() {
        let reminders = planned(section(), "2026-03-09T12:00:00Z");
        let states: Vec<_> = reminders.iter().map(|it| (it.state, it.reason)).collect();
        let late = (ReminderState::Skipped, Some(Reason::TooLate));
        assert_eq!(states, [late, (ReminderState::Planned, None)]);
        assert!(planned(section(), "2026-03-09T22:00:00Z").is_empty());
    }

    #[test]
    fn rescheduling_moves_them_and_plans_again_what_was_sent_for_the_old_date() {
        let now = time("2026-03-09T00:00:00Z");
        let mut reminders = planned(section(), "2026-03-02T12:00:00Z");
        reminders[0].claim();
        let attendance = attendance(EnrollmentState::Confirmed);
        let same = plan(reminders.clone(), &attendance, &KnownSection::new(section()), now);
        assert!(same.is_empty());

        let meetings = vec![meeting("m1", "2026-03-11T22:00:00Z")];
        let moved = KnownSection::new(SectionFacts { meetings, ..section() });
        let changed = plan(reminders.clone(), &attendance, &moved, now);
        let due: Vec<_> = changed.iter().map(|it| it.due_at.unwrap().to_string()).collect();
        assert_eq!(due.len(), 2);
        assert!(due.contains(&"2026-03-10T22:00:00.000Z".to_owned()));

        let meetings = vec![meeting("m1", "2026-03-09T12:00:00Z")];
        let sooner = KnownSection::new(SectionFacts { meetings, ..section() });
        let changed = plan(reminders, &attendance, &sooner, now);
        let mut states = in_short(&changed);
        states.sort_by_key(|it| it.0);
        assert_eq!(
            states,
            [
                (60, ReminderState::Planned, Some("2026-03-09T11:00:00.000Z".into())),
                (1440, ReminderState::Skipped, None),
            ]
        );
    }

    #[test]
    fn who_leaves_loses_theirs_and_who_comes_back_gets_them_again() {
        let now = time("2026-03-02T12:00:00Z");
        let section = KnownSection::new(section());
        let reminders = planned(section.facts.clone(), "2026-03-02T12:00:00Z");
        let dropped = plan(reminders, &attendance(EnrollmentState::Cancelled), &section, now);
        assert!(dropped.iter().all(|it| it.state == ReminderState::Dropped && it.due_at.is_none()));
        assert_eq!(dropped.len(), 2);
        let again = plan(dropped, &attendance(EnrollmentState::Confirmed), &section, now);
        assert!(again.iter().all(|it| it.is_planned() && it.due_at.is_some()));
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn what_was_sent_for_a_date_is_not_sent_again_for_it() {
        let now = time("2026-03-09T00:00:00Z");
        let section = KnownSection::new(section());
        let mut reminders = planned(section.facts.clone(), "2026-03-02T12:00:00Z");
        reminders[0].claim();
        let left = plan(reminders.clone(), &attendance(EnrollmentState::Cancelled), &section, now);
        assert_eq!(left.len(), 1);
        let back = plan(reminders, &attendance(EnrollmentState::Confirmed), &section, now);
        assert!(back.is_empty());
    }

    #[test]
    fn a_cancelled_section_a_removed_meeting_and_a_removed_time_drop_theirs() {
        let now = time("2026-03-02T12:00:00Z");
        let attendance = attendance(EnrollmentState::Confirmed);
        for (facts, left) in [
            (SectionFacts { cancelled: true, ..section() }, 0),
            (SectionFacts { meetings: Vec::new(), ..section() }, 0),
            (SectionFacts { reminder_minutes_before: vec![60], ..section() }, 1),
        ] {
            let reminders = planned(section(), "2026-03-02T12:00:00Z");
            let changed = plan(reminders, &attendance, &KnownSection::new(facts), now);
            assert!(changed.iter().all(|it| it.state == ReminderState::Dropped));
            assert_eq!(2 - changed.len(), left);
        }
    }

    #[test]
    fn a_late_one_is_sent_until_the_meeting_begins_or_the_next_one_is_due() {
        let section = KnownSection::new(section());
        let reminders = planned(section.facts.clone(), "2026-03-02T12:00:00Z");
        let verdict = |at: usize, now| reminders[at].verdict(Some(&section), time(now));
        assert_eq!(verdict(0, "2026-03-08T22:00:00Z"), Verdict::Remind);
        assert_eq!(verdict(0, "2026-03-09T20:59:59Z"), Verdict::Remind);
        assert_eq!(verdict(0, "2026-03-09T21:00:00Z"), Verdict::Skip(Reason::Overtaken));
        assert_eq!(verdict(1, "2026-03-09T21:59:59Z"), Verdict::Remind);
        assert_eq!(verdict(1, "2026-03-09T22:00:00Z"), Verdict::Skip(Reason::MeetingBegun));
    }

    #[test]
    fn what_has_no_meeting_any_more_is_not_sent() {
        let now = time("2026-03-08T22:00:00Z");
        let reminders = planned(section(), "2026-03-02T12:00:00Z");
        let verdict = |facts| reminders[0].verdict(Some(&KnownSection::new(facts)), now);
        let cancelled = SectionFacts { cancelled: true, ..section() };
        assert_eq!(verdict(cancelled), Verdict::Skip(Reason::SectionCancelled));
        let without = SectionFacts { meetings: Vec::new(), ..section() };
        assert_eq!(verdict(without), Verdict::Skip(Reason::MeetingRemoved));
        let meetings = vec![meeting("m1", "2026-03-10T22:00:00Z")];
        assert_eq!(verdict(SectionFacts { meetings, ..section() }), Verdict::Move);
        assert_eq!(reminders[0].verdict(None, now), Verdict::Skip(Reason::SectionNotFound));
    }

    /// Something that happens to a section, to a person in it, or to neither.
    #[derive(Clone, Debug)]
    enum Step {
        Reschedule { meeting: usize, hour: i64 },
        RemindAt(Vec<u32>),
        ComeOrGo,
        Wait { hours: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..2_usize, 0..240_i64).prop_map(|(meeting, hour)| Step::Reschedule { meeting, hour }),
            proptest::sample::subsequence(vec![2880, 1440, 60], 0..=3).prop_map(Step::RemindAt),
            Just(Step::ComeOrGo),
            (1..40_i64).prop_map(|hours| Step::Wait { hours }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_what_is_ahead_is_planned_and_nothing_is_told_twice(
            steps in proptest::collection::vec(step(), 1..40)
        ) {
            let beginning = time("2026-03-02T12:00:00Z");
            let at = |hour: i64| beginning.plus_minutes(hour * 60);
            let (mut now, mut told) = (beginning, BTreeSet::new());
            let mut facts = section();
            facts.meetings = ["m1", "m2"].map(|id| meeting(id, "2026-03-09T22:00:00Z")).to_vec();
            let mut attendance = attendance(EnrollmentState::Confirmed);
            let mut reminders = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Reschedule { meeting, hour } => facts.meetings[meeting].starts_at = at(hour),
                    Step::RemindAt(minutes) => facts.reminder_minutes_before = minutes,
                    Step::Wait { hours } => now = now.plus_minutes(hours * 60),
                    Step::ComeOrGo => {
                        let state = if attendance.has_seat() {
                            EnrollmentState::Cancelled
                        } else {
                            EnrollmentState::Confirmed
                        };
                        let revision = attendance.revision + 1;
                        attendance.follow(&enrollment("ada", revision), state);
                    }
                }
                let section = KnownSection::new(facts.clone());
                let existing = reminders.values().cloned().collect();
                for changed in plan(existing, &attendance, &section, now) {
                    reminders.insert(changed.id.clone(), changed);
                }
                for due in reminders.values_mut().filter(|it| it.due_at.is_some_and(|at| at <= now)) {
                    match due.verdict(Some(&section), now) {
                        Verdict::Remind => {
                            prop_assert!(told.insert(due.news().id(&due.user_id)));
                            due.claim();
                        }
                        Verdict::Skip(reason) => due.skip(reason),
                        Verdict::Move => prop_assert!(false, "it has just been planned"),
                    }
                }
                let ahead = |meeting: &MeetingFacts, minutes: u32| {
                    attendance.has_seat() && before(meeting.starts_at, minutes) > now
                };
                for meeting in &facts.meetings {
                    for minutes in facts.reminder_minutes_before.iter().copied() {
                        let planned = reminders.values().any(|it| {
                            it.is_planned()
                                && (&it.meeting_id, it.minutes_before) == (&meeting.id, minutes)
                                && it.due_at == Some(before(meeting.starts_at, minutes))
                        });
                        prop_assert_eq!(planned, ahead(meeting, minutes));
                    }
                }
                let wanted = |it: &Stored<Reminder>| {
                    attendance.has_seat() && facts.reminder_minutes_before.contains(&it.minutes_before)
                };
                prop_assert!(reminders.values().filter(|it| it.is_planned()).all(wanted));
            }
        }
    }
}
