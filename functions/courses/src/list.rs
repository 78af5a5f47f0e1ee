//! `GET /v1/courses`

use contracts::{courses::CourseState, identity::Role};
use runtime::{
    Cursor, page_token, place,
    prelude::*,
    problems::{FORBIDDEN, UNAUTHENTICATED},
};

use crate::{
    card::{Card, ShownCard},
    course::Level,
    forms::{LanguageTag, Slug},
    terms::{self, Facets},
};

/// How many cards are looked at for one page, at most: a search whose words are
/// rare only together would read on for long.
const LOOKED_AT: usize = 500;
/// How many cards are read at once where not every one fits.
const AT_ONCE: u32 = 100;

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CourseOrder {
    /// What was created last comes first.
    #[default]
    Newest,
    /// By title, without regard to capitals and accents.
    Title,
}

/// List courses.
///
/// All filters given must hold. A page may have fewer items than asked for,
/// even none, and still be followed by another.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCourses {
    /// Of this category, and not of those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<Slug>,
    /// Of this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    /// With this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Slug>,
    /// Taught in this language; `es` finds `es-CO` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<LanguageTag>,
    /// Taught by this person; `me` is the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructor: Option<UserId>,
    /// `true`: only those of which a section starts within the next 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_soon: Option<bool>,
    /// `true`: only those with a section that people may enroll in now and that
    /// has a free seat. It's counted every minute or more often; the section
    /// itself says how many are free now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    has_free_seats: Option<bool>,
    /// With all these words in title, summary and tags, without regard to
    /// capitals and accents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<Line<0, 100>>,
    /// In this state: `published` unless said. Instructors find their own drafts
    /// and archived courses, admins all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<CourseState>,
    /// In which order: `newest` unless said.
    #[serde(default)]
    sort: CourseOrder,
    /// How many at most: 20 unless said, 100 at most.
    #[serde(default)]
    page_size: PageSize,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
}

impl Endpoint for ListCourses {
    const OPERATION: &'static str = "courses.list";
    const ROUTE: Route = Route::get("/v1/courses");
    const PROBLEMS: &'static [Problem] = &[FORBIDDEN];
    type Response = Page<ShownCard>;
}

pub async fn run(cx: Context<Anyone>, request: ListCourses) -> Result<Page<ShownCard>> {
    let instructor = request.whose(cx.caller.user.as_ref())?;
    let list = request.list(instructor.as_ref());
    list.page(&cx, request.page_size, request.page_token.as_deref()).await
}

impl ListCourses {
    /// Whose courses the caller means and may list; nothing: everyone's.
    fn whose(&self, user: Option<&User>) -> Result<Option<UserId>, Problem> {
        let meant = match &self.instructor {
            Some(id) if id.as_str() == "me" => Some(user.ok_or(UNAUTHENTICATED)?.id.clone()),
            other => other.clone(),
        };
        if matches!(self.state, None | Some(CourseState::Published)) {
            return Ok(meant);
        }
        let user = user.ok_or(UNAUTHENTICATED)?;
        let own = meant.as_ref().is_none_or(|id| *id == user.id);
        if user.is_admin() {
            Ok(meant)
        } else if user.is(Role::Instructor) && own {
            Ok(Some(user.id.clone()))
        } else {
            Err(FORBIDDEN)
        }
    }

    fn list(&self, instructor: Option<&UserId>) -> List {
        let query = match self.sort {
            CourseOrder::Newest => Query::descending::<Card>("created_at"),
            CourseOrder::Title => Query::ascending::<Card>("title_key"),
        };
        let query = query.equals("state", self.state.unwrap_or(CourseState::Published));
        let facets = Facets {
            category: self.category.as_ref(),
            level: self.level,
            language: self.language.as_ref(),
        };
        let q = self.q.as_deref().unwrap_or_default();
        let offering = (self.starts_soon == Some(true), self.has_free_seats == Some(true));
        let terms = terms::of_search(facets, self.tag.as_ref(), instructor, q, offering);
        let mut terms = terms.into_iter();
        let query = match terms.next() {
            Some(rarest) => query.containing("terms", rarest),
            None => query,
        };
        List { query, sort: self.sort, terms: terms.collect() }
    }
}

