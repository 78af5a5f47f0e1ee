//! `PATCH /v1/categories/{category_id}`

use contracts::courses::CategoryUpdated;
use runtime::prelude::*;

use crate::{
    category::{CATEGORY_NOT_FOUND, ShownCategory, Tree},
    change::Change,
    forms::Slug,
    turn,
};

/// Change a category.
///
/// Fields that are absent stay as they are. It takes along what belongs to it
/// when it's moved; it can't be moved below itself. Its id stays.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCategory {
    /// The category.
    category_id: Slug,
    /// The version that you saw; `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// What people call it: 1 to 50 characters on one line.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    name: Change<Line<1, 50>>,
    /// The category that it belongs to; null: none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    parent_id: Change<Option<Slug>>,
}

impl Endpoint for UpdateCategory {
    const OPERATION: &'static str = "courses.update_category";
    const ROUTE: Route = Route::update("/v1/categories/{category_id}");
    const PROBLEMS: &'static [Problem] = &[CATEGORY_NOT_FOUND];
    type Response = ShownCategory;
}

pub async fn run(cx: Context<Admin>, request: UpdateCategory) -> Result<ShownCategory> {
    let turn = turn::take(&cx, "categories").await?;
    let mut tree = Tree::read(&cx).await?;
    let UpdateCategory { category_id, etag, name, parent_id } = request;
    let mut faults = Faults::new();
    if tree.has(&category_id)
        && let Change::To(Some(parent)) = &parent_id
    {
        tree.check_place(Some(&category_id), parent, &mut faults);
    }
    let mut entry = tree.take(&category_id)?;
    let mut category = entry.category.clone().ok_or(CATEGORY_NOT_FOUND)?;
    faults.check()?;
    cx.expect_etag(&category.etag(), etag.as_deref())?;

    let before = category.clone();
    name.map(String::from).apply(&mut category.name);
    parent_id.apply(&mut category.parent_id);
    if category != before {
        category.touch(cx.now);
        let updated = CategoryUpdated { category: category.facts() };
        entry.category = Some(category);
        cx.commit(Changes::new().save(&turn).save(&entry).emit(&updated)).await?;
    }
    Ok(tree.shown_of(&entry))
}

#[cfg(test)]
mod tests {
    use contracts::courses::CategoryUpdated;
    use runtime::{
        Changes, Error,
        problems::{ETAG_REQUIRED, FORBIDDEN, STALE_ETAG, UNAUTHENTICATED},
    };
    use testing::json;

    use super::*;
    use crate::tests::{app, published};

    #[tokio::test]
    async fn a_category_takes_along_what_belongs_to_it() {
        let app = app().await;
        let root = app.admin("root");
        root.post("/v1/categories", json!({ "name": "Rust", "parent_id": "web" })).await.ok();
        published(&app).await;
        let changes = json!({ "name": "Web y más", "parent_id": "data" });
        let web = root.patch("/v1/categories/web", changes, "1").await.ok();
        assert_eq!((&web["name"], &web["parent_id"]), (&json!("Web y más"), &json!("data")));
        assert_eq!((&web["children"][0]["id"], &web["courses"]), (&json!("rust"), &json!(1)));
        // That a course was filed under it is no change of its own.
        assert_eq!(web["etag"], "2");
        let tree = app.anyone().get("/v1/taxonomy").await.ok()["categories"].clone();
        let data = tree.as_array().unwrap().iter().find(|it| it["id"] == "data").unwrap();
        assert_eq!((&data["courses"], &data["courses_in_all"]), (&json!(0), &json!(1)));
        let freed = root.patch("/v1/categories/web", json!({ "parent_id": null }), "2").await.ok();
        assert_eq!(freed["parent_id"], json!(null));
        assert_eq!(app.emitted::<CategoryUpdated>().await.len(), 2);
        root.patch("/v1/categories/web", json!({ "parent_id": null }), "3").await.ok();
        assert_eq!(app.emitted::<CategoryUpdated>().await.len(), 2);
    }

    #[tokio::test]
    async fn no_category_gets_below_itself_though_two_move_at_once() {
        let app = app().await;
        let root = app.admin("root");
        let below = async |id: &str, parent: &str| {
            let path = format!("/v1/categories/{id}");
            root.patch(&path, json!({ "parent_id": parent }), "1").await
        };
        below("web", "web").await.blames("parent_id", "circular");
        below("web", "nowhere").await.blames("parent_id", "unknown-category");
        let looked = turn::take(&app.context(), "categories").await.unwrap();
        below("web", "data").await.ok();
        let lost = app.context().commit(Changes::new().save(&looked)).await;
        assert!(matches!(lost, Err(Error::Stale(_))));
        below("data", "web").await.blames("parent_id", "circular");
    }

    #[tokio::test]
    async fn who_may_change_it_says_which_version_they_saw() {
        let app = app().await;
        let (root, changes) = (app.admin("root"), json!({ "name": "New" }));
        app.anyone().patch("/v1/categories/web", &changes, "1").await.is(UNAUTHENTICATED);
        app.instructor("ines").patch("/v1/categories/web", &changes, "1").await.is(FORBIDDEN);
        root.patch("/v1/categories/nothing", &changes, "1").await.is(CATEGORY_NOT_FOUND);
        root.patch_without_etag("/v1/categories/web", &changes).await.is(ETAG_REQUIRED);
        root.patch("/v1/categories/web", &changes, "7").await.is(STALE_ETAG);
        root.patch("/v1/categories/web", json!({ "id": "x" }), "1")
            .await
            .blames("id", "unknown-field");
        root.patch("/v1/categories/%3C", &changes, "1").await.blames("category_id", "invalid-slug");
    }
}
