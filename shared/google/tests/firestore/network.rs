//! What a network does to calls: whatever is lost, what a store says is true.

use std::time::Duration;

use google::firestore::{DomainStore, Patience};
use runtime::{Conflict, Store as _, Write};
use serde_json::json;
use testing::emulators::Emulator;

use crate::{
    emulator::{create, domain, emulator, new_project, project, read, thing},
    proxy::{Fate, Proxy},
};

/// What stands in a document whose commit something happens to.
const MARK: &str = "somethinghappenstothis";

fn hasty() -> Patience {
    Patience { call: Duration::from_millis(500), ..Patience::default() }
}

struct World {
    proxy: Proxy,
    store: std::sync::Arc<DomainStore>,
}

/// A store behind a proxy that does this to the commits with a mark.
async fn world(emulator: &Emulator, fates: &[Fate]) -> World {
    let proxy = Proxy::start(emulator.address(), MARK, fates).await;
    let store = domain(&project(emulator, proxy.host(), hasty()));
    World { proxy, store }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_was_made_and_is_told_so() {
    let Some(emulator) = emulator() else { return };
    for lost in 1..4 {
        let world = world(emulator, &[Fate::AnswerIsLost; 3][..lost]).await;
        let body = json!({ "rank": 1, "note": MARK });
        let made = world.store.commit(vec![create("a", &body)]).await.unwrap();
        assert_eq!((made, world.proxy.met()), (Ok(()), lost));
        assert_eq!(read(&world.store, "a").await.unwrap().0, body);
        // The commit, once or more often, and the look at what became of it.
        assert_eq!(world.proxy.connections(), lost + 1);
    }
}

#[tokio::test]
async fn a_commit_that_is_lost_itself_is_made_again() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[Fate::IsLost, Fate::IsSwallowed, Fate::AnswerIsLost]).await;
    let body = json!({ "rank": 1, "note": MARK });
    let writes = vec![create("a", &body), create("b", &json!({}))];
    assert_eq!(world.store.commit(writes).await.unwrap(), Ok(()));
    assert_eq!(world.proxy.met(), 3);
    assert_eq!(read(&world.store, "a").await.unwrap().0, body);
    assert!(read(&world.store, "b").await.is_some());
}

#[tokio::test]
async fn a_replacement_whose_answer_is_lost_is_not_taken_for_a_conflict() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[Fate::AnswerIsLost]).await;
    world.store.commit(vec![create("a", &json!({}))]).await.unwrap().unwrap();
    let (_, version) = read(&world.store, "a").await.unwrap();
    let body = json!({ "note": MARK }).to_string();
    let made = world.store.commit(vec![Write::Replace(thing("a"), body, version.clone())]).await;
    assert_eq!((made.unwrap(), world.proxy.met()), (Ok(()), 1));
    assert_ne!(read(&world.store, "a").await.unwrap().1, version);
}

#[tokio::test]
async fn a_conflict_behind_a_lost_call_is_told_if_a_document_proves_it() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[Fate::IsLost]).await;
    let both = vec![create("a", &json!({})), create("taken", &json!({}))];
    world.store.commit(both).await.unwrap().unwrap();
    let (_, version) = read(&world.store, "a").await.unwrap();
    // The document that would have been replaced is as it was, so nothing was made.
    let replace = Write::Replace(thing("a"), json!({ "note": MARK }).to_string(), version);
    let refused = world.store.commit(vec![replace, create("taken", &json!({}))]).await.unwrap();
    assert_eq!((refused, world.proxy.met()), (Err(Conflict(thing("taken"))), 1));
}

#[tokio::test]
async fn a_lost_call_is_known_by_what_others_wrote_over_it() {
    let Some(emulator) = emulator() else { return };
    for (fate, made) in [(Fate::AnswerIsLost, true), (Fate::IsLost, false)] {
        let direct = project(emulator, emulator.host(), hasty());
        let proxy = Proxy::start(emulator.address(), MARK, &[fate, Fate::IsSwallowed]).await;
        let (ours, theirs) = (domain(&direct.at(proxy.host())), domain(&direct));
        theirs.commit(vec![create("a", &json!({}))]).await.unwrap().unwrap();
        let (_, version) = read(&ours, "a").await.unwrap();

        let replace = Write::Replace(thing("a"), json!({ "note": MARK }).to_string(), version);
        let ours = runtime::spawn(async move { ours.commit(vec![replace]).await.unwrap() });
        while proxy.met() < 2 {
            tokio::task::yield_now().await;
        }
        // While the second call hangs, others write the document, more than once.
        for rank in 0..3 {
            let (_, version) = read(&theirs, "a").await.unwrap();
            let body = json!({ "rank": rank }).to_string();
            let replaced = theirs.commit(vec![Write::Replace(thing("a"), body, version)]).await;
            assert_eq!(replaced.unwrap(), Ok(()));
        }
        let expected = if made { Ok(()) } else { Err(Conflict(thing("a"))) };
        assert_eq!(ours.await.unwrap(), expected, "{fate:?}");
        assert_eq!(read(&theirs, "a").await.unwrap().0, json!({ "rank": 2 }));
    }
}

