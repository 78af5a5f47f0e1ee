//! All that is kept of a person, to hand it over or to drop it.

use contracts::enrollments::EnrollmentId;
use runtime::{Cursor, prelude::*};

use crate::{
    achievement::Achievement, batch::Part, certificate::Certificate, enrollment::Enrollment,
    progress::Progress,
};

/// A person's enrollments.
pub async fn enrollments<C>(cx: &Context<C>, user_id: &UserId) -> Result<Vec<Stored<Enrollment>>> {
    all(cx, &Query::descending::<Enrollment>("enrolled_at").equals("user_id", user_id)).await
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
    all(cx, &Query::descending::<Certificate>("issued_at").equals("user_id", user_id)).await
}

/// The courses that a person has completed.
pub async fn achievements<C>(
    cx: &Context<C>,
    user_id: &UserId,
) -> Result<Vec<Stored<Achievement>>> {
    all(cx, &Query::ascending::<Achievement>("completed_at").equals("user_id", user_id)).await
}

/// The parts of batches that name a person.
pub async fn parts<C>(cx: &Context<C>, user_id: &UserId) -> Result<Vec<Stored<Part>>> {
    all(cx, &Query::ascending::<Part>("first_row").containing("user_ids", user_id)).await
}

/// Everything that a query finds.
async fn all<C, D: Document>(cx: &Context<C>, query: &Query) -> Result<Vec<Stored<D>>> {
    let (mut all, mut place): (_, Option<Cursor>) = (Vec::new(), None);
    loop {
        let (some, next) = cx.query::<D>(&query.clone().after(place)).await?;
        all.extend(some);
        if next.is_none() {
            return Ok(all);
        }
        place = next;
    }
}
