//! `GET /v1/taxonomy`

use runtime::prelude::*;

use crate::{
    category::{ShownCategory, Tree},
    entry::{Entry, LevelCount, TagCount},
};

/// Get what courses are filed under.
///
/// Categories as a tree, levels, and the tags that most courses have, 200 at
/// most; each with the number of its published courses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTaxonomy {}

/// What courses are filed under.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Taxonomy {
    /// The categories that belong to no other, by their names, and in each
    /// those that belong to it.
    categories: Vec<ShownCategory>,
    /// The levels, the easiest first.
    levels: Vec<LevelCount>,
    /// The tags, the most used first.
    tags: Vec<TagCount>,
}

impl Endpoint for GetTaxonomy {
    const OPERATION: &'static str = "courses.get_taxonomy";
    const ROUTE: Route = Route::get("/v1/taxonomy");
    type Response = Taxonomy;
}

pub async fn run(cx: Context<Anyone>, _: GetTaxonomy) -> Result<Taxonomy> {
    let tree = Tree::read(&cx).await?;
    let (tags, _) = cx.query::<Entry>(&Entry::first_tags()).await?;
    let count = |it: Stored<Entry>| TagCount { courses: it.published, tag: it.into_inner().name };
    let mut tags: Vec<_> = tags.into_iter().map(count).collect();
    tags.sort_by(|one, other| other.courses.cmp(&one.courses).then(one.tag.cmp(&other.tag)));
    Ok(Taxonomy { categories: tree.show(), levels: tree.levels(), tags })
}

#[cfg(test)]
mod tests {
    use testing::{Value, json};

    use crate::tests::{app, draft, published};

    fn counts(taxonomy: &Value) -> Value {
        let web = &taxonomy["categories"].as_array().unwrap().iter().find(|it| it["id"] == "web");
        let web = web.unwrap();
        let level = |at: usize| taxonomy["levels"][at]["courses"].clone();
        json!([web["courses"], level(0), level(1), level(2), taxonomy["tags"]])
    }

    #[tokio::test]
    async fn published_courses_are_counted_as_they_come_change_and_go() {
        let app = app().await;
        let ines = app.instructor("ines");
        let taxonomy = async || counts(&app.anyone().get("/v1/taxonomy").await.ok());
        draft(&app).await;
        assert_eq!(taxonomy().await, json!([0, 0, 0, 0, []]));
        let (first, second) = (published(&app).await, published(&app).await);
        let tags = |rust: u64, more: &[&str]| {
            let mut tags = vec![json!({ "tag": "clean-code", "courses": 2 })];
            tags.push(json!({ "tag": "rust", "courses": rust }));
            tags.extend(more.iter().map(|tag| json!({ "tag": tag, "courses": 1 })));
            tags
        };
        assert_eq!(taxonomy().await, json!([2, 2, 0, 0, tags(2, &[])]));
        let changes = json!({ "level": "advanced", "tags": ["go", "clean-code"] });
        ines.patch(&first, changes, "2").await.ok();
        let mut now = tags(1, &[]);
        now.insert(1, json!({ "tag": "go", "courses": 1 }));
        assert_eq!(taxonomy().await, json!([2, 1, 0, 1, now]));
        ines.patch(&first, json!({ "category": "data" }), "3").await.ok();
        assert_eq!(taxonomy().await, json!([1, 1, 0, 1, now]));
        ines.delete(&second).await.ok();
        let left = json!([{ "tag": "clean-code", "courses": 1 }, { "tag": "go", "courses": 1 }]);
        assert_eq!(taxonomy().await, json!([0, 0, 0, 1, left]));
        ines.post(&format!("{second}/publish"), json!({})).await.ok();
        assert_eq!(taxonomy().await, json!([1, 1, 0, 1, now]));
    }

    #[tokio::test]
    async fn counts_stay_right_though_many_publish_at_once() {
        let app = app().await;
        let ines = app.instructor("ines");
        let publish = async |path: String| ines.post(&path, json!({})).await.ok();
        let mut publications = Vec::new();
        for _ in 0..40 {
            publications.push(publish(format!("{}/publish", draft(&app).await)));
        }
        futures_util::future::join_all(publications).await;
        let taxonomy = app.anyone().get("/v1/taxonomy").await.ok();
        let tags =
            json!([{ "tag": "clean-code", "courses": 40 }, { "tag": "rust", "courses": 40 }]);
        assert_eq!(counts(&taxonomy), json!([40, 40, 0, 0, tags]));
    }

    #[tokio::test]
    async fn strangers_get_it_from_memory_until_something_in_it_changes() {
        let app = app().await;
        let taxonomy = app.anyone().get("/v1/taxonomy").await.ok();
        let before = app.reads();
        assert_eq!(app.anyone().get("/v1/taxonomy").await.ok(), taxonomy);
        assert_eq!(app.reads(), before);
        published(&app).await;
        assert_ne!(app.anyone().get("/v1/taxonomy").await.ok(), taxonomy);
    }

    #[tokio::test]
    async fn categories_are_a_tree_by_name() {
        let app = app().await;
        let root = app.admin("root");
        root.post("/v1/categories", json!({ "name": "Science" })).await.ok();
        for name in ["Zoología", "Árboles"] {
            let sent = json!({ "name": name, "parent_id": "science" });
            root.post("/v1/categories", sent).await.ok();
        }
        let tree = app.anyone().get("/v1/taxonomy").await.ok()["categories"].clone();
        let science = tree.as_array().unwrap().iter().find(|it| it["id"] == "science").unwrap();
        let children: Vec<_> =
            science["children"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        assert_eq!(children, ["Árboles", "Zoología"]);
    }
}
