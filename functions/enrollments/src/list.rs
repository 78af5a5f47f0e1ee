//! `GET /v1/enrollments`

use contracts::{
    courses::{CourseId, SectionId},
    enrollments::EnrollmentState,
};
use runtime::{page_token, place, prelude::*, problems::FORBIDDEN};

use crate::{
    course::Course,
    enrollment::{Enrollment, EnrollmentView, view, with_progress},
    seats::Seats,
};

/// List enrollments.
///
/// One's own unless said, newest first: the profile's course history. The
/// instructors of a course and admins may list those of a course, or of a
/// section in the order of joining; others see their own there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEnrollments {
    /// Only this person's; `me` is the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// Only those in this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    section_id: Option<SectionId>,
    /// Only those in sections of this course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    course_id: Option<CourseId>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<EnrollmentState>,
    /// How many at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListEnrollments {
    const OPERATION: &'static str = "enrollments.list";
    const ROUTE: Route = Route::get("/v1/enrollments");
    type Response = Page<EnrollmentView>;
}

/// The most enrollments that are looked at for one page: beyond it a page is
/// short, and its token leads on.
const LOOKED_AT_MOST: usize = 500;

pub async fn run(cx: Context<User>, request: ListEnrollments) -> Result<Page<EnrollmentView>> {
    let whose = whose(&cx, &request).await?;
    let (query, served_by_index) = query(&request, whose.as_ref());
    // An offer that has lapsed is over, though nobody has cleared it away yet.
    let is_so = |it: &Enrollment| request.state.is_none_or(|state| it.state_at(cx.now) == state);
    let kept = |it: &Enrollment| {
        is_so(it)
            && (served_by_index
                || (whose.as_ref().is_none_or(|user_id| it.user_id == *user_id)
                    && request.section_id.as_ref().is_none_or(|id| it.section_id == *id)
                    && request.course_id.as_ref().is_none_or(|id| it.course_id == *id)))
    };

    let size = request.page_size.get() as usize;
    let mut after = request.page_token.as_deref().map(|it| place(&query, it)).transpose()?;
    let (mut items, mut looked_at) = (Vec::new(), 0);
    loop {
        let wanted = u32::try_from(size - items.len()).unwrap_or(PageSize::MOST);
        let (found, next) = cx.query(&query.clone().limit(wanted).after(after)).await?;
        looked_at += found.len();
        for enrollment in found.iter().filter(|it| kept(it)) {
            items.push(view(&cx, enrollment).await?);
        }
        after = next;
        if after.is_none() || items.len() == size || looked_at >= LOOKED_AT_MOST {
            break;
        }
    }
    let items = with_progress(&cx, items, false).await?;
    Ok(Page { items, next_page_token: after.map(|after| page_token(&query, &after)) })
}

/// Whose enrollments the caller may see here: one person's, or everyone's.
async fn whose(cx: &Context<User>, request: &ListEnrollments) -> Result<Option<UserId>> {
    let named = match &request.user_id {
        Some(user_id) if user_id.as_str() != "me" => Some(user_id),
        Some(_) => return Ok(Some(cx.caller.id.clone())),
        None => None,
    };
    if named == Some(&cx.caller.id) || cx.caller.is_admin() {
        let everywhere = request.section_id.is_none() && request.course_id.is_none();
        let own = || everywhere.then(|| cx.caller.id.clone());
        return Ok(named.cloned().or_else(own));
    }
    let course_id = match (&request.course_id, &request.section_id) {
        (Some(course_id), _) => Some(course_id.to_string()),
        (None, Some(section_id)) => {
            cx.get::<Seats>(section_id.as_str()).await?.map(|it| it.course_id.to_string())
        }
        (None, None) => None,
    };
    let runs_it = match course_id {
        Some(id) => cx.get::<Course>(&id).await?.is_some_and(|course| course.is_run_by(&cx.caller)),
        None => false,
    };
    match named {
        named if runs_it => Ok(named.cloned()),
        Some(_) => Err(FORBIDDEN.into()),
        None => Ok(Some(cx.caller.id.clone())),
    }
}

