//! Races: many at once, and what holds all the same.

use std::{collections::BTreeSet, future::poll_fn, pin::pin, sync::Arc, task::Poll};

use tokio::task::JoinSet;

use super::{Given, Record, Store, Value, Write, ascending, create, json, thing};

/// A read, a decision and a commit, again and again until it holds.
async fn change(store: &dyn Store, ids: &[&str], decide: impl Fn(&mut [i64])) {
    loop {
        let mut versions = Vec::new();
        let mut ranks = Vec::new();
        for id in ids {
            let record = store.get(&thing(id)).await.expect("a store reads").expect("it's there");
            let body: Value = serde_json::from_str(&record.body).expect("a document is JSON");
            versions.push(record.version);
            ranks.push(body["rank"].as_i64().expect("a rank is a number"));
        }
        decide(&mut ranks);
        let writes = ids.iter().zip(ranks).zip(versions).map(|((id, rank), version)| {
            Write::Replace(thing(id), json!({ "rank": rank }).to_string(), version)
        });
        if store.commit(writes.collect()).await.expect("a commit that a store takes").is_ok() {
            return;
        }
    }
}

/// No change is lost and none is made twice.
pub async fn fifty_racers_count_to_fifty(given: &Given) {
    given.create("a", json!({ "rank": 0 })).await;
    let mut racers = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&given.store);
        racers.spawn(async move { change(&*store, &["a"], |ranks| ranks[0] += 1).await });
    }
    racers.join_all().await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 50 })));
}

/// Keys are rules: so a second one of the same can't be.
pub async fn of_many_who_create_a_document_one_does(given: &Given) {
    let mut racers = JoinSet::new();
    for rank in 0..50 {
        let store = Arc::clone(&given.store);
        racers.spawn(async move {
            let mine = create(&format!("of {rank}"), &json!({ "rank": rank }));
            let writes = vec![mine, create("a", &json!({ "rank": rank }))];
            store.commit(writes).await.expect("a commit that a store takes").is_ok().then_some(rank)
        });
    }
    let winners: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    // What the others wrote beside it isn't there either.
    let mut ids = given.ids(&ascending("rank")).await;
    ids.sort();
    assert_eq!(ids, ["a".to_owned(), format!("of {}", winners[0])]);
}

/// Who deletes a document has it alone.
pub async fn of_many_who_delete_a_document_one_does(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let version = given.version("a").await;
    let mut racers = JoinSet::new();
    for _ in 0..50 {
        let (store, version) = (Arc::clone(&given.store), version.clone());
        racers.spawn(async move {
            let delete = vec![Write::Delete(thing("a"), version)];
            store.commit(delete).await.expect("a commit that a store takes").is_ok()
        });
    }
    let deleted = racers.join_all().await.into_iter().filter(|deleted| *deleted).count();
    assert_eq!(deleted, 1);
    assert_eq!(given.read("a").await, None);
}

/// Commits that touch the same documents in other orders don't get in each other's way.
pub async fn what_is_moved_between_two_documents_is_never_lost(given: &Given) {
    given.create_all([("a", json!({ "rank": 100 })), ("b", json!({ "rank": 100 }))]).await;
    let mut racers = JoinSet::new();
    for amount in 0..30 {
        let store = Arc::clone(&given.store);
        racers.spawn(async move {
            let ids = if amount % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            let give = |ranks: &mut [i64]| {
                ranks[0] -= amount;
                ranks[1] += amount;
            };
            change(&*store, &ids, give).await;
        });
    }
    racers.join_all().await;
    // Those of even amounts gave 210 from a to b, the others 225 back.
    assert_eq!(given.read("a").await, Some(json!({ "rank": 115 })));
    assert_eq!(given.read("b").await, Some(json!({ "rank": 85 })));
}

/// Reads two documents in some way while they're written together, a hundred times; how often
/// they weren't alike.
async fn torn(given: &Given, read: impl AsyncFn(&dyn Store) -> [Record; 2]) -> u32 {
    given.create_all([("a", json!({ "rank": 0 })), ("b", json!({ "rank": 0 }))]).await;
    let mut writers = JoinSet::new();
    let store = Arc::clone(&given.store);
    writers.spawn(async move {
        for _ in 0..100 {
            change(&*store, &["a", "b"], |ranks| ranks.iter_mut().for_each(|rank| *rank += 1))
                .await;
        }
    });
    let mut torn = 0;
    while writers.try_join_next().is_none() {
        let [a, b] = read(&*given.store).await;
        torn += u32::from(a.body != b.body);
        tokio::task::yield_now().await;
    }
    assert_eq!(given.read("a").await, Some(json!({ "rank": 100 })));
    torn
}

/// Two documents that are always written together are always found alike.
pub async fn a_query_sees_all_of_a_commit_or_nothing(given: &Given) {
    let torn = torn(given, async |store| {
        let rows = store.query(&ascending("rank")).await.expect("a declared query");
        rows.records.try_into().expect("both are always there")
    });
    let torn = torn.await;
    assert!(torn <= given.torn_reads, "{torn} queries found half of a commit");
}

/// And always read alike.
pub async fn who_reads_several_sees_all_of_a_commit_or_nothing(given: &Given) {
    let torn = torn(given, async |store| {
        let both = store.get_all(&[thing("a"), thing("b")]).await.expect("they can be read");
        let both: Vec<_> = both.into_iter().flatten().collect();
        both.try_into().expect("both are always there")
    });
    let torn = torn.await;
    assert!(torn <= given.torn_reads, "half of a commit was read {torn} times");
}

/// Who stops waiting doesn't stop the commit halfway, nor the next one.
pub async fn a_commit_whose_caller_has_gone_is_all_or_nothing(given: &Given) {
    for round in 0..20 {
        let ids = [format!("{round} a"), format!("{round} b")];
        {
            let writes = ids.iter().map(|id| create(id, &json!({ "rank": round }))).collect();
            let mut commit = pin!(given.store.commit(writes));
            poll_fn(|context| {
                let _begun = commit.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
        }
        given.create(&format!("{round} c"), json!({ "rank": 1000 })).await;
        let written = given.count(&ascending("rank").at_least(round).at_most(round)).await;
        assert!(written == 0 || written == 2, "{written} of 2 were written");
    }
}

/// However close two changes follow each other.
pub async fn every_change_has_a_version_of_its_own(given: &Given) {
    given.create("a", json!({ "rank": 0 })).await;
    let mut racers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&given.store);
        racers.spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..5 {
                change(&*store, &["a"], |ranks| ranks[0] += 1).await;
                let record = store.get(&thing("a")).await.expect("a store reads");
                let record = record.expect("it's there");
                seen.push((record.body, record.version.0));
            }
            seen
        });
    }
    let seen: BTreeSet<_> = racers.join_all().await.into_iter().flatten().collect();
    let bodies: BTreeSet<_> = seen.iter().map(|(body, _)| body).collect();
    let versions: BTreeSet<_> = seen.iter().map(|(_, version)| version).collect();
    assert_eq!((bodies.len(), versions.len()), (seen.len(), seen.len()));
}
