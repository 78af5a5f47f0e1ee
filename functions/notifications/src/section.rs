//! A section, as courses has told of it or is asked: what messages say of it,
//! and when its people are to be reminded.

use std::collections::BTreeSet;

use contracts::courses::{
    CourseFacts, CourseId, GetSectionFacts, MeetingFacts, SECTION_NOT_FOUND, SectionFacts,
    SectionId,
};
use runtime::prelude::*;

/// A section, as it is kept here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownSection {
    section_id: SectionId,
    course_id: CourseId,
    /// The newest title of its course that is known.
    pub course_title: String,
    /// The course's revision that has this title; 0 until the course has told of itself.
    course_revision: u64,
    /// The section itself.
    pub facts: SectionFacts,
    /// The section's revision that last changed its people's reminders or calendars.
    pub itinerary: u64,
    /// The itinerary that everyone in the section was last brought in line with.
    pub followed: u64,
    /// The meetings that it had once and hasn't any more, the latest last.
    withdrawn: Vec<Withdrawn>,
}

/// A meeting that was taken out of a section.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Withdrawn {
    meeting: MeetingFacts,
    /// The section's calendar sequence that is without it.
    sequence: u32,
}

/// How many withdrawn meetings are remembered: who hasn't heard of older ones never will.
const WITHDRAWN_MOST: usize = 100;

impl Document for KnownSection {
    const COLLECTION: &'static str = "sections";
    const INDEXES: &'static [Index] = &[Index::ascending("section_id").equals(&["course_id"])];
    fn key(&self) -> String {
        self.section_id.to_string()
    }
}

impl KnownSection {
    /// A section that was unknown until now: nobody here follows an older itinerary of it.
    pub fn new(facts: SectionFacts) -> Self {
        Self {
            section_id: facts.section_id.clone(),
            course_id: facts.course_id.clone(),
            course_title: facts.course_title.clone(),
            course_revision: 0,
            itinerary: facts.revision,
            followed: facts.revision,
            withdrawn: Vec::new(),
            facts: without_key(facts),
        }
    }

    /// The sections of a course.
    pub fn of_course(course_id: &CourseId) -> Query {
        Query::ascending::<Self>("section_id").equals("course_id", course_id)
    }

    /// Learns what the section is now; whether that is news.
    pub fn learn(&mut self, facts: &SectionFacts) -> bool {
        if facts.revision <= self.facts.revision {
            return false;
        }
        if itinerary(facts) != itinerary(&self.facts) {
            self.itinerary = facts.revision;
        }
        self.withdraw(facts);
        if self.course_revision == 0 {
            self.course_title.clone_from(&facts.course_title);
        }
        self.facts = without_key(facts.clone());
        true
    }

    /// Learns what its course is called now; whether that is news. Once the
    /// course has told of itself, its word counts, not the section's.
    pub fn learn_course(&mut self, course: &CourseFacts) -> bool {
        if course.revision <= self.course_revision {
            return false;
        }
        self.course_revision = course.revision;
        self.course_title.clone_from(&course.title);
        true
    }

    fn withdraw(&mut self, facts: &SectionFacts) {
        let now: BTreeSet<_> = facts.meetings.iter().map(|it| it.id.as_str()).collect();
        self.withdrawn.retain(|it| !now.contains(it.meeting.id.as_str()));
        let gone = self.facts.meetings.drain(..).filter(|it| !now.contains(it.id.as_str()));
        let sequence = facts.calendar_sequence;
        self.withdrawn.extend(gone.map(|meeting| Withdrawn { meeting, sequence }));
        let too_many = self.withdrawn.len().saturating_sub(WITHDRAWN_MOST);
        self.withdrawn.drain(..too_many);
    }

    /// Its meeting with this id.
    pub fn meeting(&self, id: &str) -> Option<&MeetingFacts> {
        self.facts.meetings.iter().find(|it| it.id == id)
    }

    /// Its meetings that haven't ended.
    pub fn meetings_ahead(&self, now: Timestamp) -> impl Iterator<Item = &MeetingFacts> {
        self.facts.meetings.iter().filter(move |it| it.ends_at > now)
    }

    /// When the next of its meetings begins, or would have begun.
    pub fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let withdrawn = self.withdrawn.iter().map(|it| &it.meeting);
        let starts = self.facts.meetings.iter().chain(withdrawn).map(|it| it.starts_at);
        starts.filter(|it| *it > now).min()
    }

    /// The meetings that were taken out of it since a calendar sequence, and wouldn't have ended.
    pub fn withdrawn_since(
        &self,
        sequence: u32,
        now: Timestamp,
    ) -> impl Iterator<Item = &MeetingFacts> {
        let since = self.withdrawn.iter().filter(move |it| it.sequence > sequence);
        since.map(|it| &it.meeting).filter(move |it| it.ends_at > now)
    }
}

