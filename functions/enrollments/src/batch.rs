//! A batch of enrollments: many rows, worked on a part at a time, with an
//! outcome for each.

use contracts::{
    courses::SectionId,
    enrollments::{BatchId, EnrollmentId},
};
use runtime::prelude::*;

/// There's no such batch.
pub const BATCH_NOT_FOUND: Problem = Problem::not_found(
    "batch-not-found",
    "There is no such batch of enrollments.",
    "No existe ese lote de inscripciones.",
);

/// How many rows a part has: what is written for them fits into one commit.
pub const PART: usize = 100;

/// How long a batch is kept, in seconds: 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// After so many minutes without a step, a batch is taken up again.
const PATIENCE_MINUTES: i64 = 5;

/// A batch as it is kept, without its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// How many rows it has.
    pub rows_count: u32,
    /// The part that is worked on next.
    pub next_part: u32,
    /// Whether people are let in who haven't completed what a course asks for.
    pub waives_prerequisites: bool,
    /// How many rows came to what.
    pub outcomes: Outcomes,
    /// When it's taken up again if nothing has happened until then; only while
    /// there's something left to do, so that only then it is in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When its last row was worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When it's dropped.
    expires_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

impl Document for Batch {
    const COLLECTION: &'static str = "batches";
    const INDEXES: &'static [Index] = &[Index::ascending("due_at")];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// Some rows of a batch, in their order, and what came of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    id: String,
    /// The batch.
    pub batch_id: BatchId,
    /// The place of its first row in the batch.
    pub first_row: u32,
    /// Each row's person.
    pub user_ids: Vec<UserId>,
    /// Each row's section.
    pub section_ids: Vec<SectionId>,
    /// What came of each row; empty before the part was worked on.
    pub rows: Vec<RowOutcome>,
    expires_at: Timestamp,
}

impl Document for Part {
    const COLLECTION: &'static str = "batch_parts";
    const INDEXES: &'static [Index] = &[
        Index::ascending("first_row").equals(&["batch_id"]),
        Index::ascending("first_row").containing("user_ids"),
    ];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// The person has a seat.
    Confirmed,
    /// The person waits for a seat.
    Waitlisted,
    /// The person was in the section already; nothing was changed.
    AlreadyEnrolled,
    /// A rule forbids it; the errors tell which.
    Refused,
}

/// What came of a row, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowOutcome {
    /// What.
    pub outcome: RowState,
    /// The enrollment, if there's one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_id: Option<EnrollmentId>,
    /// The names of the rules that forbid it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// How many rows came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BatchOutcomes")]
pub struct Outcomes {
    /// How many people have a seat now.
    pub confirmed: u32,
    /// How many people wait for a seat now.
    pub waitlisted: u32,
    /// How many were in the section already.
    pub already_enrolled: u32,
    /// How many were refused.
    pub refused: u32,
}

impl Outcomes {
    fn count(&mut self, rows: &[RowOutcome]) {
        for row in rows {
            *match row.outcome {
                RowState::Confirmed => &mut self.confirmed,
                RowState::Waitlisted => &mut self.waitlisted,
                RowState::AlreadyEnrolled => &mut self.already_enrolled,
                RowState::Refused => &mut self.refused,
            } += 1;
        }
    }

    const fn sum(self) -> u32 {
        self.confirmed + self.waitlisted + self.already_enrolled + self.refused
    }
}

