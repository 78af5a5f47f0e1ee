//! Who may see a course and its sections, and who may change them.
//!
//! What someone may not see isn't there for them (404); what they may see but
//! not change is forbidden (403). An archived course is there for nobody, but
//! those who run it find it in the list and may publish it again.

use contracts::courses::{COURSE_NOT_FOUND, CourseId, CourseState, SECTION_NOT_FOUND, SectionId};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{course::Course, section::Section};

/// A course that someone sees.
pub struct Seen {
    /// The course.
    pub course: Stored<Course>,
    /// Whether they run it, and so see all of it.
    pub by_staff: bool,
}

/// The course, for someone who wants to read.
pub async fn to_read(cx: &Context<Anyone>, id: &CourseId) -> Result<Seen> {
    let course = cx.get::<Course>(id.as_str()).await?.ok_or(COURSE_NOT_FOUND)?;
    let by_staff = cx.caller.user.as_ref().is_some_and(|user| course.is_run_by(user));
    let visible = match course.state {
        CourseState::Published => true,
        CourseState::Draft => by_staff,
        CourseState::Archived => false,
    };
    if visible { Ok(Seen { course, by_staff }) } else { Err(COURSE_NOT_FOUND.into()) }
}

/// The course, for someone who wants to change it or its sections.
pub async fn to_change(cx: &Context<Instructor>, id: &CourseId) -> Result<Stored<Course>> {
    let course = to_move(cx, id).await?;
    if course.state == CourseState::Archived {
        return Err(COURSE_NOT_FOUND.into());
    }
    Ok(course)
}

/// The course, for someone who wants to move it from a state to another, even
/// out of the archive.
pub async fn to_move(cx: &Context<Instructor>, id: &CourseId) -> Result<Stored<Course>> {
    let course = cx.get::<Course>(id.as_str()).await?.ok_or(COURSE_NOT_FOUND)?;
    if course.is_run_by(&cx.caller) {
        Ok(course)
    } else if course.state == CourseState::Published {
        Err(FORBIDDEN.into())
    } else {
        Err(COURSE_NOT_FOUND.into())
    }
}

/// A section of a course that someone may see.
pub async fn section_of<C>(
    cx: &Context<C>,
    course: &Course,
    id: &SectionId,
) -> Result<Stored<Section>> {
    let section = cx.get::<Section>(id.as_str()).await?;
    let section = section.filter(|section| section.course_id == course.id);
    Ok(section.ok_or(SECTION_NOT_FOUND)?)
}