/// The cards of a query that have some more terms.
struct List {
    query: Query,
    sort: CourseOrder,
    terms: Vec<String>,
}

impl List {
    async fn page<C>(
        &self,
        cx: &Context<C>,
        size: PageSize,
        token: Option<&str>,
    ) -> Result<Page<ShownCard>> {
        let size = size.get() as usize;
        // A token is of the whole list, not only of what the index is asked for.
        let whole = self.query.clone().equals("terms", &self.terms);
        let mut place = token.map(|token| place(&whole, token)).transpose()?;
        let (mut items, mut looked_at) = (Vec::with_capacity(size), 0);
        loop {
            let left = u32::try_from(size - items.len()).unwrap_or(AT_ONCE);
            let limit = if self.terms.is_empty() { left } else { AT_ONCE };
            let query = self.query.clone().limit(limit).after(place);
            let (cards, next) = cx.records(&query).await?;
            let last = cards.len().saturating_sub(1);
            looked_at += cards.len();
            place = next;
            for (at, card) in cards.into_iter().enumerate() {
                if self.terms.is_empty() {
                    items.push(ShownCard::read(card)?);
                } else if let Some(card) = Card::found(card, &self.terms)? {
                    if items.len() + 1 == size && at < last {
                        place = Some(self.place_of(&card));
                    }
                    items.push(card.shown);
                }
                if items.len() == size {
                    break;
                }
            }
            if place.is_none() || items.len() == size || looked_at >= LOOKED_AT {
                let next_page_token = place.map(|place| page_token(&whole, &place));
                return Ok(Page { items, next_page_token });
            }
        }
    }

