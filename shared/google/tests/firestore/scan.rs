//! What an audit reads: everything, as it was at one moment.

use runtime::{Key, Store as _, Write};
use serde_json::json;

use crate::emulator::{create, domain, emulator, new_project, read, thing};

#[tokio::test]
async fn an_auditor_sees_one_moment_while_others_write() {
    let Some(emulator) = emulator() else { return };
    let store = domain(&new_project(emulator));
    // More than a page, in a collection without any index.
    let visitor = |id: String| {
        Write::Create(Key { collection: "visitors", id }, json!({ "made": true }).to_string())
    };
    let ids: Vec<_> = (0..600).map(|id| format!("{id:03}")).collect();
    for ids in ids.chunks(300) {
        store.commit(ids.iter().cloned().map(visitor).collect()).await.unwrap().unwrap();
    }
    store.commit(vec![create("a", &json!({ "rank": 1 }))]).await.unwrap().unwrap();

    let moment = store.moment().await.unwrap();
    let (_, version) = read(&store, "a").await.unwrap();
    let replace = Write::Replace(thing("a"), json!({ "rank": 2 }).to_string(), version.clone());
    let after = vec![replace, create("b", &json!({})), visitor("late".to_owned())];
    store.commit(after).await.unwrap().unwrap();

    let visitors = store.scan("visitors", moment).await.unwrap();
    assert!(visitors.iter().map(|record| &record.id).eq(&ids));
    let things = store.scan("things", moment).await.unwrap();
    assert_eq!(things.len(), 1);
    assert_eq!((things[0].body.as_str(), &things[0].version), (r#"{"rank":1}"#, &version));
    let now = store.moment().await.unwrap();
    assert_eq!(store.scan("things", now).await.unwrap().len(), 2);
    assert!(store.scan("unknown", now).await.is_err());
}
