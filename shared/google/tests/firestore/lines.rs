//! Slow lines, and lines that carry a few bytes at a time: what a store says is the
//! same, or it says in time that it can't be known.

use std::time::Duration;

use google::firestore::{DomainStore, Patience};
use runtime::{Conflict, Direction, Query, Store as _, Unreachable, Write};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    emulator::{create, domain, emulator, project, read, thing},
    proxy::{Fate, Line, Proxy},
};

/// What stands in a document whose commit something happens to.
const MARK: &str = "somethinghappenstothis";

fn ranks() -> Query {
    Query {
        collection: "things",
        equals: Vec::new(),
        contains: None,
        order: "rank",
        direction: Direction::Ascending,
        at_most: None,
        at_least: None,
        limit: 2,
        after: None,
    }
}

/// Each kind of operation once, on an empty store; another store sees it directly.
async fn everything_is_said_as_it_is(store: &DomainStore, directly: &DomainStore) {
    // The first is longer than a frame of HTTP/2; and none is of ASCII alone.
    let body = |rank: u32| json!({ "rank": rank, "note": "«ñ» 🎓 ".repeat(1_800 / rank as usize) });
    let all = vec![create("a", &body(1)), create("b", &body(2)), create("c", &body(3))];
    assert_eq!(store.commit(all.clone()).await.unwrap(), Ok(()));
    assert_eq!(store.commit(all).await.unwrap(), Err(Conflict(thing("a"))));
    for (id, rank) in [("a", 1), ("b", 2), ("c", 3)] {
        let found = read(store, id).await.unwrap();
        assert_eq!(found.0, body(rank));
        assert_eq!(read(directly, id).await, Some(found));
    }
    assert_eq!(read(store, "d").await, None);

    let first = store.query(&ranks()).await.unwrap();
    let second = store.query(&ranks().after(first.next.clone())).await.unwrap();
    let found = first.records.iter().chain(&second.records);
    assert!(found.map(|it| &*it.id).eq(["a", "b", "c"]));
    assert!(second.next.is_none());
    assert_eq!(store.count(&ranks()).await.unwrap(), 3);

    let (_, version) = read(store, "a").await.unwrap();
    let replaced = Write::Replace(thing("a"), body(4).to_string(), version.clone());
    let deleted = Write::Delete(thing("b"), read(store, "b").await.unwrap().1);
    assert_eq!(store.commit(vec![replaced.clone(), deleted]).await.unwrap(), Ok(()));
    assert_eq!(store.commit(vec![replaced]).await.unwrap(), Err(Conflict(thing("a"))));
    assert_eq!(read(directly, "a").await.unwrap().0, body(4));
    assert_eq!(read(directly, "b").await, None);
}

/// Everything is said over such a line as it is, and by one connection.
async fn is_bridged(line: Line) {
    let Some(emulator) = emulator() else { return };
    let proxy = Proxy::on(line, emulator.address()).await;
    let direct = project(emulator, emulator.host(), Patience::default());
    let through = domain(&direct.at(proxy.host()));
    everything_is_said_as_it_is(&through, &domain(&direct)).await;
    assert_eq!(proxy.connections(), 1, "nothing was given up");
}

#[tokio::test]
async fn bytes_that_come_one_by_one_are_read_as_what_they_are() {
    is_bridged(Line { slice: 1, ..Line::GOOD }).await;
    is_bridged(Line { slice: 7, ..Line::GOOD }).await;
}

#[tokio::test]
async fn a_slow_line_is_waited_for() {
    // A call takes some frames each way.
    is_bridged(Line { latency: Duration::from_millis(40), slice: 1_000 }).await;
}

