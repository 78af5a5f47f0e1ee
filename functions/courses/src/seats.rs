//! How full sections are, as enrollments knows it now.

use std::collections::HashMap;

use contracts::{
    courses::SectionId,
    enrollments::{GetSeats, Seats},
};
use runtime::prelude::*;

use crate::section::Section;

/// How full some sections are; one that nobody has enrolled in is missing.
pub async fn of<'a, C>(
    cx: &Context<C>,
    sections: impl Iterator<Item = &'a Section>,
) -> Result<HashMap<SectionId, Seats>> {
    let section_ids: Vec<_> = sections.map(|section| section.id.clone()).collect();
    if section_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let answer = cx.call(GetSeats { section_ids }).await?;
    let seats = answer.sections.into_iter();
    Ok(seats.map(|seats| (seats.section_id.clone(), seats)).collect())
}

/// How full one section is; nothing if nobody has enrolled.
pub async fn of_one<C>(cx: &Context<C>, section: &Section) -> Result<Option<Seats>> {
    Ok(of(cx, std::iter::once(section)).await?.remove(&section.id))
}
