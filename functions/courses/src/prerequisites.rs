//! Prerequisites: that the courses that one asks for exist, and that none asks
//! for itself, however far around.

use std::collections::{BTreeSet, HashMap, HashSet};

use contracts::courses::{CourseId, CourseState};
use runtime::prelude::*;

use crate::{
    course::{Course, PREREQUISITES},
    turn,
};

/// The most courses that a course may lead to by what it asks for.
const LEADS_TO: usize = 200;

/// Which courses each course asks for.
type Asked = HashMap<CourseId, Vec<CourseId>>;

/// Notes those that don't exist, or that the caller may not see.
pub async fn find_missing<C: std::ops::Deref<Target = User>>(
    cx: &Context<C>,
    known: &[CourseId],
    sent: &[CourseId],
    faults: &mut Faults,
) -> Result<()> {
    // More than that are refused anyway; they needn't be looked for.
    let sent = &sent[..sent.len().min(PREREQUISITES)];
    let ids: Vec<_> = sent.iter().map(ToString::to_string).collect();
    for (at, course) in cx.get_all::<Course>(&ids).await?.into_iter().enumerate() {
        let is_seen = |it: &Course| it.state == CourseState::Published || it.is_run_by(&cx.caller);
        faults.unless(
            known.contains(&sent[at]) || course.is_some_and(|it| is_seen(&it)),
            &format!("prerequisites[{at}]"),
            "unknown-course",
            "There is no such course.",
            "No existe ese curso.",
        );
    }
    Ok(())
}

/// Notes those that ask for the course itself. Whoever adds one takes a turn,
/// so that two courses can't come to ask for each other at the same moment.
pub async fn find_circles<C>(
    cx: &Context<C>,
    course: &Course,
    sent: &[CourseId],
    faults: &mut Faults,
) -> Result<Changes> {
    let new: Vec<_> = sent.iter().filter(|it| !course.prerequisites.contains(it)).collect();
    if new.is_empty() || sent.len() > PREREQUISITES {
        return Ok(Changes::new());
    }
    let turn = turn::take(cx, "prerequisites").await?;
    let asked = asked_by(cx, new.into_iter().cloned().collect()).await?;
    faults.unless(
        asked.len() <= LEADS_TO,
        "prerequisites",
        "too-many-in-all",
        "What a course asks for leads to at most 200 courses.",
        "Lo que pide un curso lleva a lo sumo a 200 cursos.",
    );
    for (at, id) in sent.iter().enumerate() {
        faults.unless(
            !leads_to(&asked, id, &course.id),
            &format!("prerequisites[{at}]"),
            "circular",
            "That course asks for this one, by itself or by another.",
            "Ese curso pide este, directamente o por medio de otro.",
        );
    }
    Ok(Changes::new().save(&turn))
}

/// What some courses ask for, and what those ask for, and so on.
async fn asked_by<C>(cx: &Context<C>, mut ahead: Vec<CourseId>) -> Result<Asked> {
    let mut asked = Asked::new();
    while !ahead.is_empty() && asked.len() <= LEADS_TO {
        let ids: Vec<_> = ahead.iter().map(ToString::to_string).collect();
        let courses = cx.get_all::<Course>(&ids).await?;
        let found = courses.into_iter().map(|it| it.map(|it| it.into_inner().prerequisites));
        asked.extend(ahead.into_iter().zip(found.map(Option::unwrap_or_default)));
        let next: BTreeSet<_> =
            asked.values().flatten().filter(|it| !asked.contains_key(it)).cloned().collect();
        ahead = next.into_iter().collect();
    }
    Ok(asked)
}

