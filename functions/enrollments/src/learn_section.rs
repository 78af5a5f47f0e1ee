//! `POST /internal/enrollments/learn-section`

use contracts::enrollments::LearnSection;
use runtime::prelude::*;

use crate::learning;

pub async fn run(cx: Context<System>, request: LearnSection) -> Result<()> {
    cx.commit(learning::course_changes(&cx, &request.course).await?).await?;
    learning::learn_section(&cx, &request.section).await
}
