//! Commits that Firestore aborts, because others are in their way: they are made
//! again, after pauses that differ, and never twice.

use std::{sync::Arc, time::Duration};

use google::firestore::{DomainStore, Firestore, Patience, Settings};
use runtime::{Conflict, Store as _, SystemClock, SystemRandom, Unreachable, Write};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    contention::add_one,
    emulator::{create, domain, emulator, project_in_no_time, read, thing},
    proxy::{Fate, Proxy},
};

/// What stands in a document whose commit is aborted.
const MARK: &str = "somethinghappenstothis";

/// The longest pauses before the second try and those after it.
const LONGEST: [u64; 5] = [40, 80, 160, 320, 640];

/// Each pause is a part of the longest that it may be.
fn are_within_bounds(pauses: &[Duration]) -> bool {
    pauses.iter().zip(LONGEST).all(|(pause, longest)| *pause < Duration::from_millis(longest))
}

#[tokio::test]
async fn what_is_aborted_is_made_again_and_made_once() {
    let Some(emulator) = emulator() else { return };
    let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsAborted; 3]).await;
    let (project, pauses) = project_in_no_time(emulator, proxy.host(), 1);
    let store = domain(&project);
    store.commit(vec![create("a", &json!({ "rank": 1 }))]).await.unwrap().unwrap();
    let (_, version) = read(&store, "a").await.unwrap();
    let before = store.calls();

    let body = json!({ "rank": 2, "note": MARK });
    let replace = Write::Replace(thing("a"), body.to_string(), version.clone());
    let made = store.commit(vec![replace, create("b", &json!({}))]).await.unwrap();
    assert_eq!((made, proxy.met()), (Ok(()), 3));
    // Who was aborted knows that nothing was done: nothing has to be looked at.
    assert_eq!(store.calls() - before, 4);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(pauses.told().len(), 3);
    assert!(are_within_bounds(&pauses.told()), "{:?}", pauses.told());
    let (found, since) = read(&store, "a").await.unwrap();
    assert_eq!(found, body);
    let commits = |version: &runtime::Version| version.0.split(' ').skip(1).count();
    assert_eq!(commits(&since), commits(&version) + 1, "one commit has written over it");
    assert!(read(&store, "b").await.is_some());
}

#[tokio::test]
async fn what_is_aborted_every_time_was_not_made_and_that_is_known() {
    let Some(emulator) = emulator() else { return };
    let mut all = Vec::new();
    for chance in 0..2 {
        let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsAborted; 100]).await;
        let (project, pauses) = project_in_no_time(emulator, proxy.host(), chance);
        let store = domain(&project);
        let marked = create("a", &json!({ "note": MARK }));
        let error = store.commit(vec![marked, create("b", &json!({}))]).await.unwrap_err();
        // Who asked is told to come again: it's neither a conflict nor a fault of ours.
        assert!(error.is::<Unreachable>(), "{error}");
        assert!(error.to_string().contains("Aborted: contended"), "{error}");
        assert!(!error.to_string().contains("can't be known"), "{error}");
        assert_eq!((proxy.met(), store.calls()), (6, 6));
        assert_eq!([read(&store, "a").await, read(&store, "b").await], [None, None]);
        assert_eq!(pauses.told().len(), LONGEST.len());
        assert!(are_within_bounds(&pauses.told()), "{:?}", pauses.told());
        all.push(pauses.told());
    }
    assert_ne!(all[0], all[1], "rivals wait differently");
}

#[tokio::test]
async fn a_conflict_that_is_met_after_an_abort_is_a_conflict() {
    let Some(emulator) = emulator() else { return };
    let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsAborted]).await;
    let (project, _) = project_in_no_time(emulator, proxy.host(), 1);
    let store = domain(&project);
    store.commit(vec![create("taken", &json!({}))]).await.unwrap().unwrap();
    let writes = vec![create("a", &json!({ "note": MARK })), create("taken", &json!({}))];
    let refused = store.commit(writes).await.unwrap();
    assert_eq!((refused, proxy.met()), (Err(Conflict(thing("taken"))), 1));
    assert_eq!(read(&store, "a").await, None);
}

