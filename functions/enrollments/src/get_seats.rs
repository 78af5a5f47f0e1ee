//! `POST /internal/enrollments/get-seats`

use contracts::enrollments::{GetSeats, SeatsOfSections};
use runtime::prelude::*;

use crate::seats::Seats;

pub async fn run(cx: Context<System>, request: GetSeats) -> Result<SeatsOfSections> {
    let ids: Vec<_> = request.section_ids.iter().map(ToString::to_string).collect();
    let sections = cx.get_all::<Seats>(&ids).await?;
    let counted = |seats: Stored<Seats>| contracts::enrollments::Seats {
        section_id: seats.section_id.clone(),
        seats_taken: seats.held(cx.now),
        waitlist_length: seats.waiting,
    };
    Ok(SeatsOfSections { sections: sections.into_iter().flatten().map(counted).collect() })
}
