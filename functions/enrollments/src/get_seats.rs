//! `POST /internal/enrollments/get-seats`

use std::time::Duration;

use contracts::enrollments::{GetSeats, SeatsOfSections};
use runtime::{Key, prelude::*};

use crate::{block::SeatBlock, seats::Seats};

pub async fn run(cx: Context<System>, request: GetSeats) -> Result<SeatsOfSections> {
    let ids: Vec<_> = request.section_ids.iter().map(ToString::to_string).collect();
    let mut sections: Vec<_> = cx.get_all::<Seats>(&ids).await?.into_iter().flatten().collect();
    count(&cx, &mut sections).await?;
    let told = |seats: Stored<Seats>| contracts::enrollments::Seats {
        section_id: seats.section_id.clone(),
        seats_taken: seats.shown_taken(cx.now).expect("it was counted just now"),
        waitlist_length: seats.waiting,
    };
    Ok(SeatsOfSections { sections: sections.into_iter().map(told).collect() })
}

/// How long who looks waits until a count is kept.
const PATIENCE: Duration = Duration::from_millis(200);

/// Counts the blocks of those sections whose last count gets too old, and notes
/// it for those who look next.
async fn count(cx: &Context<System>, sections: &mut [Stored<Seats>]) -> Result<()> {
    let mut drawn = [0];
    cx.random().fill(&mut drawn);
    let old = sections.iter_mut().filter(|seats| seats.is_to_be_counted(cx.now, drawn[0]));
    let mut old: Vec<_> = old.collect();
    let ids: Vec<_> = old.iter().flat_map(|seats| seats.block_ids()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let blocks = cx.get_all::<SeatBlock>(&ids).await?;
    let blocks: Vec<_> = blocks.into_iter().flatten().collect();
    let mut changes = Changes::new();
    for seats in &mut old {
        if !seats.count(blocks.iter().map(|block| &**block), cx.now) {
            // The seats were gathered since their document was read: it's read again.
            return Err(Error::Stale(Key::of::<Seats>(seats.key())));
        }
        changes = changes.save(seats);
    }
    // Where that's impossible, because somebody else has counted or gathered them or
    // because nothing can be written now, it's counted again next time.
    let _uncertain = cx.within(PATIENCE, cx.commit_part(changes)).await;
    Ok(())
}
