//! On `courses.updated.v1`: its sections' messages call it by its new title.

use contracts::courses::CourseUpdated;
use runtime::prelude::*;

use crate::section::KnownSection;

pub async fn run(cx: Context<System>, event: CourseUpdated) -> Result<()> {
    let mut place = None;
    loop {
        let query = KnownSection::of_course(&event.course.course_id).after(place);
        let (sections, next) = cx.query::<KnownSection>(&query).await?;
        let mut changes = Changes::new();
        for mut section in sections {
            if section.learn_course(&event.course) {
                changes = changes.save(&section);
            }
        }
        // The course's revision tells what is known: the event needn't be marked as handled.
        cx.commit_part(changes).await?;
        place = next;
        if place.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseFacts;

    use super::*;
    use crate::tests::{app_with_section, asked, confirmed, section};

    #[tokio::test]
    async fn a_course_is_called_by_its_new_title() {
        let app = app_with_section().await;
        let course = asked(section()).course;
        let renamed = CourseFacts { title: "Rust in depth".into(), revision: 2, ..course.clone() };
        app.deliver(&CourseUpdated { course: renamed }).await;
        app.deliver(&CourseUpdated { course }).await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        assert_eq!(app.mail()[0].subject, "You're enrolled: Rust in depth");
    }
}