/// The facts without the enrollment key's seal, which is nobody's business here.
fn without_key(facts: SectionFacts) -> SectionFacts {
    SectionFacts { enrollment_key_seal: None, ..facts }
}

/// What of a section makes a difference to its people's reminders and calendars.
fn itinerary(facts: &SectionFacts) -> impl PartialEq + '_ {
    let meetings: Vec<_> = facts.meetings.iter().map(|it| (&it.id, it.starts_at)).collect();
    (facts.calendar_sequence, &facts.reminder_minutes_before, meetings)
}

/// A section; courses is asked if it hasn't told yet. Nothing if there's no
/// such section.
pub async fn of(cx: &Context<System>, section_id: &SectionId) -> Result<Option<KnownSection>> {
    if let Some(known) = cx.get::<KnownSection>(section_id.as_str()).await? {
        return Ok(Some(known.into_inner()));
    }
    let found = match cx.call(GetSectionFacts { section_id: section_id.clone() }).await {
        Ok(found) => found,
        Err(Error::Refused(refusal)) if refusal.problem == SECTION_NOT_FOUND => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut section = KnownSection::new(found.section);
    section.learn_course(&found.course);
    match cx.commit_part(Changes::new().create(&section)).await {
        // Lost to its event, which is as good.
        Ok(()) | Err(Error::Stale(_)) => Ok(Some(section)),
        Err(error) => Err(error),
    }
}

/// Keeps what was told of a section, unless as much is known.
pub async fn learn(cx: &Context<System>, told: &SectionFacts) -> Result<()> {
    let changes = match cx.get::<KnownSection>(told.section_id.as_str()).await? {
        None => Changes::new().create(&KnownSection::new(told.clone())),
        Some(mut known) => {
            if known.learn(told) {
                Changes::new().save(&known)
            } else {
                Changes::new()
            }
        }
    };
    // The revision tells what is known: the event needn't be marked as handled.
    cx.commit_part(changes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{meeting, section, time};

    #[test]
    fn an_older_fact_changes_nothing() {
        let mut known = KnownSection::new(SectionFacts { revision: 3, ..section() });
        assert!(!known.learn(&SectionFacts { revision: 3, title: "B".into(), ..section() }));
        assert!(!known.learn(&SectionFacts { revision: 2, title: "B".into(), ..section() }));
        assert!(known.learn(&SectionFacts { revision: 4, title: "B".into(), ..section() }));
        assert_eq!(known.facts.title, "B");
    }

    #[test]
    fn only_dates_and_reminders_make_a_new_itinerary() {
        let mut known = KnownSection::new(section());
        known.learn(&SectionFacts { revision: 2, capacity: Some(9), ..section() });
        assert_eq!(known.itinerary, 1);
        let reminder_minutes_before = vec![30];
        known.learn(&SectionFacts { revision: 3, reminder_minutes_before, ..section() });
        assert_eq!(known.itinerary, 3);
        known.learn(&SectionFacts { revision: 4, calendar_sequence: 1, ..section() });
        assert_eq!(known.itinerary, 4);
    }

    #[test]
    fn a_meeting_that_is_taken_out_is_remembered_until_it_is_back_or_over() {
        let now = time("2026-03-02T12:00:00Z");
        let gone = |known: &KnownSection, since, now| {
            known.withdrawn_since(since, now).map(|it| it.id.clone()).collect::<Vec<_>>()
        };
        let mut known = KnownSection::new(section());
        let without = SectionFacts { meetings: Vec::new(), calendar_sequence: 1, ..section() };
        known.learn(&SectionFacts { revision: 2, ..without });
        assert_eq!(gone(&known, 0, now), ["m1"]);
        assert!(gone(&known, 1, now).is_empty());
        assert!(gone(&known, 0, time("2027-01-01T00:00:00Z")).is_empty());
        let meetings = vec![meeting("m1", "2026-03-05T18:00:00Z")];
        known.learn(&SectionFacts { revision: 3, meetings, calendar_sequence: 2, ..section() });
        assert!(gone(&known, 0, now).is_empty());
    }

    #[test]
    fn once_the_course_has_told_its_title_the_section_does_not_change_it() {
        let mut known = KnownSection::new(section());
        let course = CourseFacts {
            course_id: "c1".into(),
            title: "Rust in depth".into(),
            state: contracts::courses::CourseState::Published,
            instructors: Vec::new(),
            prerequisites: Vec::new(),
            items: Vec::new(),
            revision: 5,
        };
        assert!(known.learn_course(&course));
        assert!(!known.learn_course(&CourseFacts { title: "Old".into(), revision: 4, ..course }));
        known.learn(&SectionFacts { revision: 2, ..section() });
        assert_eq!(known.course_title, "Rust in depth");
    }
}