#[tokio::test]
async fn what_nobody_can_know_is_said_to_be_so() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[Fate::IsLost]).await;
    world.store.commit(vec![create("a", &json!({}))]).await.unwrap().unwrap();
    // Somebody made this document; it can have been us, and then it was replaced.
    let error = world.store.commit(vec![create("a", &json!({ "note": MARK }))]).await.unwrap_err();
    assert!(error.to_string().contains("can't be known"), "{error}");
    // Who asked is told to ask again, with the same key.
    assert!(error.is::<runtime::Unreachable>());
    assert_eq!(read(&world.store, "a").await.unwrap().0, json!({}));
}

#[tokio::test]
async fn a_commit_that_never_arrives_is_an_error() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[Fate::IsLost; 100]).await;
    let made = world.store.commit(vec![create("a", &json!({ "note": MARK }))]).await;
    assert!(made.unwrap_err().to_string().contains("can't be known"));
    assert_eq!(world.proxy.met(), 6);
    assert_eq!(read(&world.store, "a").await, None);
}

#[tokio::test]
async fn a_reading_that_is_lost_is_made_again_on_another_connection() {
    let Some(emulator) = emulator() else { return };
    for fate in [Fate::AnswerIsLost, Fate::IsLost, Fate::IsSwallowed] {
        let world = world(emulator, &[fate]).await;
        assert_eq!(read(&world.store, MARK).await, None);
        assert_eq!((world.proxy.met(), world.proxy.connections()), (1, 2), "{fate:?}");
    }
}

#[tokio::test]
async fn nothing_is_opened_before_it_is_needed() {
    let Some(emulator) = emulator() else { return };
    let world = world(emulator, &[]).await;
    assert!(world.store.commit(Vec::new()).await.is_ok());
    assert!(world.store.get(&thing("..")).await.unwrap().is_none());
    assert_eq!((world.proxy.connections(), world.store.calls()), (0, 0));
    assert_eq!(read(&world.store, "a").await, None);
    assert_eq!((world.proxy.connections(), world.store.calls()), (1, 1));
}

#[tokio::test]
async fn where_nobody_listens_patience_ends() {
    let Some(emulator) = emulator() else { return };
    let gone = {
        let proxy = Proxy::start(emulator.address(), MARK, &[]).await;
        proxy.host()
    };
    let store = domain(&project(emulator, gone, hasty()));
    let error = store.get(&thing("a")).await.unwrap_err();
    assert!(error.is::<runtime::Unreachable>(), "{error}");
    // It can't have been made, so it isn't said that nobody knows.
    let error = store.commit(vec![create("a", &json!({}))]).await.unwrap_err();
    assert!(!error.to_string().contains("can't be known"), "{error}");
}

#[tokio::test]
async fn an_operation_is_one_call() {
    let Some(emulator) = emulator() else { return };
    let store = domain(&new_project(emulator));
    let mut calls = 0;
    let mut one_more = |what: &str, more: u64| {
        calls += more;
        assert_eq!(store.calls(), calls, "{what}");
    };
    let things = ["a", "b", "c"].map(|id| create(id, &json!({ "rank": 1, "state": "open" })));
    store.commit(things.into()).await.unwrap().unwrap();
    one_more("a commit", 1);
    assert!(read(&store, "a").await.is_some());
    one_more("a reading", 1);
    let query = runtime::Query { limit: 2, ..ranks() };
    let next = store.query(&query).await.unwrap().next;
    one_more("a query", 1);
    store.query(&query.clone().after(next)).await.unwrap();
    one_more("its next page", 1);
    assert_eq!(store.count(&query).await.unwrap(), 3);
    one_more("a count", 1);
    assert_eq!(
        store.commit(vec![create("a", &json!({}))]).await.unwrap(),
        Err(Conflict(thing("a")))
    );
    one_more("a conflict of one document", 1);
    let writes = vec![create("d", &json!({})), create("a", &json!({}))];
    assert_eq!(store.commit(writes).await.unwrap(), Err(Conflict(thing("a"))));
    one_more("a conflict of several", 2);
}

fn ranks() -> runtime::Query {
    runtime::Query {
        collection: "things",
        equals: Vec::new(),
        contains: None,
        order: "rank",
        direction: runtime::Direction::Ascending,
        at_most: None,
        at_least: None,
        limit: 100,
        after: None,
    }
}
