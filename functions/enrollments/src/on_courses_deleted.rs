//! On `courses.deleted.v1`: whether the course is offered, and who teaches it, is learned.

use contracts::courses::CourseDeleted;
use runtime::prelude::*;

use crate::learning;

pub async fn run(cx: Context<System>, event: CourseDeleted) -> Result<()> {
    cx.commit(learning::course_changes(&cx, &event.course).await?).await
}
