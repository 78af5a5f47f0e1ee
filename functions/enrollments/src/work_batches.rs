//! Every minute: batches in which nothing has happened for a while are taken up again.
//!
//! A part tells of the next one in its own commit; this is for what the bus has given up.

use contracts::enrollments::BatchAdvanced;
use runtime::prelude::*;

use crate::batch::Batch;

/// Take up what was cut short.
#[derive(Default)]
pub struct WorkBatches;

impl Job for WorkBatches {
    const NAME: &'static str = "enrollments.work_batches";
    const SCHEDULE: &'static str = "* * * * *";
}

pub async fn run(cx: Context<System>, _: WorkBatches) -> Result<()> {
    let due = Query::ascending::<Batch>("due_at").at_most(cx.now).limit(100);
    let (batches, _) = cx.query::<Batch>(&due).await?;
    for mut batch in batches {
        let told = BatchAdvanced { batch_id: batch.id.clone(), part: batch.next_part };
        batch.touch(cx.now);
        cx.commit_part(Changes::new().save(&batch).emit(&told)).await?;
    }
    Ok(())
}