#[tokio::test]
async fn a_line_that_is_too_slow_is_given_up_in_time_and_nothing_is_guessed() {
    let Some(emulator) = emulator() else { return };
    let patience = Patience {
        call: Duration::from_millis(400),
        operation: Duration::from_secs(2),
        ..Patience::default()
    };
    let line = Line { latency: Duration::from_secs(1), ..Line::GOOD };
    let proxy = Proxy::on(line, emulator.address()).await;
    let direct = project(emulator, emulator.host(), patience);
    let (through, directly) = (domain(&direct.at(proxy.host())), domain(&direct));

    // Its patience, and as much again to look what became of it; with room for a busy machine.
    let in_time = Duration::from_secs(15);
    let began = Instant::now();
    assert!(through.get(&thing("a")).await.unwrap_err().is::<Unreachable>());
    assert!(began.elapsed() < in_time, "{:?}", began.elapsed());
    let began = Instant::now();
    let body = json!({ "rank": 1 });
    let error = through.commit(vec![create("a", &body)]).await.unwrap_err();
    assert!(error.is::<Unreachable>(), "{error}");
    assert!(error.to_string().contains("can't be known"), "{error}");
    assert!(began.elapsed() < in_time, "{:?}", began.elapsed());

    // Once the line is good again, who asks again is told what became of it.
    proxy.becomes(Line::GOOD);
    let again = through.commit(vec![create("a", &body)]).await.unwrap();
    assert!(again == Ok(()) || again == Err(Conflict(thing("a"))));
    assert_eq!(read(&directly, "a").await.unwrap().0, body);
}

#[tokio::test]
async fn a_commit_that_arrives_after_its_successor_changes_nothing() {
    let Some(emulator) = emulator() else { return };
    let hasty = Patience { call: Duration::from_millis(500), ..Patience::default() };
    let direct = project(emulator, emulator.host(), hasty);
    let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsLate; 2]).await;
    let (through, directly) = (domain(&direct.at(proxy.host())), domain(&direct));
    directly.commit(vec![create("a", &json!({}))]).await.unwrap().unwrap();

    let (_, version) = read(&through, "a").await.unwrap();
    let body = json!({ "rank": 1, "note": MARK });
    let replace = Write::Replace(thing("a"), body.to_string(), version);
    assert_eq!(through.commit(vec![replace]).await.unwrap(), Ok(()));
    assert_eq!(proxy.met(), 2);
    let (made, version) = read(&directly, "a").await.unwrap();
    assert_eq!(made, body);
    // Meanwhile another has replaced what it made, and then both of its late calls arrive.
    let theirs = json!({ "rank": 2 });
    let replace = Write::Replace(thing("a"), theirs.to_string(), version);
    assert_eq!(directly.commit(vec![replace]).await.unwrap(), Ok(()));
    let before = read(&directly, "a").await.unwrap();
    proxy.let_go(2).await;
    assert_eq!(read(&directly, "a").await.unwrap(), before);
    assert_eq!(before.0, theirs);
}

#[tokio::test]
async fn of_a_commit_that_is_still_on_its_way_it_is_not_said_that_it_was_not_made() {
    let Some(emulator) = emulator() else { return };
    let hasty = Patience { call: Duration::from_millis(500), tries: 2, ..Patience::default() };
    let direct = project(emulator, emulator.host(), hasty);
    let proxy = Proxy::start(emulator.address(), MARK, &[Fate::IsLate; 2]).await;
    let (through, directly) = (domain(&direct.at(proxy.host())), domain(&direct));
    let body = json!({ "rank": 1, "note": MARK });
    let error = through.commit(vec![create("a", &body)]).await.unwrap_err();
    assert!(error.is::<Unreachable>(), "{error}");
    assert!(error.to_string().contains("can't be known"), "{error}");
    assert_eq!(read(&directly, "a").await, None);
    // It wasn't made when it was looked for; and it was made after that, once.
    proxy.let_go(2).await;
    let (made, version) = read(&directly, "a").await.unwrap();
    assert_eq!(made, body);
    let commits = version.0.split(' ').skip(1);
    assert_eq!(commits.count(), 1, "{version:?}");
}
