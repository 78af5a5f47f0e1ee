//! Queries: what they find, in which order, and what they can't ask.

use super::{Given, Key, OTHERS, Query, Value, Write, ascending, create, descending, json};

/// Texts have no language: the order is that of their bytes in UTF-8.
pub async fn texts_sort_byte_by_byte(given: &Given) {
    // In UTF-16 the last two would change places.
    let names = ["", " ", "10", "9", "A", "B", "a", "a ", "aa", "b", "z", "Ä", "é", "ﬁ", "🎓"];
    for (at, name) in names.iter().enumerate().rev() {
        given.create(&format!("{:02}", 99 - at), json!({ "name": name })).await;
    }
    let rows = given.store.query(&ascending("name")).await.expect("a declared query");
    let found = rows.records.iter().map(|record| {
        let body: Value = serde_json::from_str(&record.body).expect("a document is JSON");
        body["name"].as_str().expect("a name is a text").to_owned()
    });
    assert_eq!(found.collect::<Vec<_>>(), names);
}

/// Ten comes after nine, and the ends of the range are in their places.
pub async fn numbers_sort_as_numbers(given: &Given) {
    let ranks = [i64::MIN, i64::MIN + 1, -10, -9, -1, 0, 1, 9, 10, 100, i64::MAX - 1, i64::MAX];
    for (at, rank) in ranks.iter().enumerate().rev() {
        given.create(&format!("{:02}", 99 - at), json!({ "rank": rank })).await;
    }
    let ids: Vec<_> = (0..ranks.len()).map(|at| format!("{:02}", 99 - at)).collect();
    assert_eq!(given.ids(&ascending("rank")).await, ids);
}

/// What isn't done comes first.
pub async fn false_sorts_before_true(given: &Given) {
    let [yes, no] = [json!({ "done": true }), json!({ "done": false })];
    given.create_all([("a", yes.clone()), ("b", no.clone()), ("c", yes), ("d", no)]).await;
    assert_eq!(given.ids(&ascending("done")).await, ["b", "d", "a", "c"]);
}

/// Both run along the same list.
pub async fn a_descending_query_is_an_ascending_one_reversed(given: &Given) {
    let ranks = [("a", 2), ("b", 1), ("c", 3), ("d", 1), ("e", 2)];
    given.create_all(ranks.map(|(id, rank)| (id, json!({ "rank": rank, "state": "open" })))).await;
    assert_eq!(given.ids(&ascending("rank")).await, ["b", "d", "a", "e", "c"]);
    assert_eq!(given.ids(&descending("rank")).await, ["c", "e", "a", "d", "b"]);
    let open = descending("rank").equals("state", "open");
    assert_eq!(given.ids(&open).await, ["c", "e", "a", "d", "b"]);
}

/// So the order is always the same, though nobody asked for more.
pub async fn what_sorts_equal_is_sorted_by_id(given: &Given) {
    let ids = ["b", "a", "B", "ü", "10", "9"];
    given.create_all(ids.map(|id| (id, json!({ "rank": 1 })))).await;
    assert_eq!(given.ids(&ascending("rank")).await, ["10", "9", "B", "a", "b", "ü"]);
    assert_eq!(given.ids(&descending("rank")).await, ["ü", "b", "a", "B", "9", "10"]);
}

/// A list has all that a single reading has.
pub async fn a_query_finds_whole_documents(given: &Given) {
    let body = json!({ "rank": 1, "tags": ["x"], "deep": { "list": [1, null] } });
    given.create("a", body.clone()).await;
    for query in [ascending("rank"), ascending("rank").containing("tags", "x")] {
        let rows = given.store.query(&query).await.expect("a declared query");
        let found: Value = serde_json::from_str(&rows.records[0].body).expect("it's JSON");
        assert_eq!(found, body);
    }
}

