//! `POST /internal/enrollments/get-seats`

use contracts::enrollments::{GetSeats, SeatsOfSections};
use runtime::{Key, prelude::*};

use crate::{block::SeatBlock, seats::Seats};

pub async fn run(cx: Context<System>, request: GetSeats) -> Result<SeatsOfSections> {
    let ids: Vec<_> = request.section_ids.iter().map(ToString::to_string).collect();
    let sections: Vec<_> = cx.get_all::<Seats>(&ids).await?.into_iter().flatten().collect();
    let blocks: Vec<_> = sections.iter().flat_map(|seats| seats.block_ids()).collect();
    let blocks = cx.get_all::<SeatBlock>(&blocks).await?;
    let blocks: Vec<_> = blocks.into_iter().flatten().collect();
    for seats in &sections {
        let its = blocks.iter().filter(|it| it.section_id == seats.section_id && seats.owns(it));
        if its.count() < seats.block_ids().len() {
            // The seats were gathered since their document was read: it's read again.
            return Err(Error::Stale(Key::of::<Seats>(seats.key())));
        }
    }
    let counted = |seats: Stored<Seats>| {
        let its = blocks.iter().filter(|it| it.section_id == seats.section_id && seats.owns(it));
        contracts::enrollments::Seats {
            section_id: seats.section_id.clone(),
            seats_taken: seats.held(cx.now) + its.map(|block| block.taken).sum::<u32>(),
            waitlist_length: seats.waiting,
        }
    };
    Ok(SeatsOfSections { sections: sections.into_iter().map(counted).collect() })
}
