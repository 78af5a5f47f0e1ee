//! All that is kept of a person, to hand it over or to drop it.

use contracts::enrollments::EnrollmentId;
use runtime::prelude::*;

use crate::{
    achievement::Achievement, batch::Part, certificate::Certificate, enrollment::Enrollment,
    progress::Progress,
};

/// A person's enrollments.
pub async fn enrollments<C>(cx: &Context<C>, user_id: &UserId) -> Result<Vec<Stored<Enrollment>>> {
    cx.query_all(&Query::descending::<Enrollment>("enrolled_at").equals("user_id", user_id)).await
}

/// What was done in enrollments.
pub async fn progress<C>(
    cx: &Context<C>,
    enrollment_ids: impl Iterator<Item = &EnrollmentId>,
) -> Result<Vec<Stored<Progress>>> {
    let ids: Vec<_> = enrollment_ids.map(ToString::to_string).collect();
    Ok(cx.get_all::<Progress>(&ids).await?.into_iter().flatten().collect())
}

/// A person's certificates.
pub async fn certificates<C>(
    cx: &Context<C>,
    user_id: &UserId,
) -> Result<Vec<Stored<Certificate>>> {
    cx.query_all(&Query::descending::<Certificate>("issued_at").equals("user_id", user_id)).await
}

/// The courses that a person has completed.
pub async fn achievements<C>(
    cx: &Context<C>,
    user_id: &UserId,
) -> Result<Vec<Stored<Achievement>>> {
    cx.query_all(&Query::ascending::<Achievement>("completed_at").equals("user_id", user_id)).await
}

/// The parts of batches that name a person.
pub async fn parts<C>(cx: &Context<C>, user_id: &UserId) -> Result<Vec<Stored<Part>>> {
    cx.query_all(&Query::ascending::<Part>("first_row").containing("user_ids", user_id)).await
}
