//! `DELETE /v1/categories/{category_id}`

use contracts::courses::CategoryDeleted;
use runtime::prelude::*;

use crate::{
    category::{CATEGORY_IN_USE, CATEGORY_NOT_FOUND, Tree},
    forms::Slug,
    turn,
};

/// Delete a category.
///
/// It's gone for good. One that courses or other categories belong to stays:
/// drafts count too, deleted courses don't.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCategory {
    /// The category.
    category_id: Slug,
    /// The version that you saw, if only that is to be deleted; `If-Match` says
    /// the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl Endpoint for DeleteCategory {
    const OPERATION: &'static str = "courses.delete_category";
    const ROUTE: Route = Route::delete("/v1/categories/{category_id}");
    const PROBLEMS: &'static [Problem] = &[CATEGORY_NOT_FOUND, CATEGORY_IN_USE];
    type Response = ();
}

pub async fn run(cx: Context<Admin>, request: DeleteCategory) -> Result<()> {
    // Whoever hangs a category under it takes a turn too, and whoever files a
    // course under it writes its entry: nobody does either meanwhile.
    let turn = turn::take(&cx, "categories").await?;
    let mut tree = Tree::read(&cx).await?;
    let entry = tree.take(&request.category_id)?;
    let category = entry.category.as_ref().ok_or(CATEGORY_NOT_FOUND)?;
    if request.etag.is_some() {
        cx.expect_etag(&category.etag(), request.etag.as_deref())?;
    }
    tree.expect_unused(&entry)?;

    let deleted = CategoryDeleted { category: category.facts() };
    cx.commit(Changes::new().save(&turn).delete(&entry).emit(&deleted)).await
}

#[cfg(test)]
mod tests {
    use contracts::courses::CategoryDeleted;
    use runtime::{
        Error,
        problems::{FORBIDDEN, STALE_ETAG, UNAUTHENTICATED},
    };
    use testing::json;

    use super::*;
    use crate::{
        course::COURSE_INCOMPLETE,
        entry,
        tests::{app, draft, published},
    };

    #[tokio::test]
    async fn a_category_goes_when_nothing_belongs_to_it() {
        let app = app().await;
        let root = app.admin("root");
        root.delete("/v1/categories/web").await.ok();
        root.delete("/v1/categories/web").await.is(CATEGORY_NOT_FOUND);
        assert_eq!(app.emitted::<CategoryDeleted>().await.len(), 1);
    }

    #[tokio::test]
    async fn one_in_use_stays() {
        let app = app().await;
        let root = app.admin("root");
        let course = draft(&app).await;
        let answer = root.delete("/v1/categories/web").await;
        answer.is(CATEGORY_IN_USE);
        assert_eq!(answer.body["errors"][0]["values"]["courses"], 1);
        root.post("/v1/categories", json!({ "name": "Rust", "parent_id": "data" })).await.ok();
        let answer = root.delete("/v1/categories/data").await;
        answer.is(CATEGORY_IN_USE);
        assert_eq!(answer.body["errors"][0]["values"]["categories"], 1);
        app.instructor("ines").patch(&course, json!({ "category": "rust" }), "1").await.ok();
        root.delete("/v1/categories/web").await.ok();
        root.delete("/v1/categories/rust").await.is(CATEGORY_IN_USE);
    }

    #[tokio::test]
    async fn whoever_files_a_course_meanwhile_keeps_it() {
        let app = app().await;
        let web = entry::category(&app.context(), &Slug::new("web").unwrap()).await.unwrap();
        draft(&app).await;
        let lost = app.context().commit(Changes::new().delete(&web.unwrap())).await;
        assert!(matches!(lost, Err(Error::Stale(_))));
    }

    #[tokio::test]
    async fn a_deleted_course_holds_no_category_and_says_so_when_it_is_published_again() {
        let app = app().await;
        let (root, ines) = (app.admin("root"), app.instructor("ines"));
        let course = published(&app).await;
        ines.delete(&course).await.ok();
        root.delete("/v1/categories/web").await.ok();
        let publish = format!("{course}/publish");
        let answer = ines.post(&publish, json!({})).await;
        answer.is(COURSE_INCOMPLETE);
        assert_eq!(answer.body["errors"][0]["reason"], "unknown-category");
        root.post("/v1/categories", json!({ "name": "Web" })).await.ok();
        ines.post(&publish, json!({})).await.ok();
    }

    #[tokio::test]
    async fn only_admins_delete_categories() {
        let app = app().await;
        app.anyone().delete("/v1/categories/web").await.is(UNAUTHENTICATED);
        app.instructor("ines").delete("/v1/categories/web").await.is(FORBIDDEN);
        app.admin("root").delete_with_etag("/v1/categories/web", "7").await.is(STALE_ETAG);
        app.admin("root").delete_with_etag("/v1/categories/web", "1").await.ok();
    }
}
