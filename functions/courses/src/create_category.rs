//! `POST /v1/categories`

use contracts::courses::CategoryCreated;
use runtime::prelude::*;

use crate::{
    category::{CATEGORY_EXISTS, Category, ShownCategory, TOO_MANY_CATEGORIES, Tree},
    forms::Slug,
    turn,
};

/// Create a category.
///
/// Courses say its id from then on. It may belong to another one; the tree has
/// five levels at most.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCategory {
    /// The id that it's to have, which stays: made of its name unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Slug>,
    /// What people call it: 1 to 50 characters on one line.
    name: Line<1, 50>,
    /// The category that it belongs to: none unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_id: Option<Slug>,
}

impl Endpoint for CreateCategory {
    const OPERATION: &'static str = "courses.create_category";
    const ROUTE: Route = Route::create("/v1/categories");
    const PROBLEMS: &'static [Problem] = &[CATEGORY_EXISTS, TOO_MANY_CATEGORIES];
    type Response = ShownCategory;
}

pub async fn run(cx: Context<Admin>, request: CreateCategory) -> Result<ShownCategory> {
    let turn = turn::take(&cx, "categories").await?;
    let tree = Tree::read(&cx).await?;
    let mut faults = Faults::new();
    let CreateCategory { id, name, parent_id } = request;
    let id = id.or_else(|| Slug::new(&name).ok());
    faults.unless(
        id.is_some(),
        "id",
        "missing",
        "No id can be made of this name: choose one, such as c-plus-plus.",
        "De este nombre no sale un id: elige uno, como c-plus-plus.",
    );
    if let Some(parent) = &parent_id {
        tree.check_place(None, parent, &mut faults);
    }
    let Some(id) = id.filter(|_| faults.is_empty()) else { return Err(refused(faults)) };
    if tree.has(&id) {
        return Err(CATEGORY_EXISTS.into());
    }
    if tree.is_full() {
        return Err(TOO_MANY_CATEGORIES.into());
    }

    let category = Category::new(id, name.into(), parent_id, cx.now);

    let created = CategoryCreated { category: category.facts() };
    let entry = category.into_entry();
    let changes = Changes::new().save(&turn).create(&entry).emit(&created);
    cx.answer(changes, tree.shown_of(&entry)).await
}

fn refused(faults: Faults) -> runtime::Error {
    faults.refuse(runtime::problems::INVALID_REQUEST).into()
}

#[cfg(test)]
mod tests {
    use contracts::courses::CategoryCreated;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use crate::{
        category::CATEGORY_EXISTS,
        tests::{app, with},
    };

    #[tokio::test]
    async fn a_category_is_there_for_courses_at_once() {
        let app = app().await;
        let (root, ines) = (app.admin("root"), app.instructor("ines"));
        let course = with(json!({ "category": "machine-learning" }));
        ines.post("/v1/courses", &course).await.blames("category", "unknown-category");
        let sent = json!({ "name": "Machine Learning", "parent_id": "data" });
        let answer = root.post("/v1/categories", sent).await;
        let category = answer.ok();
        assert_eq!(answer.status, 201);
        assert_eq!(
            category,
            json!({
                "id": "machine-learning", "name": "Machine Learning", "parent_id": "data",
                "courses": 0, "courses_in_all": 0, "created_at": app.now(),
                "updated_at": app.now(), "etag": "1", "children": [],
            })
        );
        ines.post("/v1/courses", &course).await.ok();
        let created = app.emitted::<CategoryCreated>().await;
        let last = &created.last().unwrap().category;
        assert_eq!(
            (&*last.category_id, last.parent_id.as_deref()),
            ("machine-learning", Some("data"))
        );
    }

    #[tokio::test]
    async fn only_admins_make_categories() {
        let app = app().await;
        let sent = json!({ "name": "Music" });
        app.anyone().post("/v1/categories", &sent).await.is(UNAUTHENTICATED);
        app.user("ada").post("/v1/categories", &sent).await.is(FORBIDDEN);
        app.instructor("ines").post("/v1/categories", &sent).await.is(FORBIDDEN);
    }

    #[tokio::test]
    async fn an_id_is_given_once() {
        let app = app().await;
        let root = app.admin("root");
        root.post("/v1/categories", json!({ "name": "Web" })).await.is(CATEGORY_EXISTS);
        root.post("/v1/categories", json!({ "name": "C++" })).await.blames("id", "missing");
        let sent = json!({ "name": "C++", "id": "C plus plus" });
        assert_eq!(root.post("/v1/categories", sent).await.ok()["id"], "c-plus-plus");
    }

    #[tokio::test]
    async fn the_tree_has_five_levels() {
        let app = app().await;
        let root = app.admin("root");
        let mut parent = "web".to_owned();
        for level in 2..=5 {
            let sent = json!({ "name": format!("level {level}"), "parent_id": parent });
            root.post("/v1/categories", sent).await.ok();
            parent = format!("level-{level}");
        }
        let deep = json!({ "name": "Deep", "parent_id": parent });
        root.post("/v1/categories", deep).await.blames("parent_id", "too-deep");
        let lost = json!({ "name": "Lost", "parent_id": "nowhere" });
        root.post("/v1/categories", lost).await.blames("parent_id", "unknown-category");
        for (name, reason) in [("", "empty"), ("a\nb", "invalid-characters")] {
            root.post("/v1/categories", json!({ "name": name })).await.blames("name", reason);
        }
    }
}