#[tokio::test]
async fn a_reading_that_is_aborted_is_made_again() {
    let Some(emulator) = emulator() else { return };
    let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsAborted; 2]).await;
    let (project, pauses) = project_in_no_time(emulator, proxy.host(), 1);
    let store = domain(&project);
    assert_eq!(read(&store, MARK).await, None);
    assert_eq!((proxy.met(), store.calls(), pauses.told().len()), (2, 3, 2));
}

/// Somebody's transaction, begun over REST, which holds a lock on a document.
struct Transaction {
    client: reqwest::Client,
    documents: String,
    name: String,
}

impl Transaction {
    async fn begin(host: &str, project: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let database = format!("projects/{project}/databases/first/documents");
        let documents = format!("http://{host}/v1/{database}");
        let mut transaction = Self { client, documents, name: String::new() };
        let begun = transaction.post("beginTransaction", &json!({})).await;
        begun["transaction"].as_str().unwrap().clone_into(&mut transaction.name);
        let counter = format!("{database}/things/counter");
        let read = json!({ "documents": [counter], "transaction": transaction.name });
        let read = transaction.post("batchGet", &read).await;
        assert!(read[0]["found"].is_object(), "{read}");
        transaction
    }

    async fn roll_back(&self) {
        self.post("rollback", &json!({ "transaction": self.name })).await;
    }

    async fn post(&self, verb: &str, body: &Value) -> Value {
        let url = format!("{}:{verb}", self.documents);
        let answer = self.client.post(url).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{verb}");
        answer.json().await.unwrap()
    }
}

/// A store of this project.
fn store_of(project: &str, host: String, patience: Patience) -> Arc<DomainStore> {
    let settings = Settings::of(project).at(host).with(patience);
    domain(&Firestore::new(settings, Arc::new(SystemClock), Arc::new(SystemRandom)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_in_the_way_of_a_transaction_is_aborted_and_counts_exactly_after_it() {
    const RACERS: u64 = 4;
    let Some(emulator) = emulator() else { return };
    let project = emulator.project();
    let store = |patience| store_of(&project, emulator.host(), patience);
    // The emulator lets one wait for two seconds.
    let patient = Patience { call: Duration::from_secs(10), ..Patience::default() };
    let directly = store(patient);
    directly.commit(vec![create("counter", &json!({ "rank": 0 }))]).await.unwrap().unwrap();
    let transaction = Transaction::begin(&emulator.host(), &project).await;

    // One who tries once is told that they were aborted, and nothing was done.
    let hasty = store(Patience { tries: 1, ..patient });
    let (counter, version) = read(&hasty, "counter").await.unwrap();
    let replace = Write::Replace(thing("counter"), json!({ "rank": 9 }).to_string(), version);
    let error = hasty.commit(vec![replace, create("hasty", &json!({}))]).await.unwrap_err();
    assert!(error.is::<Unreachable>() && error.to_string().contains("Aborted"), "{error}");
    assert_eq!(read(&directly, "counter").await.unwrap().0, counter);
    assert_eq!(read(&directly, "hasty").await, None);

    let racing: Vec<_> = (0..RACERS).map(|_| store(patient)).collect();
    let mut racers = JoinSet::new();
    for (racer, store) in racing.iter().cloned().enumerate() {
        racers.spawn(async move { add_one(&store, &racer.to_string()).await });
    }
    // A reading and a commit each: with one call more, one was aborted and tries again.
    let began = Instant::now();
    while racing.iter().all(|it| it.calls() <= 2) {
        assert!(began.elapsed() < Duration::from_mins(1), "nobody was aborted");
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&directly, "counter").await.unwrap().0, counter, "it's still locked");
    transaction.roll_back().await;
    racers.join_all().await;
    assert_eq!(read(&directly, "counter").await.unwrap().0, json!({ "rank": RACERS }));
    for racer in 0..RACERS {
        assert!(read(&directly, &racer.to_string()).await.is_some());
    }
}
