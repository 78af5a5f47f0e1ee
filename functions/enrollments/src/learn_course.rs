//! `POST /internal/enrollments/learn-course`

use contracts::enrollments::LearnCourse;
use runtime::prelude::*;

use crate::learning;

pub async fn run(cx: Context<System>, request: LearnCourse) -> Result<()> {
    cx.commit(learning::course_changes(&cx, &request.course).await?).await
}
