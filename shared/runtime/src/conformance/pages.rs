//! Pages: each document once, whatever happens between two of them.

use super::{Cursor, Given, Query, ascending, descending, json};

/// Ten things of ranks 0 to 9, all open and tagged; their ids run the other way.
async fn ten(given: &Given) {
    for rank in 0..10 {
        let body = json!({ "rank": rank, "state": "open", "tags": ["x"], "done": rank > 4 });
        given.create(&(9 - rank).to_string(), body).await;
    }
}

/// Where a query would go on after its first so many.
async fn place_after(given: &Given, query: &Query, count: u32) -> Option<Cursor> {
    given.store.query(&query.clone().limit(count)).await.expect("a declared query").next
}

/// Whatever the length of a page, together they are the list.
pub async fn pages_give_each_document_once_in_order(given: &Given) {
    ten(given).await;
    let all = ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"];
    for limit in [1, 2, 3, 5, 9, 10, 11] {
        assert_eq!(given.paged(&ascending("rank"), limit).await, all, "by {limit}");
    }
}

/// The same from the other end.
pub async fn pages_run_backwards_too(given: &Given) {
    ten(given).await;
    let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    for limit in [1, 3, 10] {
        assert_eq!(given.paged(&descending("rank"), limit).await, all, "by {limit}");
    }
}

/// A page may end among those that sort equal, and the next goes on there.
pub async fn what_sorts_equal_is_paged_by_id(given: &Given) {
    let ids: Vec<_> = (0..30).map(|at| format!("{at:02}")).collect();
    for (at, id) in ids.iter().enumerate() {
        given.create(id, json!({ "rank": at / 10, "tags": ["x"] })).await;
    }
    let backwards: Vec<_> = ids.iter().rev().cloned().collect();
    for limit in [1, 7, 10] {
        assert_eq!(given.paged(&ascending("rank"), limit).await, ids, "by {limit}");
        assert_eq!(given.paged(&descending("rank"), limit).await, backwards, "by {limit}");
        let tagged = ascending("rank").containing("tags", "x");
        assert_eq!(given.paged(&tagged, limit).await, ids, "by {limit}");
    }
}

/// The second page asks what the first asked.
pub async fn pages_keep_the_conditions(given: &Given) {
    ten(given).await;
    for rank in 0..10 {
        let body = json!({ "rank": rank, "state": "shut", "tags": ["y"] });
        given.create(&format!("shut-{rank}"), body).await;
    }
    let open = ascending("rank").equals("state", "open");
    let tagged = ascending("rank").containing("tags", "x");
    let both = descending("rank").equals("state", "open").containing("tags", "x");
    let all = ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"];
    assert_eq!(given.paged(&open, 3).await, all);
    assert_eq!(given.paged(&tagged, 3).await, all);
    assert_eq!(given.paged(&both, 3).await, all.iter().rev().copied().collect::<Vec<_>>());
}

/// The last page ends at the bound.
pub async fn pages_keep_the_bounds(given: &Given) {
    ten(given).await;
    let bounded = |query: Query| query.at_least(2).at_most(7);
    for limit in [1, 2, 6] {
        let up = given.paged(&bounded(ascending("rank")), limit).await;
        assert_eq!(up, ["7", "6", "5", "4", "3", "2"], "by {limit}");
        let down = given.paged(&bounded(descending("rank")), limit).await;
        assert_eq!(down, ["2", "3", "4", "5", "6", "7"], "by {limit}");
        let tagged = given.paged(&bounded(ascending("rank").containing("tags", "x")), limit).await;
        assert_eq!(tagged, ["7", "6", "5", "4", "3", "2"], "by {limit}");
    }
}

/// A place in an order is a value of any type that sorts.
pub async fn pages_go_by_texts_and_booleans_too(given: &Given) {
    ten(given).await;
    let done = given.paged(&ascending("done"), 3).await;
    assert_eq!(done, ["5", "6", "7", "8", "9", "0", "1", "2", "3", "4"]);
    let names = ["", "'", "10", "9", "ü", "🎓"];
    for name in names {
        given.create(&format!("named {name}"), json!({ "name": name })).await;
    }
    assert_eq!(given.paged(&ascending("name"), 1).await, names.map(|name| format!("named {name}")));
}

/// Who reads on after a document that has gone meanwhile misses nothing.
pub async fn the_place_of_a_deleted_document_is_still_a_place(given: &Given) {
    ten(given).await;
    let query = ascending("rank");
    let after = place_after(given, &query, 3).await;
    given.delete("7").await;
    assert_eq!(given.ids(&query.after(after).limit(2)).await, ["6", "5"]);

    let query = ascending("rank").containing("tags", "x");
    let after = place_after(given, &query, 3).await;
    given.delete("6").await;
    assert_eq!(given.ids(&query.after(after).limit(2)).await, ["5", "4"]);
}

/// Ahead of the page it will come; behind it's too late.
pub async fn what_is_created_ahead_of_a_page_is_found(given: &Given) {
    ten(given).await;
    let after = place_after(given, &ascending("rank"), 5).await;
    given.create("behind", json!({ "rank": 3 })).await;
    given.create("ahead", json!({ "rank": 7 })).await;
    let rest = given.ids(&ascending("rank").after(after)).await;
    assert_eq!(rest, ["4", "3", "2", "ahead", "1", "0"]);
}

/// A place is made of a value and an id; neither has to exist.
pub async fn a_place_may_be_where_no_document_ever_was(given: &Given) {
    ten(given).await;
    let place = |value: i64, id: &str| Some(Cursor { value: value.into(), id: id.to_owned() });
    let after = async |place| given.ids(&ascending("rank").after(place).limit(2)).await;
    assert_eq!(after(place(-5, "x")).await, ["9", "8"]);
    // The thing of rank 2 has the id 7: it's behind what comes before it, and ahead of what doesn't.
    assert_eq!(after(place(2, "6")).await, ["7", "6"]);
    assert_eq!(after(place(2, "8")).await, ["6", "5"]);
    assert!(after(place(100, "")).await.is_empty());
    let down = given.ids(&descending("rank").after(place(2, "8")).limit(2)).await;
    assert_eq!(down, ["7", "8"]);
}

/// A place before the lower bound doesn't move the bound.
pub async fn a_place_outside_the_bounds_loosens_nothing(given: &Given) {
    ten(given).await;
    let place = |value: i64| Some(Cursor { value: value.into(), id: "5".to_owned() });
    let up = ascending("rank").at_least(8).after(place(1));
    assert_eq!(given.ids(&up).await, ["1", "0"]);
    let down = descending("rank").at_most(1).after(place(8));
    assert_eq!(given.ids(&down).await, ["8", "9"]);
    let beyond = ascending("rank").at_most(3).after(place(7));
    assert!(given.ids(&beyond).await.is_empty());
}
