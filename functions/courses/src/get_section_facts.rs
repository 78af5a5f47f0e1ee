//! `GET /internal/courses/sections/{section_id}`

use contracts::courses::{GetSectionFacts, SECTION_NOT_FOUND, SectionAndCourse};
use runtime::prelude::*;

use crate::{course::Course, section::Section};

pub async fn run(cx: Context<System>, request: GetSectionFacts) -> Result<SectionAndCourse> {
    let section = cx.get::<Section>(request.section_id.as_str()).await?.ok_or(SECTION_NOT_FOUND)?;
    let course = cx.get::<Course>(section.course_id.as_str()).await?.ok_or(SECTION_NOT_FOUND)?;
    Ok(SectionAndCourse { section: section.facts(&course), course: course.facts() })
}

#[cfg(test)]
mod tests {
    use contracts::courses::{CourseState, SectionCreated};
    use runtime::problems::NO_SUCH_PATH;
    use testing::json;

    use super::*;
    use crate::tests::{app, published, section};

    #[tokio::test]
    async fn the_platform_gets_a_section_and_its_course_as_they_are_now() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        app.instructor("ines").patch(&course, json!({ "title": "New" }), "2").await.ok();
        let id = path.rsplit('/').next().unwrap();
        let facts = app.platform().get(&format!("/internal/courses/sections/{id}")).await;
        let facts: SectionAndCourse = facts.read();
        // The title is the course's own, however old the section is.
        assert_eq!(
            (facts.course.title.as_str(), facts.section.course_title.as_str()),
            ("New", "New")
        );
        assert_eq!((facts.course.state, facts.course.revision), (CourseState::Published, 3));
        let created = app.emitted::<SectionCreated>().await[0].section.clone();
        assert_eq!(
            facts.section,
            contracts::courses::SectionFacts { course_title: "New".into(), ..created }
        );
    }

    #[tokio::test]
    async fn it_is_for_the_platform_alone() {
        let app = app().await;
        let course = published(&app).await;
        let id = section(&app, &course).await.rsplit('/').next().unwrap().to_owned();
        let path = format!("/internal/courses/sections/{id}");
        app.anyone().get(&path).await.is(NO_SUCH_PATH);
        app.admin("root").get(&path).await.is(NO_SUCH_PATH);
        app.platform().get("/internal/courses/sections/x").await.is(SECTION_NOT_FOUND);
    }
}
