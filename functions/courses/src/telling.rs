//! Telling enrollments of a change at once, so that who enrolls right after it
//! meets the new rules.
//!
//! The change is committed already, and its event tells of it too; so when this
//! fails, nothing is lost but a moment.

use contracts::{
    Endpoint,
    enrollments::{LearnCourse, LearnSection},
};
use runtime::prelude::*;

use crate::{course::Course, section::Section};

/// Tells of a course.
pub async fn of_course<C>(cx: &Context<C>, course: &Course) {
    tell(cx, LearnCourse { course: course.facts() }).await;
}

/// Tells of a section.
pub async fn of_section<C>(cx: &Context<C>, section: &Section, course: &Course) {
    tell(cx, LearnSection { section: section.facts(course), course: course.facts() }).await;
}

async fn tell<C, E: Endpoint<Response = ()>>(cx: &Context<C>, request: E) {
    // What went wrong may quote what was sent; the other side's log has it.
    if cx.call(request).await.is_err() {
        tracing::warn!(operation = E::OPERATION, "not told at once; the event will tell it");
    }
}
