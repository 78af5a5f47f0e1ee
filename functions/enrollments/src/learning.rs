//! Learning what a section and its course allow: from their events, from a
//! call that says so at once, or by asking when somebody enrolls first.

use contracts::courses::{CourseFacts, GetSectionFacts, SectionFacts, SectionId};
use runtime::prelude::*;

use crate::{
    course::Course,
    hall::{Hall, Want},
    promoting,
    seats::Seats,
};

/// A section's seats and its course, and what isn't in the store yet of them.
pub struct Known {
    /// The seats.
    pub seats: Hall,
    /// The course.
    pub course: Stored<Course>,
}

/// Reads a section's seats and its course; asks courses for what isn't known yet.
pub async fn known<C>(cx: &Context<C>, section_id: &SectionId, want: Want) -> Result<Known> {
    if let Some(seats) = Hall::open(cx, section_id, want).await? {
        if let Some(course) = cx.get::<Course>(seats.course_id.as_str()).await? {
            return Ok(Known { seats, course });
        }
        let facts = cx.call(GetSectionFacts { section_id: section_id.clone() }).await?;
        return Ok(Known { seats, course: Stored::new(Course::from(&facts.course)) });
    }
    let facts = cx.call(GetSectionFacts { section_id: section_id.clone() }).await?;
    let course = cx.get::<Course>(facts.course.course_id.as_str()).await?;
    let course = course.unwrap_or_else(|| Stored::new(Course::from(&facts.course)));
    Ok(Known { seats: Hall::new(Seats::of(&facts.section)), course })
}

/// Learns what a section allows now, and gives freed seats to those who wait.
pub async fn learn_section<C>(cx: &Context<C>, facts: &SectionFacts) -> Result<()> {
    let each = cx.settings().seats_in_block;
    let known = Hall::open(cx, &facts.section_id, Want::All).await?;
    let is_new = known.is_none();
    let mut seats = known.unwrap_or_else(|| Hall::new(Seats::of(facts)));
    if is_new || seats.learn(facts, cx.now) {
        // Before anybody comes: in the rush itself there would be a queue to do it.
        seats.spread(each);
        cx.commit_part(seats.changes()).await?;
    } else {
        cx.commit_part(Changes::new()).await?;
    }
    promoting::all(cx, &facts.section_id).await
}

/// Learns what a course is now.
pub async fn course_changes<C>(cx: &Context<C>, facts: &CourseFacts) -> Result<Changes> {
    Ok(match cx.get::<Course>(facts.course_id.as_str()).await? {
        None => Changes::new().create(&Course::from(facts)),
        Some(mut course) => {
            if course.learn(facts) {
                Changes::new().save(&course)
            } else {
                Changes::new()
            }
        }
    })
}