/// The same field of another collection is in another list.
pub async fn a_query_finds_only_its_own_collection(given: &Given) {
    let key = Key { collection: OTHERS, id: "other".to_owned() };
    let other = Write::Create(key, r#"{ "rank": 1 }"#.to_owned());
    given.commit(vec![create("thing", &json!({ "rank": 1 })), other]).await.expect("new ids");
    assert_eq!(given.ids(&ascending("rank")).await, ["thing"]);
    assert_eq!(given.ids(&Query { collection: OTHERS, ..ascending("rank") }).await, ["other"]);
}

/// Only the documents with that value, in their order.
pub async fn a_query_asks_a_field_to_be_equal(given: &Given) {
    let things = [("a", "open", 3), ("b", "shut", 1), ("c", "open", 2), ("d", "opened", 0)];
    let body = |state, rank| json!({ "state": state, "rank": rank });
    given.create_all(things.map(|(id, state, rank)| (id, body(state, rank)))).await;
    assert_eq!(given.ids(&ascending("rank").equals("state", "open")).await, ["c", "a"]);
    assert!(given.ids(&ascending("rank").equals("state", "Open")).await.is_empty());
}

/// All of them, in whatever order they are named.
pub async fn a_query_asks_several_fields_to_be_equal(given: &Given) {
    let body = |state, owner, rank| json!({ "state": state, "owner": owner, "rank": rank });
    given
        .create_all([
            ("a", body("open", "ann", 2)),
            ("b", body("open", "bob", 1)),
            ("c", body("shut", "ann", 1)),
            ("d", body("open", "ann", 1)),
        ])
        .await;
    let query = ascending("rank").equals("state", "open").equals("owner", "ann");
    assert_eq!(given.ids(&query).await, ["d", "a"]);
    let query = ascending("rank").equals("owner", "ann").equals("state", "open");
    assert_eq!(given.ids(&query).await, ["d", "a"]);
}

/// Neither the number 1 nor the text "1" nor true is any of the others.
pub async fn a_value_equals_only_its_own_type(given: &Given) {
    let states = [("a", json!(1)), ("b", json!("1")), ("c", json!(true)), ("d", json!("true"))];
    for (id, state) in &states {
        given.create(id, json!({ "state": state, "rank": 1 })).await;
    }
    for (id, state) in states {
        assert_eq!(given.ids(&ascending("rank").equals("state", &state)).await, [id], "{state}");
    }
}

/// Any text of the array will do, but the whole of it.
pub async fn a_query_asks_an_array_to_contain_a_text(given: &Given) {
    let body = |rank: u32, tags: &[&str]| json!({ "rank": rank, "tags": tags });
    given
        .create_all([
            ("a", body(2, &["math", "exam"])),
            ("b", body(1, &["exam", "math"])),
            ("c", body(0, &["mathematics", "Math"])),
            ("d", body(3, &["", "✓"])),
        ])
        .await;
    let tagged = |tag| ascending("rank").containing("tags", tag);
    assert_eq!(given.ids(&tagged("math")).await, ["b", "a"]);
    assert_eq!(given.ids(&tagged("Math")).await, ["c"]);
    assert_eq!(given.ids(&tagged("")).await, ["d"]);
    assert_eq!(given.ids(&tagged("✓")).await, ["d"]);
    assert!(given.ids(&tagged("mat")).await.is_empty());
}

/// A document is on a list once.
pub async fn an_array_that_contains_a_text_twice_is_found_once(given: &Given) {
    given.create("a", json!({ "rank": 1, "tags": ["x", "y", "x", "x"] })).await;
    let query = ascending("rank").containing("tags", "x");
    assert_eq!(given.ids(&query).await, ["a"]);
    assert_eq!(given.paged(&query, 1).await, ["a"]);
    assert_eq!(given.count(&query).await, 1);
    given.delete("a").await;
    assert_eq!(given.count(&query).await, 0);
}

/// Both conditions hold, and the order too.
pub async fn a_query_asks_an_array_and_fields_together(given: &Given) {
    let body = |state, rank, tag| json!({ "state": state, "rank": rank, "tags": [tag] });
    given
        .create_all([
            ("a", body("open", 1, "x")),
            ("b", body("open", 2, "y")),
            ("c", body("shut", 3, "x")),
            ("d", body("open", 4, "x")),
        ])
        .await;
    let query = descending("rank").equals("state", "open").containing("tags", "x");
    assert_eq!(given.ids(&query).await, ["d", "a"]);
}

/// It has no place in that order.
pub async fn what_lacks_the_field_that_sorts_is_not_found(given: &Given) {
    let tags = json!(["x"]);
    given
        .create_all([
            ("a", json!({ "rank": 1, "tags": tags })),
            ("b", json!({ "name": "b", "tags": tags })),
        ])
        .await;
    assert_eq!(given.ids(&ascending("rank")).await, ["a"]);
    assert_eq!(given.ids(&descending("rank")).await, ["a"]);
    assert_eq!(given.ids(&ascending("name")).await, ["b"]);
    assert_eq!(given.ids(&ascending("rank").containing("tags", "x")).await, ["a"]);
    assert_eq!(given.count(&ascending("rank")).await, 1);
}

/// It isn't equal to anything.
pub async fn what_lacks_a_field_that_is_asked_for_is_not_found(given: &Given) {
    given
        .create_all([
            ("a", json!({ "rank": 1, "state": "open" })),
            ("b", json!({ "rank": 2 })),
            ("c", json!({ "rank": 3, "owner": "ann" })),
            ("d", json!({ "rank": 4, "state": "open", "owner": "ann" })),
        ])
        .await;
    assert_eq!(given.ids(&ascending("rank").equals("state", "open")).await, ["a", "d"]);
    let both = ascending("rank").equals("state", "open").equals("owner", "ann");
    assert_eq!(given.ids(&both).await, ["d"]);
}

/// In a list, null is nothing; in the document it stays null.
pub async fn null_is_as_if_it_were_not_there(given: &Given) {
    let body = json!({ "rank": null, "state": null, "tags": null, "name": "a" });
    given.create("a", body.clone()).await;
    given.create("b", json!({ "rank": 1, "state": null, "tags": ["x"] })).await;
    assert_eq!(given.ids(&ascending("rank")).await, ["b"]);
    assert_eq!(given.ids(&ascending("name")).await, ["a"]);
    assert_eq!(given.ids(&ascending("rank").containing("tags", "x")).await, ["b"]);
    assert_eq!(given.read("a").await, Some(body));
    given.replace("b", json!({ "rank": null, "tags": ["x"] })).await;
    assert!(given.ids(&ascending("rank")).await.is_empty());
    assert!(given.ids(&ascending("rank").containing("tags", "x")).await.is_empty());
}

/// And what isn't there contains nothing either.
pub async fn an_empty_array_contains_nothing(given: &Given) {
    given.create_all([("a", json!({ "rank": 1, "tags": [] })), ("b", json!({ "rank": 2 }))]).await;
    assert!(given.ids(&ascending("rank").containing("tags", "")).await.is_empty());
    assert_eq!(given.ids(&ascending("rank")).await, ["a", "b"]);
}

/// Indexed fields stand at the top of a document.
pub async fn a_field_within_another_is_not_indexed(given: &Given) {
    given.create("a", json!({ "deep": { "rank": 1 }, "list": [{ "rank": 2 }] })).await;
    assert!(given.ids(&ascending("rank")).await.is_empty());
}

/// Better no document than one that no list shows.
pub async fn what_an_index_cannot_hold_is_refused(given: &Given) {
    for body in [
        json!({ "rank": 0.5 }),
        json!({ "rank": u64::MAX }),
        json!({ "rank": [1] }),
        json!({ "rank": { "value": 1 } }),
        json!({ "tags": "x" }),
        json!({ "tags": [1] }),
        json!({ "tags": ["x", null] }),
    ] {
        let written = given.store.commit(vec![create("a", &body)]).await;
        assert!(written.is_err(), "{body} was taken");
    }
    assert_eq!(given.read("a").await, None);
}

/// It's found where it belongs now, and nowhere else.
pub async fn a_replaced_document_moves_between_the_lists(given: &Given) {
    given.create("a", json!({ "rank": 1, "state": "open", "name": "old" })).await;
    given.create("b", json!({ "rank": 2, "state": "open" })).await;
    given.replace("a", json!({ "rank": 3, "state": "open", "owner": "ann" })).await;
    assert_eq!(given.ids(&ascending("rank")).await, ["b", "a"]);
    assert!(given.ids(&ascending("name")).await.is_empty());
    let anns = ascending("rank").equals("state", "open").equals("owner", "ann");
    assert_eq!(given.ids(&anns).await, ["a"]);
    given.replace("a", json!({ "rank": 3, "state": "shut" })).await;
    assert_eq!(given.ids(&ascending("rank").equals("state", "open")).await, ["b"]);
    assert_eq!(given.ids(&ascending("rank").equals("state", "shut")).await, ["a"]);
    assert!(given.ids(&anns).await.is_empty());
}

/// The array of now counts, and so do the fields beside it.
pub async fn an_array_loses_and_gains_texts(given: &Given) {
    given.create("a", json!({ "rank": 1, "tags": ["x", "y"] })).await;
    given.create("b", json!({ "rank": 2, "tags": ["x", "y"] })).await;
    let tagged = |tag| ascending("rank").containing("tags", tag);
    given.replace("a", json!({ "rank": 1, "tags": ["y", "z"] })).await;
    assert_eq!(given.ids(&tagged("x")).await, ["b"]);
    assert_eq!(given.ids(&tagged("y")).await, ["a", "b"]);
    assert_eq!(given.ids(&tagged("z")).await, ["a"]);
    given.replace("a", json!({ "rank": 3, "tags": ["y", "z"] })).await;
    assert_eq!(given.ids(&tagged("y")).await, ["b", "a"]);
    given.replace("a", json!({ "rank": 3 })).await;
    assert_eq!(given.ids(&tagged("y")).await, ["b"]);
    assert_eq!(given.count(&tagged("z")).await, 0);
}

/// Gone is gone.
pub async fn a_deleted_document_is_in_no_list(given: &Given) {
    let body = json!({ "rank": 1, "name": "a", "state": "open", "owner": "ann", "tags": ["x"] });
    given.create("a", body).await;
    given.delete("a").await;
    for query in [
        ascending("rank"),
        ascending("name"),
        descending("rank").equals("state", "open"),
        ascending("rank").equals("state", "open").equals("owner", "ann"),
        ascending("rank").containing("tags", "x"),
        descending("rank").equals("state", "open").containing("tags", "x"),
    ] {
        assert!(given.ids(&query).await.is_empty());
        assert_eq!(given.count(&query).await, 0);
    }
}

/// Five things of ranks 1 to 5, all open and tagged.
async fn five(given: &Given) {
    for (rank, id) in (1..).zip(["a", "b", "c", "d", "e"]) {
        let body = json!({ "rank": rank, "name": id, "state": "open", "tags": ["x"] });
        given.create(id, body).await;
    }
}

/// The bound itself is within.
pub async fn a_query_is_bounded_from_below(given: &Given) {
    five(given).await;
    assert_eq!(given.ids(&ascending("rank").at_least(4)).await, ["d", "e"]);
    assert_eq!(given.ids(&descending("rank").at_least(4)).await, ["e", "d"]);
    assert_eq!(given.ids(&ascending("name").at_least("cc")).await, ["d", "e"]);
    assert!(given.ids(&ascending("rank").at_least(6)).await.is_empty());
}

/// The bound itself is within.
pub async fn a_query_is_bounded_from_above(given: &Given) {
    five(given).await;
    assert_eq!(given.ids(&ascending("rank").at_most(2)).await, ["a", "b"]);
    assert_eq!(given.ids(&descending("rank").at_most(2)).await, ["b", "a"]);
    assert_eq!(given.ids(&ascending("name").at_most("bb")).await, ["a", "b"]);
    assert!(given.ids(&ascending("rank").at_most(0)).await.is_empty());
}

/// What is between them; nothing, if nothing can be.
pub async fn a_query_is_bounded_from_both_sides(given: &Given) {
    five(given).await;
    assert_eq!(given.ids(&ascending("rank").at_least(2).at_most(4)).await, ["b", "c", "d"]);
    assert_eq!(given.ids(&descending("rank").at_least(2).at_most(4)).await, ["d", "c", "b"]);
    assert_eq!(given.ids(&ascending("rank").at_least(3).at_most(3)).await, ["c"]);
    assert!(given.ids(&ascending("rank").at_least(4).at_most(2)).await.is_empty());
}

/// All conditions hold at once.
pub async fn bounds_hold_beside_equal_fields_and_arrays(given: &Given) {
    five(given).await;
    given.create("f", json!({ "rank": 3, "state": "shut", "tags": ["y"] })).await;
    let open = ascending("rank").equals("state", "open");
    assert_eq!(given.ids(&open.at_least(3).at_most(4)).await, ["c", "d"]);
    let tagged = ascending("rank").containing("tags", "x");
    assert_eq!(given.ids(&tagged.at_least(3).at_most(4)).await, ["c", "d"]);
}

/// The first ones of the order.
pub async fn a_query_finds_at_most_its_limit(given: &Given) {
    five(given).await;
    assert_eq!(given.ids(&ascending("rank").limit(2)).await, ["a", "b"]);
    assert_eq!(given.ids(&descending("rank").limit(1)).await, ["e"]);
    assert_eq!(given.ids(&ascending("rank").containing("tags", "x").limit(3)).await.len(), 3);
    assert_eq!(given.ids(&ascending("rank").limit(100)).await.len(), 5);
}

/// Nobody is sent to a page that can't be.
pub async fn a_query_that_finds_all_has_no_next_page(given: &Given) {
    let next = async |query: &Query| given.store.query(query).await.expect("a declared query").next;
    assert_eq!(next(&ascending("rank")).await, None);
    five(given).await;
    assert_eq!(next(&ascending("rank").limit(6)).await, None);
    assert!(next(&ascending("rank").limit(4)).await.is_some());
}

/// A count is how many there are, not how many a page shows.
pub async fn a_count_knows_no_limit(given: &Given) {
    assert_eq!(given.count(&ascending("rank")).await, 0);
    five(given).await;
    assert_eq!(given.count(&ascending("rank").limit(2)).await, 5);
    assert_eq!(given.count(&descending("rank")).await, 5);
    assert_eq!(given.count(&ascending("rank").containing("tags", "x").limit(1)).await, 5);
}

/// A count counts what the query finds.
pub async fn a_count_keeps_the_conditions(given: &Given) {
    five(given).await;
    given.create("f", json!({ "rank": 6, "state": "shut", "tags": ["y"] })).await;
    given.create("g", json!({ "name": "no rank" })).await;
    assert_eq!(given.count(&ascending("rank")).await, 6);
    assert_eq!(given.count(&ascending("rank").equals("state", "shut")).await, 1);
    assert_eq!(given.count(&ascending("rank").containing("tags", "x").at_least(2)).await, 4);
    assert_eq!(given.count(&ascending("rank").at_least(2).at_most(3)).await, 2);
}

/// Firestore would refuse it in production, and nowhere before.
pub async fn an_undeclared_order_is_refused(given: &Given) {
    assert!(given.refuses(&ascending("state")).await);
    assert!(given.refuses(&ascending("unknown")).await);
    assert!(given.refuses(&ascending("name").equals("state", "open")).await);
}

/// An index runs one way.
pub async fn an_undeclared_direction_is_refused(given: &Given) {
    assert!(given.refuses(&descending("name")).await);
    assert!(given.refuses(&descending("rank").containing("tags", "x")).await);
}

/// Neither more nor fewer conditions than the index has.
pub async fn an_undeclared_condition_is_refused(given: &Given) {
    for query in [
        ascending("rank").equals("owner", "ann"),
        ascending("rank").equals("state", "open").equals("state", "shut"),
        ascending("rank").equals("state", "open").equals("owner", "ann").equals("name", "a"),
        ascending("rank").equals("tags", "x"),
        ascending("rank").containing("state", "open"),
        ascending("rank").containing("tags", "x").equals("state", "open"),
        ascending("name").containing("tags", "x"),
    ] {
        assert!(given.refuses(&query).await, "{query:?}");
    }
}

/// Such a question has no answer; it's a mistake of who asks.
pub async fn a_query_cannot_ask_for_what_no_index_holds(given: &Given) {
    for value in [json!(null), json!(0.5), json!(u64::MAX), json!([]), json!({})] {
        for query in [
            ascending("rank").equals("state", &value),
            ascending("rank").containing("tags", &value),
            ascending("rank").at_least(&value),
            ascending("rank").at_most(&value),
        ] {
            assert!(given.refuses(&query).await, "{query:?}");
        }
    }
    assert!(given.refuses(&ascending("rank").containing("tags", 1)).await);
}
