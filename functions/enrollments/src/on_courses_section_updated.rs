//! On `courses.section_updated.v1`: what the section allows is learned.

use contracts::courses::SectionUpdated;
use runtime::prelude::*;

use crate::learning;

pub async fn run(cx: Context<System>, event: SectionUpdated) -> Result<()> {
    learning::learn_section(&cx, &event.section).await
}
