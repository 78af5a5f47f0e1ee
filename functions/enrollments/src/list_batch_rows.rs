//! `GET /v1/enrollments/batches/{batch_id}/rows`

use contracts::{
    FieldError,
    courses::{SECTION_NOT_FOUND, SectionId},
    enrollments::{BatchId, EnrollmentId},
    identity::USER_NOT_FOUND,
};
use runtime::{Cursor, page_token, place, prelude::*};
use serde_json::json;

use crate::{
    achievement::PREREQUISITE_MISSING,
    batch::{BATCH_NOT_FOUND, Batch, PART, Part, RowState},
    enrollment::ALREADY_ENROLLED,
    rules::{COURSE_NOT_PUBLISHED, SECTION_CANCELLED, SECTION_FULL},
};

/// List the rows of a batch, with what came of each.
///
/// They come in the order in which they were sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBatchRows {
    /// The batch.
    batch_id: BatchId,
    /// How many at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListBatchRows {
    const OPERATION: &'static str = "enrollments.list_batch_rows";
    const ROUTE: Route = Route::get("/v1/enrollments/batches/{batch_id}/rows");
    const PROBLEMS: &'static [Problem] = &[BATCH_NOT_FOUND];
    type Response = Page<RowView>;
}

/// A row of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BatchRowOutcome")]
pub struct RowView {
    /// Its place among the rows: 0 is the first.
    row: u32,
    /// The section.
    section_id: SectionId,
    /// The person.
    user_id: UserId,
    /// What came of it; nothing yet, if it wasn't worked on.
    outcome: Option<RowState>,
    /// The enrollment, if there's one.
    enrollment_id: Option<EnrollmentId>,
    /// Every rule that forbids it, if it was refused.
    errors: Vec<FieldError>,
}

pub async fn run(cx: Context<Admin>, request: ListBatchRows) -> Result<Page<RowView>> {
    let id = &request.batch_id;
    let batch = cx.get::<Batch>(id.as_str()).await?.ok_or(BATCH_NOT_FOUND)?;
    let all = Query::ascending::<Part>("first_row").equals("batch_id", id);
    let first = request.page_token.as_deref().map(|token| place(&all, token)).transpose()?;
    let first = first.and_then(|place| place.value.as_u64()).unwrap_or_default();
    let next = first + u64::from(request.page_size.get());

    let mut items = Vec::new();
    let parts = u32::try_from(PART).unwrap_or(u32::MAX);
    let numbers = parts_of(first, next.min(u64::from(batch.rows_count)), parts);
    let ids: Vec<_> = numbers.map(|number| Part::id_of(id, number)).collect();
    for part in cx.get_all::<Part>(&ids).await?.into_iter().flatten() {
        let rows = rows_of(&part, cx.language);
        items.extend(rows.filter(|it| (first..next).contains(&u64::from(it.row))));
    }
    let next_page_token = (next < u64::from(batch.rows_count))
        .then(|| page_token(&all, &Cursor { value: json!(next), id: id.to_string() }));
    Ok(Page { items, next_page_token })
}

/// The numbers of the parts that have these rows.
fn parts_of(first: u64, end: u64, size: u32) -> std::ops::Range<u32> {
    let part = |row: u64| u32::try_from(row / u64::from(size)).unwrap_or(u32::MAX);
    if first >= end { 0..0 } else { part(first)..part(end - 1) + 1 }
}

fn rows_of(part: &Part, language: Language) -> impl Iterator<Item = RowView> {
    let rows = part.section_ids.iter().zip(&part.user_ids).zip(part.first_row..);
    rows.enumerate().map(move |(index, ((section_id, user_id), row))| {
        let outcome = part.rows.get(index);
        let reasons = outcome.map(|it| it.reasons.as_slice()).unwrap_or_default();
        RowView {
            row,
            section_id: section_id.clone(),
            user_id: user_id.clone(),
            outcome: outcome.map(|it| it.outcome),
            enrollment_id: outcome.and_then(|it| it.enrollment_id.clone()),
            errors: reasons.iter().map(|reason| error(reason, language)).collect(),
        }
    })
}

/// A rule that forbids a row, in the reader's language.
fn error(reason: &str, language: Language) -> FieldError {
    let all = [
        SECTION_NOT_FOUND,
        USER_NOT_FOUND,
        SECTION_CANCELLED,
        COURSE_NOT_PUBLISHED,
        PREREQUISITE_MISSING,
        ALREADY_ENROLLED,
        SECTION_FULL,
    ];
    let problem = all.iter().find(|problem| problem.reason == reason);
    let detail = problem.map_or(reason, |problem| problem.title(language)).to_owned();
    FieldError { reason: reason.to_owned(), detail, ..FieldError::default() }
}
