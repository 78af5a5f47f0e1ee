//! The part of courses: what a section allows, and how that is changed. It
//! follows `docs/decisions/0005`: a lower capacity is promised first, then it's
//! made the rule, then everyone is told.

use std::{collections::BTreeMap, time::Duration};

use contracts::{
    courses::{
        CourseFacts, CourseState, CourseUpdated, SectionAndCourse, SectionCancelled, SectionFacts,
        SectionUpdated,
    },
    enrollments::{LearnSection, LimitSeats},
};

use super::{Ledger, Person};

/// What courses have decided, each section's revisions in order.
#[derive(Clone, Debug, Hash)]
pub(super) struct Catalog {
    sections: BTreeMap<String, Vec<SectionFacts>>,
    pub(super) course: CourseFacts,
}

impl Catalog {
    /// A published course that `ines` teaches, with these sections.
    pub(super) fn of(sections: Vec<SectionFacts>) -> Self {
        let course = crate::facts::course();
        let own = |facts: SectionFacts| (facts.section_id.to_string(), vec![facts]);
        Self { sections: sections.into_iter().map(own).collect(), course }
    }

    pub(super) fn sections(&self) -> Vec<String> {
        self.sections.keys().cloned().collect()
    }

    /// A section as it is now.
    pub(super) fn section(&self, id: &str) -> Option<&SectionFacts> {
        self.sections.get(id)?.last()
    }

    /// A section as it was at a revision.
    pub(super) fn section_at(&self, id: &str, revision: u64) -> Option<&SectionFacts> {
        self.sections.get(id)?.iter().find(|facts| facts.revision == revision)
    }

    pub(super) fn facts(&self, id: &str) -> Option<SectionAndCourse> {
        let section = self.section(id)?.clone();
        Some(SectionAndCourse { section, course: self.course.clone() })
    }

    /// Makes a change, unless somebody else has made one since that revision.
    fn change(
        &mut self,
        id: &str,
        seen: u64,
        change: impl FnOnce(&mut SectionFacts),
    ) -> Option<SectionFacts> {
        let revisions = self.sections.get_mut(id)?;
        let mut next = revisions.last().filter(|facts| facts.revision == seen)?.clone();
        change(&mut next);
        next.revision += 1;
        revisions.push(next.clone());
        Some(next)
    }
}

/// How a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// How often the others go on between what's promised and the change itself.
    pub(super) slowness: usize,
    /// Whether it's told by a call as soon as it's made.
    pub(super) told_at_once: bool,
    /// Whether the event that follows is told at once, or when all else has happened.
    pub(super) event_at_once: bool,
}

/// Changes a section's capacity; whoever changed it meanwhile wins.
pub(super) async fn change_capacity(
    person: &Person,
    ledger: &Ledger,
    id: &str,
    capacity: Option<u32>,
    manner: Manner,
) {
    person.touch().await;
    let seen = ledger.look(|book| book.catalog.section(id).cloned()).expect("sections stay");
    if seen.cancelled {
        return;
    }
    let lowered = capacity.filter(|most| seen.capacity.is_none_or(|before| *most < before));
    if let Some(most) = lowered
        && !is_promised(person, &seen, most).await
    {
        return;
    }
    for _ in 0..manner.slowness {
        person.pause(Duration::from_millis(5)).await;
    }
    person.touch().await;
    let changed = ledger.change(|book| {
        let changed = book.catalog.change(id, seen.revision, |facts| facts.capacity = capacity);
        book.look_for_too_many(id);
        changed
    });
    if let Some(section) = changed {
        tell(person, ledger, &section, manner).await;
    }
}

/// Has a lower capacity promised, and nothing more.
pub(super) async fn promise(person: &Person, ledger: &Ledger, id: &str) {
    person.touch().await;
    let seen = ledger.look(|book| book.catalog.section(id).cloned()).expect("sections stay");
    if let Some(most) = seen.capacity.and_then(|now| now.checked_sub(1)) {
        let _whether_or_not = is_promised(person, &seen, most).await;
    }
}

/// Asks enrollments to give out no seat beyond a lower capacity.
async fn is_promised(person: &Person, seen: &SectionFacts, most: u32) -> bool {
    let platform = person.platform("courses");
    for _ in 0..3 {
        let (section_id, revision) = (seen.section_id.clone(), seen.revision);
        match platform.call(LimitSeats { section_id, most, revision }).await {
            Ok(()) => return true,
            Err(runtime::Error::Refused(_)) => return false,
            Err(_) => person.pause(Duration::from_millis(20)).await,
        }
    }
    // Whether it's promised isn't known, so it isn't relied on.
    false
}

/// Tells of a section as it is.
pub(super) async fn tell_of(person: Person, ledger: Ledger, id: &str) {
    person.touch().await;
    let facts = ledger.look(|book| book.catalog.facts(id)).expect("sections stay");
    person.tell(&SectionUpdated { section: facts.section }).await;
}

/// Cancels a section.
pub(super) async fn cancel(person: &Person, ledger: &Ledger, id: &str) {
    person.touch().await;
    let gone = ledger.change(|book| {
        let seen = book.catalog.section(id).filter(|facts| !facts.cancelled)?.revision;
        book.catalog.change(id, seen, |facts| facts.cancelled = true)
    });
    if let Some(section) = gone {
        person.tell(&SectionCancelled { section }).await;
    }
}

/// Gives a section another title, which changes nothing about its seats.
pub(super) async fn retitle(person: &Person, ledger: &Ledger, id: &str, manner: Manner) {
    person.touch().await;
    let changed = ledger.change(|book| {
        let seen = book.catalog.section(id)?.revision;
        book.catalog.change(id, seen, |facts| facts.title.push('!'))
    });
    if let Some(section) = changed {
        tell(person, ledger, &section, manner).await;
    }
}

/// Takes the course off the catalog, or puts it back.
pub(super) async fn publish(person: &Person, ledger: &Ledger, published: bool) {
    person.touch().await;
    let course = ledger.change(|book| {
        let course = &mut book.catalog.course;
        course.state = if published { CourseState::Published } else { CourseState::Archived };
        course.revision += 1;
        course.clone()
    });
    person.tell(&CourseUpdated { course }).await;
}

async fn tell(person: &Person, ledger: &Ledger, section: &SectionFacts, manner: Manner) {
    let course = ledger.look(|book| book.catalog.course.clone());
    if manner.told_at_once {
        let section = section.clone();
        // If it isn't heard, the event tells it.
        let _event = person.platform("courses").call(LearnSection { section, course }).await;
    }
    let event = SectionUpdated { section: section.clone() };
    if manner.event_at_once {
        person.tell(&event).await;
    } else {
        person.tell_at_last(&event);
    }
}
