//! Documents, one by one.

use super::{Conflict, Given, Key, OTHERS, THINGS, Write, ascending, create, json, thing};

/// What is created is there.
pub async fn what_is_created_is_read_back(given: &Given) {
    given.create("a", json!({ "rank": 1, "name": "one" })).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1, "name": "one" })));
}

/// What nobody wrote isn't there, and that's no error.
pub async fn what_was_never_written_is_absent(given: &Given) {
    assert_eq!(given.read("a").await, None);
    assert!(given.ids(&ascending("rank")).await.is_empty());
}

/// A second document can't take the place of the first.
pub async fn a_document_is_created_once(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let again = given.commit(vec![create("a", &json!({ "rank": 2 }))]).await;
    assert_eq!(again, Err(Conflict(thing("a"))));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
}

/// Who knows the version may write; nothing of the old document stays.
pub async fn a_document_is_replaced_at_the_version_that_was_read(given: &Given) {
    given.create("a", json!({ "rank": 1, "name": "one" })).await;
    given.replace("a", json!({ "rank": 2 })).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 2 })));
}

/// Of two who decide by the same document, the second decides again.
pub async fn of_two_who_read_the_same_version_one_writes(given: &Given) {
    given.create("a", json!({ "rank": 0 })).await;
    let read = given.version("a").await;
    let write = |body: &str| vec![Write::Replace(thing("a"), body.to_owned(), read.clone())];
    assert_eq!(given.commit(write(r#"{ "rank": 1 }"#)).await, Ok(()));
    assert_eq!(given.commit(write(r#"{ "rank": 2 }"#)).await, Err(Conflict(thing("a"))));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
}

/// To replace what was deleted meanwhile is a conflict, not a creation.
pub async fn what_is_absent_cannot_be_replaced(given: &Given) {
    given.create("a", json!({})).await;
    let read = given.version("a").await;
    given.delete("a").await;
    let replaced = given.commit(vec![Write::Replace(thing("a"), "{}".to_owned(), read)]).await;
    assert_eq!(replaced, Err(Conflict(thing("a"))));
    assert_eq!(given.read("a").await, None);
}

/// Who knows the version may delete.
pub async fn a_document_is_deleted_at_the_version_that_was_read(given: &Given) {
    given.create("a", json!({})).await;
    given.delete("a").await;
    assert_eq!(given.read("a").await, None);
}

/// What has changed since it was read isn't deleted.
pub async fn an_old_version_deletes_nothing(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let read = given.version("a").await;
    given.replace("a", json!({ "rank": 2 })).await;
    let deleted = given.commit(vec![Write::Delete(thing("a"), read)]).await;
    assert_eq!(deleted, Err(Conflict(thing("a"))));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 2 })));
}

/// To delete what was deleted meanwhile is a conflict: somebody else did it.
pub async fn what_is_absent_cannot_be_deleted(given: &Given) {
    given.create("a", json!({})).await;
    let read = given.version("a").await;
    given.delete("a").await;
    let deleted = given.commit(vec![Write::Delete(thing("a"), read)]).await;
    assert_eq!(deleted, Err(Conflict(thing("a"))));
}

/// An id is free again when its document is gone.
pub async fn what_was_deleted_can_be_created_again(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    given.delete("a").await;
    given.create("a", json!({ "rank": 2 })).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 2 })));
    assert_eq!(given.ids(&ascending("rank")).await, ["a"]);
}

/// Who read a document before it was deleted can't write the one that stands
/// there now, though it's the same to the letter.
pub async fn a_version_comes_never_again(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let first = given.version("a").await;
    given.delete("a").await;
    given.create("a", json!({ "rank": 1 })).await;
    assert_ne!(given.version("a").await, first);
    let replaced = given.commit(vec![Write::Replace(thing("a"), "{}".to_owned(), first)]).await;
    assert_eq!(replaced, Err(Conflict(thing("a"))));
}

