//! On `courses.section_updated.v1`: if the dates have changed, everyone with a
//! seat is told, and their reminders move along.
//!
//! It tells of every change, so `courses.section_rescheduled.v1` isn't listened
//! to: two subscribers would fight for the same documents.

use contracts::courses::SectionUpdated;
use runtime::prelude::*;

use crate::{rescheduling, section};

pub async fn run(cx: Context<System>, event: SectionUpdated) -> Result<()> {
    section::learn(&cx, &event.section).await?;
    rescheduling::everyone(&cx, &event.section.section_id).await
}
