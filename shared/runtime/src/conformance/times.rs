//! Times: kept as times where the database has such a kind, read as they were
//! written, and sorted as they follow each other.

use super::{Given, Value, ascending, create, descending, json};

/// From before 1970 to the last year, each later than the one before.
const TIMES: [&str; 6] = [
    "1900-01-01T00:00:00.000Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
    "2026-11-22T02:59:59.999Z",
    "2026-11-22T03:00:00.000Z",
    "9999-12-30T21:59:59.999Z",
];

/// Wherever they stand, and what only looks like a time too.
pub async fn times_survive_exactly(given: &Given) {
    let almost = ["2026-11-22T03:00:00Z", "2026-11-22T03:00:00.000000Z", "2026-11-22"];
    let body = json!({
        "made_at": TIMES[0],
        "name": TIMES[1],
        "plain": TIMES[2],
        "list": TIMES,
        "deep": { "at": TIMES[3], "lists": [[TIMES[4]], almost] },
        "almost": almost,
        TIMES[5]: 1,
    });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// To the millisecond.
pub async fn times_sort_as_times(given: &Given) {
    for (at, time) in TIMES.iter().enumerate().rev() {
        given.create(&at.to_string(), json!({ "made_at": time })).await;
    }
    let ids: Vec<_> = (0..TIMES.len()).map(|at| at.to_string()).collect();
    assert_eq!(given.ids(&ascending("made_at")).await, ids);
    assert_eq!(given.paged(&ascending("made_at"), 1).await, ids);
    let backwards: Vec<_> = ids.iter().rev().cloned().collect();
    assert_eq!(given.paged(&descending("made_at"), 4).await, backwards);
}

/// What was made until now, and since.
pub async fn a_query_is_bounded_by_times(given: &Given) {
    for (at, time) in TIMES.iter().enumerate() {
        given.create(&at.to_string(), json!({ "made_at": time, "state": "open" })).await;
    }
    let made = || ascending("made_at");
    assert_eq!(given.ids(&made().at_most(TIMES[3])).await, ["0", "1", "2", "3"]);
    assert_eq!(given.ids(&made().at_least(TIMES[4])).await, ["4", "5"]);
    let between = made().at_least(TIMES[1]).at_most("2026-11-22T02:59:59.998Z");
    assert_eq!(given.ids(&between).await, ["1", "2"]);
    assert_eq!(given.count(&between).await, 2);
}

/// A field of an index is a time by its name, and then it's nothing else.
pub async fn an_indexed_time_is_a_time(given: &Given) {
    for made_at in [json!("soon"), json!("2026-11-22T03:00:00Z"), json!(5), json!(true)] {
        let write = create("a", &json!({ "made_at": made_at }));
        assert!(given.store.commit(vec![write]).await.is_err(), "{made_at} was taken");
    }
    for made_at in [json!(null), json!(TIMES[0])] {
        given.create(&made_at.to_string().replace('"', ""), json!({ "made_at": made_at })).await;
    }
    assert_eq!(given.ids(&ascending("made_at")).await, [TIMES[0]]);
}

/// Who asks when something was made names a time.
pub async fn a_query_of_times_asks_for_times(given: &Given) {
    for value in [json!("2026"), json!(""), json!(5), json!(true), json!("2026-11-22T03:00:00Z")] {
        assert!(given.refuses(&ascending("made_at").at_least(&value)).await, "{value}");
        assert!(given.refuses(&ascending("made_at").at_most(&value)).await, "{value}");
    }
}

/// Where texts are sorted a time is one of them.
pub async fn a_text_that_looks_like_a_time_sorts_as_a_text(given: &Given) {
    let names = ["2", "2026-11-22T02:00:00.000Z", "2026-11-22T03:00:00.000Z", "2027", "a"];
    for name in names.iter().rev() {
        let body = json!({ "name": name, "rank": 1, "state": name, "tags": [name] });
        given.create(name, body).await;
    }
    assert_eq!(given.ids(&ascending("name")).await, names);
    assert_eq!(given.paged(&ascending("name"), 2).await, names);
    assert_eq!(given.ids(&ascending("name").at_least("2026").at_most("2027")).await, names[1..4]);
    for name in names {
        assert_eq!(given.ids(&ascending("rank").equals("state", name)).await, [name]);
        assert_eq!(given.ids(&ascending("rank").containing("tags", name)).await, [name]);
    }
}

/// Those with a place in the list have the time as it was written.
pub async fn a_list_by_times_shows_them_as_they_were_written(given: &Given) {
    given.create("a", json!({ "made_at": TIMES[4] })).await;
    given.create("b", json!({ "made_at": TIMES[3] })).await;
    let rows = given.store.query(&descending("made_at").limit(1)).await.expect("a declared query");
    let body: Value = serde_json::from_str(&rows.records[0].body).expect("a document is JSON");
    assert_eq!(body, json!({ "made_at": TIMES[4] }));
    // A place travels through the hands of clients, so it's made of JSON too.
    assert_eq!(rows.next.map(|place| place.value), Some(json!(TIMES[4])));
}