    fn place_of(&self, card: &Card) -> Cursor {
        let value = match self.sort {
            CourseOrder::Newest => card.created_at.to_string(),
            CourseOrder::Title => card.title_key.clone(),
        };
        Cursor { value: value.into(), id: card.id.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::INVALID_PAGE_TOKEN;
    use testing::{App, Value, json};

    use super::*;
    use crate::{
        course::Course,
        offering::Offering,
        tests::{app, draft, published, text, with},
    };

    /// Publishes courses with these changes, a minute after each other.
    async fn catalog(app: &App, courses: &[Value]) {
        for changes in courses {
            let ines = app.instructor("ines");
            let course = ines.post("/v1/courses", with(changes.clone())).await.ok();
            let publish = format!("/v1/courses/{}/publish", text(&course["id"]));
            ines.post(&publish, json!({})).await.ok();
            app.advance_minutes(1);
        }
    }

    async fn titles(who: &testing::As<'_>, query: &str) -> Vec<String> {
        let page = who.get(&format!("/v1/courses?{query}")).await.ok();
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| text(&item["title"]).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_list_shows_each_course_without_its_description_and_outline() {
        let app = app().await;
        let path = published(&app).await;
        let before = app.reads();
        let page = app.anyone().get("/v1/courses").await.ok();
        assert_eq!(app.reads() - before, 1);
        let mut course = app.anyone().get(&path).await.ok();
        course.as_object_mut().unwrap().retain(|name, _| {
            !["description", "description_html", "outline", "prerequisites"].contains(&&**name)
        });
        assert_eq!(page, json!({ "items": [course] }));
    }

    #[tokio::test]
    async fn a_card_changes_with_its_course() {
        let app = app().await;
        let path = published(&app).await;
        let changes = json!({ "title": "Go", "tags": ["go"], "category": "cloud" });
        app.instructor("ines").patch(&path, changes, "2").await.ok();
        let anyone = app.anyone();
        for query in ["q=go", "tag=go", "category=cloud&level=beginner", "q=miedo"] {
            assert_eq!(titles(&anyone, query).await, ["Go"], "{query}");
        }
        for query in ["q=programacion", "tag=clean-code", "category=web"] {
            assert!(titles(&anyone, query).await.is_empty(), "{query}");
        }
        app.instructor("ines").delete(&path).await.ok();
        assert!(titles(&anyone, "").await.is_empty());
    }

    #[tokio::test]
    async fn courses_come_newest_first_or_by_title() {
        let app = app().await;
        let titled = ["Zorro", "Ánimo", "barco", "Árbol"].map(|title| json!({ "title": title }));
        catalog(&app, &titled).await;
        let anyone = app.anyone();
        assert_eq!(titles(&anyone, "").await, ["Árbol", "barco", "Ánimo", "Zorro"]);
        assert_eq!(titles(&anyone, "sort=newest&tag=rust").await.len(), 4);
        for query in ["sort=title", "sort=title&tag=rust", "sort=title&tag=rust&category=web"] {
            assert_eq!(titles(&anyone, query).await, ["Ánimo", "Árbol", "barco", "Zorro"]);
        }
    }

    #[tokio::test]
    async fn every_filter_that_is_given_must_hold() {
        let app = app().await;
        catalog(
            &app,
            &[
                json!({ "title": "A", "category": "web", "level": "beginner", "language": "es" }),
                json!({ "title": "B", "category": "web", "level": "advanced", "language": "es-CO" }),
                json!({ "title": "C", "category": "data", "level": "advanced", "language": "en", "tags": ["sql"] }),
                json!({ "title": "D", "category": "data", "instructors": ["ivan"], "summary": "Árboles y RUST" }),
            ],
        )
        .await;
        let anyone = app.anyone();
        for (query, found) in [
            ("category=web", "BA"),
            ("category=Web&level=advanced", "B"),
            ("level=advanced", "CB"),
            ("language=es", "DBA"),
            ("language=ES-co", "B"),
            ("language=es&category=web&level=advanced", "B"),
            ("tag=sql", "C"),
            ("tag=sql&category=web", ""),
            ("tag=clean-code&category=data&language=es", "D"),
            ("instructor=ivan", "D"),
            ("instructor=ines&level=advanced", "CB"),
            ("q=arboles+rust", "D"),
            ("q=%C3%81RBOLES&instructor=ivan&tag=rust&category=data", "D"),
            ("q=arbol", ""),
            ("q=rust", "DCBA"),
            ("q=sql+miedo", "C"),
            ("q=c", "C"),
            ("q=%3F%3F&level=advanced", "CB"),
            ("q=", "DCBA"),
            ("category=nothing", ""),
        ] {
            assert_eq!(titles(&anyone, query).await.concat(), found, "{query}");
        }
        assert_eq!(titles(&app.instructor("ivan"), "instructor=me").await, ["D"]);
        anyone.get("/v1/courses?instructor=me").await.is(UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gaps_or_repeats() {
        let app = app().await;
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let changes = |(at, name): (usize, &&str)| {
            let category = if at % 3 == 0 { "web" } else { "data" };
            json!({ "title": name, "category": category })
        };
        let courses: Vec<_> = names.iter().enumerate().map(changes).collect();
        catalog(&app, &courses).await;
        for (query, whole) in [
            ("sort=newest", "gfedcba"),
            ("sort=title&category=data", "bcef"),
            ("sort=newest&tag=rust&category=web", "gda"),
            ("sort=title&q=rust+miedo&category=data&instructor=ines", "bcef"),
        ] {
            for size in 1..=7 {
                let (mut found, mut token) = (String::new(), String::new());
                loop {
                    let path = format!("/v1/courses?{query}&page_size={size}{token}");
                    let page = app.anyone().get(&path).await.ok();
                    let items = page["items"].as_array().unwrap();
                    assert!(items.len() <= size);
                    found.extend(items.iter().map(|item| text(&item["title"])));
                    match page["next_page_token"].as_str() {
                        Some(next) => token = format!("&page_token={next}"),
                        None => break,
                    }
                }
                assert_eq!(found, whole, "{query} in pages of {size}");
            }
        }
    }

    #[tokio::test]
    async fn a_page_token_is_of_one_list_alone() {
        let app = app().await;
        catalog(&app, &[json!({ "title": "a" }), json!({ "title": "b" })]).await;
        let anyone = app.anyone();
        let first = "/v1/courses?tag=rust&category=web&page_size=1";
        let page = anyone.get(first).await.ok();
        let token = text(&page["next_page_token"]);
        anyone.get(&format!("{first}&page_token={token}")).await.ok();
        for other in [
            "tag=rust&category=data",
            "tag=rust",
            "category=web",
            "tag=rust&category=web&sort=title",
        ] {
            let path = format!("/v1/courses?{other}&page_token={token}");
            anyone.get(&path).await.is(INVALID_PAGE_TOKEN);
        }
        let long = "x".repeat(5000);
        for tampered in ["x", &token[1..], long.as_str(), "%00"] {
            anyone.get(&format!("{first}&page_token={tampered}")).await.is(INVALID_PAGE_TOKEN);
        }
    }

    #[tokio::test]
    async fn a_search_reads_on_within_bounds() {
        let app = app().await;
        let card = |number: i64| {
            let id = format!("c{number:03}");
            let now = app.now().plus_minutes(-number);
            let mut course = Course::blank(id.as_str().into(), "ines".into(), now);
            let found = number % 300 == 299;
            course.title = format!("{id} {}", if found { "rare long" } else { "long" });
            course.summary = "rarely".to_owned();
            course.state = CourseState::Published;
            Card::of(&course, Offering::default())
        };
        for cards in [0..400, 400..900] {
            let changes =
                cards.map(card).fold(Changes::new(), |changes, card| changes.create(&card));
            app.context().commit(changes).await.unwrap();
        }
        let before = app.reads();
        // "rarely" is the longest word, so it's the one that the index is asked for.
        let list = "/v1/courses?q=rare+rarely";
        let page = app.anyone().get(list).await.ok();
        assert_eq!((page["items"].as_array().unwrap().len(), app.reads() - before), (1, 5));
        let token = text(&page["next_page_token"]);
        let page = app.anyone().get(&format!("{list}&page_token={token}")).await.ok();
        assert_eq!(page["items"].as_array().unwrap().len(), 2);
        assert_eq!(page.get("next_page_token"), None);
    }

    #[tokio::test]
    async fn drafts_and_archived_courses_are_listed_to_those_who_run_them() {
        let app = app().await;
        let _draft = draft(&app).await;
        let archived = published(&app).await;
        app.instructor("ines").delete(&archived).await.ok();
        for state in ["draft", "archived"] {
            let path = format!("/v1/courses?state={state}");
            app.anyone().get(&path).await.is(UNAUTHENTICATED);
            app.user("ada").get(&path).await.is(FORBIDDEN);
            app.instructor("ivan").get(&format!("{path}&instructor=ines")).await.is(FORBIDDEN);
            let found = async |who: testing::As<'_>, more: &str| {
                titles(&who, &format!("state={state}{more}")).await.len()
            };
            assert_eq!(found(app.instructor("ivan"), "").await, 0);
            assert_eq!(found(app.instructor("ines"), "").await, 1);
            assert_eq!(found(app.instructor("ines"), "&instructor=me&q=rust").await, 1);
            assert_eq!(found(app.admin("root"), "").await, 1);
            assert_eq!(found(app.admin("root"), "&instructor=ivan").await, 0);
        }
        assert!(titles(&app.admin("root"), "").await.is_empty());
        assert!(titles(&app.anyone(), "state=published").await.is_empty());
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let app = app().await;
        let anyone = app.anyone();
        for (query, field, reason) in [
            ("category=c%2B%2B", "category", "invalid-slug"),
            ("level=guru", "level", "unknown-value"),
            ("language=e", "language", "invalid-language"),
            ("tag=", "tag", "invalid-slug"),
            ("tag=a&tag=b", "tag", "given-twice"),
            ("instructor=a%20b", "instructor", "invalid-id"),
            ("q=%00", "q", "invalid-characters"),
            ("state=deleted", "state", "unknown-value"),
            ("sort=price", "sort", "unknown-value"),
            ("page_size=0", "page_size", "out-of-range"),
            ("page_size=101", "page_size", "out-of-range"),
            ("price=0", "price", "unknown-field"),
        ] {
            anyone.get(&format!("/v1/courses?{query}")).await.blames(field, reason);
        }
        let long = format!("/v1/courses?q={}", "x".repeat(101));
        anyone.get(&long).await.blames("q", "too-long");
    }
}