impl Batch {
    /// A new batch of these rows, and its parts.
    pub fn of(
        id: BatchId,
        rows: &[(SectionId, UserId)],
        waives_prerequisites: bool,
        now: Timestamp,
    ) -> (Self, Vec<Part>) {
        let expires_at = now.plus_seconds(KEPT_SECONDS);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let part = |(number, rows): (usize, &[(SectionId, UserId)])| Part {
            id: Part::id_of(&id, count(number)),
            batch_id: id.clone(),
            first_row: count(number * PART),
            user_ids: rows.iter().map(|(_, user_id)| user_id.clone()).collect(),
            section_ids: rows.iter().map(|(section_id, _)| section_id.clone()).collect(),
            rows: Vec::new(),
            expires_at,
        };
        let parts = rows.chunks(PART).enumerate().map(part).collect();
        let batch = Self {
            id,
            rows_count: count(rows.len()),
            next_part: 0,
            waives_prerequisites,
            outcomes: Outcomes::default(),
            due_at: Some(now.plus_minutes(PATIENCE_MINUTES)),
            finished_at: None,
            created_at: now,
            updated_at: now,
            expires_at,
            revision: 1,
        };
        (batch, parts)
    }

    /// Counts what the next part has come to; whether there's another one.
    pub fn advance(&mut self, rows: &[RowOutcome], now: Timestamp) -> bool {
        self.outcomes.count(rows);
        self.next_part += 1;
        let goes_on = self.outcomes.sum() < self.rows_count;
        self.finished_at = if goes_on { None } else { Some(now) };
        self.touch(now);
        goes_on
    }

    /// Is taken up again: gives it time before that's done once more.
    pub fn touch(&mut self, now: Timestamp) {
        let goes_on = self.finished_at.is_none();
        self.due_at = goes_on.then(|| now.plus_minutes(PATIENCE_MINUTES));
        self.updated_at = now;
        self.revision += 1;
    }

    /// What admins see of it.
    pub fn view(&self) -> BatchView {
        BatchView {
            id: self.id.clone(),
            state: match self.finished_at {
                Some(_) => BatchState::Finished,
                None => BatchState::Running,
            },
            rows_count: self.rows_count,
            rows_done: self.outcomes.sum(),
            outcomes: self.outcomes,
            finished_at: self.finished_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.revision.to_string(),
        }
    }
}

impl Part {
    /// The id of a part of a batch.
    pub fn id_of(batch_id: &BatchId, number: u32) -> String {
        format!("{batch_id}-{number}")
    }

    /// Forgets a person: their rows stay, and name nobody.
    pub fn forget(&mut self, user_id: &UserId) {
        let its = self.user_ids.iter_mut().zip(0..);
        for (its, index) in its.filter(|(its, _)| *its == user_id) {
            *its = "erased".into();
            let row: Option<&mut RowOutcome> = self.rows.get_mut::<usize>(index);
            if let Some(row) = row {
                row.enrollment_id = None;
            }
        }
    }
}

/// Where a batch is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// It's being worked on.
    Running,
    /// Each row has its outcome.
    Finished,
}

/// A batch of enrollments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Batch")]
pub struct BatchView {
    /// The batch's id.
    pub id: BatchId,
    /// Whether it's done.
    pub state: BatchState,
    /// How many rows it has.
    pub rows_count: u32,
    /// How many of them have their outcome.
    pub rows_done: u32,
    /// What they came to.
    pub outcomes: Outcomes,
    /// When the last one was worked on.
    pub finished_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_batch_is_done_with_its_last_row_and_waits_for_nothing_then() {
        let rows: Vec<_> = (0..150).map(|it| ("s1".into(), format!("u{it}").into())).collect();
        let (mut batch, parts) = Batch::of("b1".into(), &rows, false, NOW);
        assert_eq!(parts.iter().map(|it| it.first_row).collect::<Vec<_>>(), [0, 100]);
        assert_eq!(parts.iter().map(|it| it.user_ids.len()).sum::<usize>(), 150);
        let row = |outcome| RowOutcome { outcome, enrollment_id: None, reasons: Vec::new() };
        assert!(batch.advance(&vec![row(RowState::Confirmed); 100], NOW));
        assert!(batch.due_at.is_some());
        assert!(!batch.advance(&vec![row(RowState::Refused); 50], NOW));
        assert_eq!((batch.due_at, batch.finished_at), (None, Some(NOW)));
        assert_eq!((batch.outcomes.confirmed, batch.outcomes.refused), (100, 50));
    }
}
