//! On `enrollments.batch_advanced.v1`: the batch's next part is worked on.

use contracts::enrollments::BatchAdvanced;
use runtime::prelude::*;

use crate::{batch::Batch, working};

pub async fn run(cx: Context<System>, event: BatchAdvanced) -> Result<()> {
    let batch = cx.get::<Batch>(event.batch_id.as_str()).await?;
    // Whoever comes late with a part that was worked on changes nothing.
    let is_next = |it: &Stored<Batch>| it.finished_at.is_none() && it.next_part == event.part;
    match batch.filter(is_next) {
        Some(batch) => cx.commit(working::next(&cx, batch).await?).await,
        None => cx.commit(Changes::new()).await,
    }
}