/// A document can be written by who got it from a query as by who got it alone.
pub async fn every_way_of_reading_gives_the_same_version(given: &Given) {
    given.create("a", json!({ "rank": 1, "tags": ["x"] })).await;
    let version = given.version("a").await;
    for query in [ascending("rank"), ascending("rank").containing("tags", "x")] {
        let rows = given.store.query(&query).await.expect("a declared query");
        assert_eq!(rows.records[0].version, version);
    }
    assert_eq!(given.version("a").await, version);
}

/// Every script, every escape, and nothing is normalized.
pub async fn texts_survive_exactly(given: &Given) {
    let text = "Ünïcödé Größe 数学 العربية 👩🏽‍🎓 e\u{301} é \u{feff} \u{1f} \n\t\"\\/ 'x'; --";
    given.create("a", json!({ "name": text, "note": text, text: 1 })).await;
    assert_eq!(given.read("a").await, Some(json!({ "name": text, "note": text, text: 1 })));
}

/// Whole numbers don't pass through floats, and floats keep their last digit.
pub async fn numbers_survive_exactly(given: &Given) {
    let body = json!({
        "rank": i64::MIN,
        "whole": [i64::MAX, 9_007_199_254_740_993_i64, -1, 0],
        "real": [0.1, -2.5e-7, 1e300, f64::MIN_POSITIVE, 123_456_789.123_456_78],
    });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// Null is a value, and what's empty stays.
pub async fn empty_and_nested_values_survive_exactly(given: &Given) {
    let body = json!({
        "nothing": null,
        "text": "",
        "list": [],
        "object": {},
        "nested": { "lists": [[], [[]], [null, { "deep": { "deeper": [{}] } }]], "null": null },
    });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// The members of a document are a set with names, whatever the names.
pub async fn members_may_have_any_name_and_any_order(given: &Given) {
    let body =
        r#"{ "z": 1, "a.b": 2, "a": { "b": 3 }, "with space": 4, "`": 5, "rank": 6, "ü": 7 }"#;
    given.commit(vec![Write::Create(thing("a"), body.to_owned())]).await.expect("a new id");
    assert_eq!(
        given.read("a").await,
        Some(
            json!({ "a": { "b": 3 }, "a.b": 2, "`": 5, "rank": 6, "ü": 7, "with space": 4, "z": 1 })
        )
    );
}

/// Long documents are kept whole.
pub async fn a_document_may_be_nine_hundred_kilobytes_long(given: &Given) {
    let body = json!({ "rank": 1, "text": "lots ".repeat(180_000) });
    given.create("a", body.clone()).await;
    assert_eq!(given.ids(&ascending("rank")).await, ["a"]);
    assert!(given.read("a").await == Some(body), "it came back changed");
}

/// Firestore takes nothing longer, so nothing does.
pub async fn a_document_over_a_mebibyte_is_refused(given: &Given) {
    let body = json!({ "text": "x".repeat(1 << 20) });
    assert!(given.store.commit(vec![create("a", &body)]).await.is_err());
    assert_eq!(given.read("a").await, None);
}

/// What couldn't be read isn't written.
pub async fn what_is_no_json_object_is_refused(given: &Given) {
    for body in ["", "[]", "1", "null", "{", "{} {}", r#"{ "a": tru }"#] {
        let written = given.store.commit(vec![Write::Create(thing("a"), body.to_owned())]).await;
        assert!(written.is_err(), "{body} was taken");
    }
    assert_eq!(given.read("a").await, None);
}

/// An id is a text, and nothing in it means anything.
pub async fn an_id_may_be_any_text(given: &Given) {
    let long = "x".repeat(1500);
    let ids =
        ["a b", "it's", "\"", "%2F", "ü", "数学", "👩🏽‍🎓", "a.b", "__a", "-", "*", "'; --", &long];
    for (rank, id) in ids.iter().enumerate() {
        given.create(id, json!({ "rank": rank })).await;
    }
    for (rank, id) in ids.iter().enumerate() {
        assert_eq!(given.read(id).await, Some(json!({ "rank": rank })), "{id}");
    }
    assert_eq!(given.ids(&ascending("rank")).await, ids);
    assert_eq!(given.paged(&ascending("rank"), 1).await, ids);
}

/// Case, accents and their encoding all count.
pub async fn ids_differ_by_every_byte(given: &Given) {
    let ids = ["e", "E", "é", "e\u{301}", "e ", "é "];
    for id in ids {
        given.create(id, json!({ "name": id })).await;
    }
    for id in ids {
        assert_eq!(given.read(id).await, Some(json!({ "name": id })));
    }
}

/// What Firestore can't have as an id: a path, and what it keeps for itself.
const IMPOSSIBLE: [&str; 7] = ["", ".", "..", "a/b", "/", "____", "__a__"];

/// No document gets an id that Firestore can't have.
pub async fn an_id_that_no_document_can_have_is_refused(given: &Given) {
    let too_long = "x".repeat(1501);
    for id in IMPOSSIBLE.into_iter().chain([too_long.as_str()]) {
        assert!(given.store.commit(vec![create(id, &json!({}))]).await.is_err(), "{id} was taken");
    }
}

/// People type ids into addresses: one that can't be is one that isn't.
pub async fn an_id_that_no_document_can_have_is_absent(given: &Given) {
    let too_long = "x".repeat(1501);
    for id in IMPOSSIBLE.into_iter().chain([too_long.as_str()]) {
        let key = Key { collection: THINGS, id: id.to_owned() };
        let found = given.store.get(&key).await.expect("it's no error to ask for it");
        assert_eq!(found, None, "{id} was found");
    }
}

/// Who writes a document as it was has written it all the same: who read it
/// before decides again.
pub async fn a_replacement_by_the_same_is_another_version(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let first = given.version("a").await;
    given.replace("a", json!({ "rank": 1 })).await;
    assert_ne!(given.version("a").await, first);
    let replaced = given.commit(vec![Write::Replace(thing("a"), "{}".to_owned(), first)]).await;
    assert_eq!(replaced, Err(Conflict(thing("a"))));
}

/// A document may be written unchanged to be sure that nobody else changes it.
pub async fn of_two_who_change_nothing_one_writes(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let read = given.version("a").await;
    let both = |beside: &str| {
        let same = Write::Replace(thing("a"), r#"{ "rank": 1 }"#.to_owned(), read.clone());
        given.commit(vec![same, create(beside, &json!({}))])
    };
    assert_eq!(both("b").await, Ok(()));
    assert_eq!(both("c").await, Err(Conflict(thing("a"))));
    assert_eq!(given.read("c").await, None);
}

/// Firestore has none, so its adapter keeps them in objects; and what looks
/// like such an object is none.
pub async fn arrays_in_arrays_survive_exactly(given: &Given) {
    let body = json!({
        "pairs": [["a", 1], ["b", 2]],
        "deep": [[[]], [[1], { "[]": [[2]] }]],
        "alike": [{ "[]": [1] }, { "[][]": [1] }, { "[]": 1 }, { "[]": [], "b": 1 }, [{ "[]": {} }]],
        "[]": { "[]": [[]] },
    });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// Also what isn't there, what is asked for twice, and what can't be there.
pub async fn of_several_each_is_read_at_its_place(given: &Given) {
    given.create_all([("a", json!({ "rank": 1 })), ("b", json!({ "rank": 2 }))]).await;
    given.replace("a", json!({ "rank": 3 })).await;
    let other = Key { collection: OTHERS, id: "a".to_owned() };
    let keys = [thing("b"), thing("c"), other, thing("a"), thing("a/b"), thing(""), thing("b")];
    let read = given.store.get_all(&keys).await.expect("they can be read");
    let ids: Vec<_> = read.iter().map(|it| it.as_ref().map(|it| it.id.as_str())).collect();
    let (a, b) = (Some("a"), Some("b"));
    assert_eq!(ids, [b, None, None, a, None, None, b]);
    let alone = given.store.get(&thing("a")).await.expect("it can be read");
    assert_eq!(read[3], alone);
    assert!(given.store.get_all(&[]).await.expect("nothing can be read").is_empty());
    let unknown = Key { collection: "unknown", id: "a".to_owned() };
    assert!(given.store.get_all(&[thing("a"), unknown]).await.is_err());
}
