//! On `courses.section_created.v1`: the section is known.

use contracts::courses::SectionCreated;
use runtime::prelude::*;

use crate::section;

pub async fn run(cx: Context<System>, event: SectionCreated) -> Result<()> {
    section::learn(&cx, &event.section).await
}
