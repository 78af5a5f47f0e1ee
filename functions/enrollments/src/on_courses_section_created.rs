//! On `courses.section_created.v1`: what the section allows is learned.

use contracts::courses::SectionCreated;
use runtime::prelude::*;

use crate::learning;

pub async fn run(cx: Context<System>, event: SectionCreated) -> Result<()> {
    learning::learn_section(&cx, &event.section).await
}
