//! `GET /v1/enrollments/batches/{batch_id}`

use contracts::enrollments::BatchId;
use runtime::prelude::*;

use crate::batch::{BATCH_NOT_FOUND, Batch, BatchView};

/// Get a batch of enrollments: how far it is.
///
/// It is kept for 30 days.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetBatch {
    /// The batch.
    batch_id: BatchId,
}

impl Endpoint for GetBatch {
    const OPERATION: &'static str = "enrollments.get_batch";
    const ROUTE: Route = Route::get("/v1/enrollments/batches/{batch_id}");
    const PROBLEMS: &'static [Problem] = &[BATCH_NOT_FOUND];
    type Response = BatchView;
}

pub async fn run(cx: Context<Admin>, request: GetBatch) -> Result<BatchView> {
    let batch = cx.get::<Batch>(request.batch_id.as_str()).await?.ok_or(BATCH_NOT_FOUND)?;
    Ok(batch.view())
}
