//! On `courses.section_cancelled.v1`: everyone in the section is taken off it.

use contracts::courses::SectionCancelled;
use runtime::prelude::*;

use crate::{cancelling, learning};

pub async fn run(cx: Context<System>, event: SectionCancelled) -> Result<()> {
    learning::learn_section(&cx, &event.section).await?;
    cancelling::everyone(&cx, &event.section.section_id).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::SectionFacts,
        enrollments::{CancelReason, Cancelled},
    };

    use super::*;
    use crate::{
        rules::SECTION_CANCELLED,
        tests::{app, course, enroll, section, state},
    };

    #[tokio::test]
    async fn everyone_is_taken_off_and_told_once() {
        let app = app(section(Some(2)), course());
        for name in ["ada", "bob", "cid"] {
            enroll(&app, name).await.ok();
        }
        let gone = SectionFacts { cancelled: true, revision: 2, ..section(Some(2)) };
        let event = SectionCancelled { section: gone };
        app.deliver(&event).await;
        app.deliver_again().await;
        app.deliver(&event).await;
        for name in ["ada", "bob", "cid"] {
            assert_eq!(state(&app, name).await.0, "cancelled");
        }
        let told = app.emitted::<Cancelled>().await;
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|it| it.why == CancelReason::SectionCancelled));
        enroll(&app, "dan").await.is(SECTION_CANCELLED);
    }
}