/// The query that serves a request best, and whether it serves it alone.
fn query(request: &ListEnrollments, whose: Option<&UserId>) -> (Query, bool) {
    let ListEnrollments { section_id, course_id, state, .. } = request;
    let newest = || Query::descending::<Enrollment>("enrolled_at");
    let in_state = |query: Query| match state {
        Some(state) => query.equals("state", state),
        None => query,
    };
    match (whose, section_id, course_id) {
        (None, Some(section_id), course_id) => {
            let joined = Query::ascending::<Enrollment>("number").equals("section_id", section_id);
            (in_state(joined), course_id.is_none())
        }
        (None, None, Some(course_id)) => (in_state(newest().equals("course_id", course_id)), true),
        (Some(user_id), section_id, course_id) => {
            let own = in_state(newest().equals("user_id", user_id));
            (own, section_id.is_none() && course_id.is_none())
        }
        // Nobody may list everyone's everywhere: `whose` is the caller then.
        (None, None, None) => (newest().equals("user_id", ""), false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tests::{app, course, enroll, section};

    fn users(page: &Value) -> Vec<&str> {
        let items = page["items"].as_array().expect("items");
        items.iter().filter_map(|it| it["user_id"].as_str()).collect()
    }

    #[tokio::test]
    async fn people_see_their_own_and_staff_see_the_queue_in_the_order_of_joining() {
        let app = app(section(Some(1)), course());
        for name in ["ada", "bob", "cid"] {
            enroll(&app, name).await.ok();
        }
        let bob = app.user("bob");
        assert_eq!(users(&bob.get("/v1/enrollments").await.ok()), ["bob"]);
        assert_eq!(users(&bob.get("/v1/enrollments?section_id=s1").await.ok()), ["bob"]);
        bob.get("/v1/enrollments?user_id=ada").await.is(FORBIDDEN);
        let ines = app.instructor("ines");
        let section = ines.get("/v1/enrollments?section_id=s1").await.ok();
        assert_eq!(users(&section), ["ada", "bob", "cid"]);
        let queue = ines.get("/v1/enrollments?section_id=s1&state=waitlisted").await.ok();
        assert_eq!(users(&queue), ["bob", "cid"]);
        assert_eq!(queue["items"][1]["waitlist_position"], 2);
        let course = ines.get("/v1/enrollments?course_id=c1&state=confirmed").await.ok();
        assert_eq!(users(&course), ["ada"]);
        let root = app.admin("root");
        assert_eq!(users(&root.get("/v1/enrollments?user_id=cid").await.ok()), ["cid"]);
        assert_eq!(users(&root.get("/v1/enrollments").await.ok()), Vec::<&str>::new());
        app.instructor("igor").get("/v1/enrollments?user_id=ada&course_id=c1").await.is(FORBIDDEN);
    }

    #[tokio::test]
    async fn every_filter_works_with_every_other() {
        let app = app(section(Some(1)), course());
        for name in ["ada", "bob"] {
            enroll(&app, name).await.ok();
        }
        let ines = app.instructor("ines");
        let cases = [
            ("course_id=c1", &["bob", "ada"] as &[_]),
            ("course_id=c1&state=waitlisted", &["bob"]),
            ("course_id=c1&section_id=s1&state=confirmed", &["ada"]),
            ("course_id=c1&section_id=s2", &[]),
            ("section_id=s1&user_id=ada", &["ada"]),
            ("course_id=c1&user_id=ada&state=waitlisted", &[]),
            ("course_id=c1&user_id=bob&state=waitlisted", &["bob"]),
            ("section_id=s1&state=offered", &[]),
        ];
        for (filter, expected) in cases {
            let page = ines.get(&format!("/v1/enrollments?{filter}")).await.ok();
            let mut found = users(&page);
            found.sort_by_key(|name| *name != "bob");
            assert_eq!(found, expected, "{filter}");
        }
        let ada = app.user("ada");
        assert_eq!(users(&ada.get("/v1/enrollments?state=confirmed").await.ok()), ["ada"]);
        assert_eq!(users(&ada.get("/v1/enrollments?state=cancelled").await.ok()), [""; 0]);
        ada.get("/v1/enrollments?company_id=x").await.blames("company_id", "unknown-field");
        ada.get("/v1/enrollments?state=maybe").await.blames("state", "unknown-value");
    }

    #[tokio::test]
    async fn pages_lead_through_the_whole_list_once() {
        let app = app(section(None), course());
        for number in 0..7 {
            enroll(&app, &format!("user{number}")).await.ok();
        }
        let ines = app.instructor("ines");
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/enrollments?section_id=s1&page_size=3{token}");
            let page = ines.get(&path).await.ok();
            seen.extend(users(&page).into_iter().map(str::to_owned));
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => break,
            }
        }
        assert_eq!(seen, (0..7).map(|it| format!("user{it}")).collect::<Vec<_>>());
        let tampered = "/v1/enrollments?section_id=s1&page_token=WyJhIl0";
        ines.get(tampered).await.is(runtime::problems::INVALID_PAGE_TOKEN);
    }
}