/// Whether a course is another one, or asks for it, by itself or by others.
fn leads_to(asked: &Asked, from: &CourseId, to: &CourseId) -> bool {
    let (mut ahead, mut seen) = (vec![from], HashSet::new());
    while let Some(course) = ahead.pop() {
        if course == to {
            return true;
        }
        if seen.insert(course) {
            ahead.extend(asked.get(course).into_iter().flatten());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseUpdated;
    use runtime::Error;
    use testing::{App, Value, json};

    use super::*;
    use crate::tests::{app, draft, published};

    fn id(path: &str) -> &str {
        path.trim_start_matches("/v1/courses/")
    }

    async fn ask(app: &App, course: &str, etag: &str, ids: Value) -> testing::Answer {
        app.instructor("ines").patch(course, json!({ "prerequisites": ids }), etag).await
    }

    #[test]
    fn a_circle_is_found_however_far_around_and_none_is_run_in_forever() {
        let ids = |ids: &[&str]| ids.iter().map(|&it| it.into()).collect::<Vec<CourseId>>();
        let asked: Asked = [("a", ids(&["b", "c"])), ("b", ids(&["d"])), ("d", ids(&["b"]))]
            .map(|(id, asked)| (id.into(), asked))
            .into();
        assert!(leads_to(&asked, &"a".into(), &"a".into()));
        assert!(leads_to(&asked, &"a".into(), &"d".into()));
        assert!(!leads_to(&asked, &"b".into(), &"c".into()));
    }

    #[tokio::test]
    async fn what_a_course_asks_for_is_shown_and_told() {
        let app = app().await;
        let (first, second) = (published(&app).await, published(&app).await);
        let asked = json!([id(&first), id(&first)]);
        let course = ask(&app, &second, "2", asked).await.ok();
        assert_eq!(course["prerequisites"], json!([id(&first)]));
        assert_eq!(app.anyone().get(&second).await.ok()["prerequisites"], json!([id(&first)]));
        let told = app.emitted::<CourseUpdated>().await;
        assert_eq!(told[0].course.prerequisites, [CourseId::from(id(&first))]);
        let none = ask(&app, &second, "3", json!([])).await.ok();
        assert_eq!(none["prerequisites"], json!([]));
    }

    #[tokio::test]
    async fn no_course_asks_for_itself_however_far_around() {
        let app = app().await;
        let (a, b, c) = (published(&app).await, published(&app).await, published(&app).await);
        ask(&app, &a, "2", json!([id(&a)])).await.blames("prerequisites[0]", "circular");
        ask(&app, &a, "2", json!([id(&b)])).await.ok();
        ask(&app, &b, "2", json!([id(&c)])).await.ok();
        ask(&app, &c, "2", json!([id(&a)])).await.blames("prerequisites[0]", "circular");
        ask(&app, &b, "3", json!([id(&c), id(&a)])).await.blames("prerequisites[1]", "circular");
        // What doesn't go around is no circle.
        ask(&app, &a, "3", json!([id(&b), id(&c)])).await.ok();
    }

    #[tokio::test]
    async fn two_courses_cannot_come_to_ask_for_each_other_at_once() {
        let app = app().await;
        let (a, b) = (published(&app).await, published(&app).await);
        let looked = turn::take(&app.context(), "prerequisites").await.unwrap();
        ask(&app, &a, "2", json!([id(&b)])).await.ok();
        let lost = app.context().commit(Changes::new().save(&looked)).await;
        assert!(matches!(lost, Err(Error::Stale(_))));
        ask(&app, &b, "2", json!([id(&a)])).await.blames("prerequisites[0]", "circular");
    }

    #[tokio::test]
    async fn a_course_that_the_caller_may_not_see_is_none() {
        let app = app().await;
        let (own, course) = (draft(&app).await, published(&app).await);
        ask(&app, &course, "2", json!(["nothing"]))
            .await
            .blames("prerequisites[0]", "unknown-course");
        ask(&app, &course, "2", json!([id(&own)])).await.ok();
        let ivan = app.instructor("ivan");
        let sent = json!({ "title": "Go", "prerequisites": [id(&course), id(&own)] });
        ivan.post("/v1/courses", sent).await.blames("prerequisites[1]", "unknown-course");
        let sent = json!({ "title": "Go", "prerequisites": [id(&course)] });
        assert_eq!(
            ivan.post("/v1/courses", sent).await.ok()["prerequisites"],
            json!([id(&course)])
        );
        ask(&app, &course, "3", json!(vec!["x"; 21])).await.blames("prerequisites", "too-many");
    }
}
