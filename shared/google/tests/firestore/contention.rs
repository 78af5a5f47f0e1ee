//! Many who change one document, as when the last seats of a course go.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use google::firestore::{DomainStore, Patience};
use runtime::{Store as _, Write};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    emulator::{create, domain, emulator, new_project, project, read, thing},
    proxy::{Fate, Proxy},
};

/// Adds one to a counter, together with a document that tells of it, until it's done; gives
/// the version that was replaced and how often it was tried.
pub(crate) async fn add_one(store: &DomainStore, id: &str) -> (String, u32) {
    for tries in 1.. {
        let (counter, version) = read(store, "counter").await.unwrap();
        let more = json!({ "rank": counter["rank"].as_i64().unwrap() + 1 });
        let replaced = version.0.clone();
        let writes = vec![
            Write::Replace(thing("counter"), more.to_string(), version),
            create(id, &json!({ "rank": counter["rank"] })),
        ];
        let done = match store.commit(writes).await {
            Ok(done) => done.is_ok(),
            // Nobody knows, but the document does: so a request is repeated with its key.
            Err(_) => read(store, id).await.is_some(),
        };
        if done {
            return (replaced, tries);
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_count_exactly() {
    const RACERS: usize = 16;
    const EACH: usize = 10;
    let Some(emulator) = emulator() else { return };
    let store = domain(&new_project(emulator));
    store.commit(vec![create("counter", &json!({ "rank": 0 }))]).await.unwrap().unwrap();
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let store = Arc::clone(&store);
        racers.spawn(async move {
            let mut done = Vec::new();
            for turn in 0..EACH {
                done.push(add_one(&store, &format!("{racer} {turn}")).await);
            }
            done
        });
    }
    let done: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    let counter = read(&store, "counter").await.unwrap().0;
    assert_eq!(counter, json!({ "rank": RACERS * EACH }));
    // Nobody replaced what another had replaced.
    let versions: BTreeSet<_> = done.iter().map(|(version, _)| version).collect();
    assert_eq!(versions.len(), RACERS * EACH);
    let tries: u32 = done.iter().map(|(_, tries)| tries).sum();
    println!("{} commits in {tries} tries and {} calls", done.len(), store.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_count_exactly_while_answers_are_lost() {
    const EACH: usize = 10;
    let Some(emulator) = emulator() else { return };
    // Something happens to every second commit of this one, while others are in its way.
    let fates = [Fate::AnswerIsLost, Fate::Arrives, Fate::IsLost, Fate::Arrives].repeat(10);
    let proxy = Proxy::start(emulator.address(), "the unlucky one", &fates).await;
    let patience = Patience { call: Duration::from_secs(2), ..Patience::default() };
    let settings_of_both = project(emulator, emulator.host(), patience);
    let lucky = domain(&settings_of_both);
    let unlucky = domain(&settings_of_both.at(proxy.host()));
    lucky.commit(vec![create("counter", &json!({ "rank": 0 }))]).await.unwrap().unwrap();

    let mut racers = JoinSet::new();
    for (racer, store) in [("the unlucky one", unlucky), ("the lucky one", Arc::clone(&lucky))] {
        racers.spawn(async move {
            for turn in 0..EACH {
                add_one(&store, &format!("{racer} {turn}")).await;
            }
        });
    }
    racers.join_all().await;
    assert!(proxy.met() >= EACH, "{} of its commits met something", proxy.met());
    let counter = read(&lucky, "counter").await.unwrap().0;
    assert_eq!(counter, json!({ "rank": 2 * EACH }));
    for turn in 0..EACH {
        for racer in ["the unlucky one", "the lucky one"] {
            assert!(read(&lucky, &format!("{racer} {turn}")).await.is_some());
        }
    }
}
