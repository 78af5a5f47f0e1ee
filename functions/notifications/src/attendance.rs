//! An attendance: where a person's enrollment stands, as enrollments has told.

use contracts::{
    courses::SectionId,
    enrollments::{EnrollmentFacts, EnrollmentId, EnrollmentState},
};
use runtime::prelude::*;

use crate::news::About;

/// Where a person's enrollment stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attendance {
    /// The enrollment's id, made of its section and its user.
    pub id: EnrollmentId,
    /// The section.
    pub section_id: SectionId,
    /// The person.
    pub user_id: UserId,
    /// Where it stands.
    pub state: EnrollmentState,
    /// Which of the enrollment's facts this is: older ones can't overwrite it.
    pub revision: u64,
    /// The section's itinerary that the person's reminders are planned for.
    pub planned_for: u64,
    /// The section's calendar sequence that the person was last told.
    pub sequence: u32,
    /// Whether the section's dates were ever sent for the person's calendar.
    invited: bool,
    /// How often their own coming and going has changed their calendar since the first time.
    turns: u32,
}

impl Document for Attendance {
    const COLLECTION: &'static str = "attendances";
    const INDEXES: &'static [Index] = &[
        Index::ascending("id").equals(&["section_id", "state"]),
        Index::ascending("id").equals(&["user_id"]),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Attendance {
    /// Of an enrollment that nothing is known of yet.
    pub fn new(facts: &EnrollmentFacts) -> Self {
        Self {
            id: facts.enrollment_id.clone(),
            section_id: facts.section_id.clone(),
            user_id: facts.user_id.clone(),
            state: EnrollmentState::Cancelled,
            revision: 0,
            planned_for: 0,
            sequence: 0,
            invited: false,
            turns: 0,
        }
    }

    /// Those in a section who have a seat.
    pub fn with_a_seat(section_id: &SectionId) -> Query {
        let all = Query::ascending::<Self>("id").equals("section_id", section_id);
        all.equals("state", EnrollmentState::Confirmed)
    }

    /// Those of a person.
    pub fn of(user_id: &UserId) -> Query {
        Query::ascending::<Self>("id").equals("user_id", user_id)
    }

    /// Whether the section's dates were ever sent for the person's calendar.
    pub const fn was_invited(&self) -> bool {
        self.invited
    }

    /// Whether the person has a seat.
    pub fn has_seat(&self) -> bool {
        self.state == EnrollmentState::Confirmed
    }

    /// Moves on to what an event tells; whether that is news.
    pub fn follow(&mut self, facts: &EnrollmentFacts, state: EnrollmentState) -> bool {
        if facts.revision <= self.revision {
            return false;
        }
        let (had, has) = (self.has_seat(), state == EnrollmentState::Confirmed);
        // A calendar takes a change only if its SEQUENCE has grown, so each turn counts.
        if has != had && self.invited {
            self.turns += 1;
        }
        self.invited |= has;
        (self.state, self.revision) = (state, facts.revision);
        true
    }

    /// What news of it is about.
    pub fn about(&self) -> About {
        About {
            enrollment_id: self.id.clone(),
            section_id: self.section_id.clone(),
            revision: self.revision,
            turns: self.turns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::enrollment;

    #[test]
    fn older_facts_change_nothing() {
        let mut attendance = Attendance::new(&enrollment("ada", 2));
        assert!(attendance.follow(&enrollment("ada", 2), EnrollmentState::Cancelled));
        assert!(!attendance.follow(&enrollment("ada", 1), EnrollmentState::Confirmed));
        assert!(!attendance.follow(&enrollment("ada", 2), EnrollmentState::Confirmed));
        assert_eq!(attendance.state, EnrollmentState::Cancelled);
    }

    #[test]
    fn whoever_comes_and_goes_gets_a_growing_number_each_time() {
        let mut attendance = Attendance::new(&enrollment("ada", 1));
        let states = [
            EnrollmentState::Waitlisted,
            EnrollmentState::Confirmed,
            EnrollmentState::Cancelled,
            EnrollmentState::Waitlisted,
            EnrollmentState::Confirmed,
        ];
        let turns = (1..).zip(states).map(|(revision, state)| {
            assert!(attendance.follow(&enrollment("ada", revision), state));
            attendance.about().turns
        });
        assert_eq!(turns.collect::<Vec<_>>(), [0, 0, 1, 1, 2]);
    }
}
