//! How full sections are: as enrollments knows it now, or as it was known last.
//!
//! Whoever reads a section isn't kept waiting because enrollments doesn't
//! answer: they get the last counts, and are told of when those are.

use std::{collections::HashMap, time::Duration};

use contracts::{
    courses::SectionId,
    enrollments::{GetSeats, Seats},
};
use runtime::prelude::*;

use crate::section::Section;

/// How long whoever reads a section waits for its seats to be counted.
const PATIENCE: Duration = Duration::from_secs(2);

/// How full a section was when it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub taken: u32,
    pub waiting: u32,
    /// When; nothing: since it was created nobody has counted.
    pub counted_at: Option<Timestamp>,
}

impl Count {
    /// What enrollments has counted.
    fn of(seats: &Seats, now: Timestamp) -> Self {
        Self { taken: seats.seats_taken, waiting: seats.waitlist_length, counted_at: Some(now) }
    }

    /// Whether it says the same, whenever it was counted.
    pub const fn says_the_same_as(self, other: Self) -> bool {
        self.taken == other.taken && self.waiting == other.waiting
    }
}

/// How full some sections are now.
pub async fn count<'a, C>(
    cx: &Context<C>,
    sections: impl Iterator<Item = &'a Section>,
) -> Result<HashMap<SectionId, Count>> {
    let section_ids: Vec<_> = sections.map(|section| section.id.clone()).collect();
    if section_ids.is_empty() {
        return Ok(HashMap::new());
    }
    // Of a section that nobody has enrolled in, enrollments may know nothing.
    let none = Count { counted_at: Some(cx.now), ..Count::default() };
    let mut counts: HashMap<_, _> = section_ids.iter().map(|id| (id.clone(), none)).collect();
    let answer = cx.call_within(PATIENCE, GetSeats { section_ids }).await?;
    let seats = answer.sections.into_iter();
    counts.extend(seats.map(|seats| (seats.section_id.clone(), Count::of(&seats, cx.now))));
    Ok(counts)
}

/// How full some sections are now; those are missing that nobody can tell of now.
pub async fn of<'a, C>(
    cx: &Context<C>,
    sections: impl Iterator<Item = &'a Section>,
) -> HashMap<SectionId, Count> {
    count(cx, sections).await.unwrap_or_else(|error| {
        tracing::warn!(error = %error, "seats can't be counted; what was known last is told");
        HashMap::new()
    })
}

/// How full one section is now; nothing if nobody can tell now.
pub async fn of_one<C>(cx: &Context<C>, section: &Section) -> Option<Count> {
    of(cx, std::iter::once(section)).await.remove(&section.id)
}
