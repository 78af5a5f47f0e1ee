//! Commits: all or nothing, and who is told what.

use super::{
    Conflict, Given, Key, OTHERS, Query, VISITORS, Version, Write, ascending, create, json, thing,
};

/// A thing in another collection.
fn other(id: &str) -> Key {
    Key { collection: OTHERS, id: id.to_owned() }
}

/// A function that changes nothing commits nothing.
pub async fn an_empty_commit_changes_nothing(given: &Given) {
    assert_eq!(given.commit(Vec::new()).await, Ok(()));
}

/// What nobody waits for is found as if somebody had.
pub async fn what_is_noted_is_read_at_once(given: &Given) {
    given.note(vec![create("a", &json!({ "rank": 1 })), create("b", &json!({}))]).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
    let keys = [thing("b"), thing("c"), thing("a")];
    let found = given.store.get_all(&keys).await.expect("they can be read");
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true]);
}

/// A document is there from when it's noted: another can't take its place.
pub async fn what_is_noted_cannot_be_created_again(given: &Given) {
    given.note(vec![create("a", &json!({ "rank": 1 }))]).await;
    let again = given.commit(vec![create("a", &json!({ "rank": 2 }))]).await;
    assert_eq!(again, Err(Conflict(thing("a"))));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
}

/// What is noted goes nowhere else than what is committed: a query finds it once
/// somebody else was told that it's there.
pub async fn what_is_noted_is_written_before_anybody_adds_it_again(given: &Given) {
    given.note(vec![create("a", &json!({ "rank": 1 }))]).await;
    let again = given.commit(vec![create("a", &json!({ "rank": 2 }))]).await;
    assert_eq!(again, Err(Conflict(thing("a"))));
    assert_eq!(given.ids(&ascending("rank")).await, ["a"]);
}

/// What stands stays, whether or not who noted it anew is told.
pub async fn a_note_changes_nothing_that_is_there(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let noted = given.store.note(vec![create("a", &json!({ "rank": 2 }))]).await;
    assert!(matches!(noted, Ok(Ok(()) | Err(Conflict(_)))), "{noted:?}");
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
    given.create("b", json!({ "rank": 3 })).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
    assert_eq!(given.ids(&ascending("rank")).await, ["a", "b"]);
}

/// One commit may do anything to any documents of its domain.
pub async fn a_commit_creates_replaces_and_deletes_at_once(given: &Given) {
    given.create_all([("a", json!({ "rank": 1 })), ("b", json!({ "rank": 2 }))]).await;
    let writes = vec![
        Write::Replace(thing("a"), r#"{ "rank": 3 }"#.to_owned(), given.version("a").await),
        Write::Delete(thing("b"), given.version("b").await),
        create("c", &json!({ "rank": 4 })),
        Write::Create(other("a"), "{}".to_owned()),
    ];
    assert_eq!(given.commit(writes).await, Ok(()));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 3 })));
    assert_eq!(given.read("b").await, None);
    assert_eq!(given.ids(&ascending("rank")).await, ["a", "c"]);
    assert!(given.store.get(&other("a")).await.expect("a store reads").is_some());
}

/// When the last write finds a conflict, the first isn't made, whatever it is.
pub async fn a_commit_is_all_or_nothing(given: &Given) {
    given.create_all([("a", json!({ "rank": 1 })), ("b", json!({ "rank": 2 }))]).await;
    given.create("taken", json!({})).await;
    let writes = vec![
        create("new", &json!({ "rank": 3 })),
        Write::Replace(thing("a"), r#"{ "rank": 4 }"#.to_owned(), given.version("a").await),
        Write::Delete(thing("b"), given.version("b").await),
        create("taken", &json!({})),
    ];
    assert_eq!(given.commit(writes).await, Err(Conflict(thing("taken"))));
    assert_eq!(given.read("new").await, None);
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
    assert_eq!(given.read("b").await, Some(json!({ "rank": 2 })));
}

/// What wasn't written isn't found either, and what stayed is found where it was.
pub async fn a_commit_that_fails_leaves_the_indexes_alone(given: &Given) {
    given.create("a", json!({ "rank": 1, "tags": ["x"] })).await;
    let moved = json!({ "rank": 9, "tags": ["y"] }).to_string();
    let writes = vec![
        Write::Replace(thing("a"), moved, given.version("a").await),
        create("b", &json!({ "rank": 2, "tags": ["x"] })),
        Write::Delete(thing("gone"), given.version("a").await),
    ];
    assert_eq!(given.commit(writes).await, Err(Conflict(thing("gone"))));
    assert_eq!(given.ids(&ascending("rank").at_most(5)).await, ["a"]);
    assert_eq!(given.ids(&ascending("rank").containing("tags", "x")).await, ["a"]);
    assert!(given.ids(&ascending("rank").containing("tags", "y")).await.is_empty());
}

/// A conflict leaves nothing behind: who reads again may write.
pub async fn a_commit_that_failed_may_be_tried_again(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let stale = given.version("a").await;
    given.replace("a", json!({ "rank": 2 })).await;
    let writes = |version: Version| {
        let replace = Write::Replace(thing("a"), r#"{ "rank": 3 }"#.to_owned(), version);
        vec![create("b", &json!({})), replace]
    };
    assert_eq!(given.commit(writes(stale)).await, Err(Conflict(thing("a"))));
    assert_eq!(given.commit(writes(given.version("a").await)).await, Ok(()));
    assert_eq!(given.read("a").await, Some(json!({ "rank": 3 })));
}

/// Who loses a race learns about which document, wherever it stands in the commit.
pub async fn a_conflict_names_the_document(given: &Given) {
    given.create("taken", json!({})).await;
    for place in 0..3 {
        let mut writes: Vec<_> = ["a", "b"].map(|id| create(id, &json!({}))).into();
        writes.insert(place, create("taken", &json!({})));
        assert_eq!(given.commit(writes).await, Err(Conflict(thing("taken"))));
    }
}

/// The same id in another collection isn't the one that was in the way.
pub async fn a_conflict_names_the_collection(given: &Given) {
    let create_other = || Write::Create(other("a"), "{}".to_owned());
    given.commit(vec![create_other()]).await.expect("a new id");
    let writes = vec![create("a", &json!({})), create_other()];
    assert_eq!(given.commit(writes).await, Err(Conflict(other("a"))));
}

/// When several documents aren't as supposed, it's one of them that is named.
pub async fn of_several_conflicts_one_is_named(given: &Given) {
    given.create_all([("a", json!({})), ("b", json!({}))]).await;
    let old = given.version("b").await;
    given.replace("b", json!({ "rank": 1 })).await;
    for middle in ["c", "d"] {
        let writes = vec![
            create(middle, &json!({})),
            create("a", &json!({})),
            Write::Delete(thing("b"), old.clone()),
        ];
        let Err(Conflict(named)) = given.commit(writes).await else { panic!("it was written") };
        assert!([thing("a"), thing("b")].contains(&named), "{named:?}");
        assert_eq!(given.read(middle).await, None);
    }
}

/// Which of two writes of one document should hold? Neither: it's a mistake.
pub async fn a_document_written_twice_in_a_commit_is_refused(given: &Given) {
    let twice = vec![create("a", &json!({ "rank": 1 })), create("a", &json!({ "rank": 2 }))];
    assert!(given.store.commit(twice).await.is_err());
    assert_eq!(given.read("a").await, None);

    given.create("b", json!({})).await;
    let delete = Write::Delete(thing("b"), given.version("b").await);
    let deleted_and_created = vec![delete, create("b", &json!({}))];
    assert!(given.store.commit(deleted_and_created).await.is_err());
    assert_eq!(given.read("b").await, Some(json!({})));
}

/// Who has read a document at two moments has lost a race, whatever is stored now.
pub async fn a_document_written_as_it_was_at_two_moments_is_a_conflict(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let first = given.version("a").await;
    given.replace("a", json!({ "rank": 2 })).await;
    let second = given.version("a").await;
    let replace = |version: &Version| Write::Replace(thing("a"), "{}".to_owned(), version.clone());
    let delete = |version: &Version| Write::Delete(thing("a"), version.clone());
    for torn in [
        [replace(&first), replace(&second)],
        [replace(&second), delete(&first)],
        [create("a", &json!({})), replace(&second)],
        [replace(&second), create("a", &json!({}))],
    ] {
        let beside = create("b", &json!({}));
        let writes = [vec![beside.clone()], torn.to_vec()].concat();
        assert_eq!(given.commit(writes).await, Err(Conflict(thing("a"))));
        // What could never be written is refused all the same.
        let impossible = [torn.to_vec(), vec![beside.clone(), beside]].concat();
        assert!(given.store.commit(impossible).await.is_err());
    }
    assert_eq!(given.read("a").await, Some(json!({ "rank": 2 })));
    assert_eq!(given.read("b").await, None);
}

/// Collections know nothing of each other.
pub async fn one_id_in_two_collections_is_two_documents(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let create = Write::Create(other("a"), r#"{ "rank": 2 }"#.to_owned());
    given.commit(vec![create]).await.expect("a new id");
    given.delete("a").await;
    let left = given.store.get(&other("a")).await.expect("a store reads");
    let left = left.map(|record| serde_json::from_str(&record.body).expect("it's JSON"));
    assert_eq!(left, Some(json!({ "rank": 2 })));
    assert!(given.ids(&ascending("rank")).await.is_empty());
    assert_eq!(given.ids(&Query { collection: OTHERS, ..ascending("rank") }).await, ["a"]);
}

/// What one domain keeps no other sees, finds or is in the way of.
pub async fn domains_share_nothing(given: &Given) {
    given.create("a", json!({ "rank": 1, "tags": ["x"] })).await;
    let neighbor = &given.neighbor;
    assert_eq!(neighbor.get(&thing("a")).await.expect("a store reads"), None);
    for query in [ascending("rank"), ascending("rank").containing("tags", "x")] {
        assert_eq!(neighbor.count(&query).await.expect("a declared query"), 0);
    }
    let theirs = neighbor.commit(vec![create("a", &json!({ "rank": 2 }))]).await;
    assert_eq!(theirs.expect("a commit that a store takes"), Ok(()));
    given.delete("a").await;
    assert!(neighbor.get(&thing("a")).await.expect("a store reads").is_some());
}

/// After the answer everybody sees it, in every way.
pub async fn what_was_committed_is_read_at_once(given: &Given) {
    for rank in 0..50 {
        let body = json!({ "rank": rank, "state": "open", "tags": ["x"] });
        given.create(&format!("{rank:02}"), body.clone()).await;
        assert_eq!(given.read(&format!("{rank:02}")).await, Some(body));
        for query in [
            ascending("rank").at_least(rank),
            ascending("rank").equals("state", "open").at_least(rank),
            ascending("rank").containing("tags", "x").at_least(rank),
        ] {
            assert_eq!(given.ids(&query).await, [format!("{rank:02}")]);
            assert_eq!(given.count(&query).await, 1);
        }
    }
}

/// As many as the runtime allows a function, and it's still all or nothing.
pub async fn a_commit_takes_four_hundred_and_eighty_writes(given: &Given) {
    let ids: Vec<_> = (0..480).map(|rank| format!("{rank:03}")).collect();
    let body = |rank: usize| json!({ "rank": rank, "tags": ["x", "y"] });
    let writes = || ids.iter().enumerate().map(|(rank, id)| create(id, &body(rank))).collect();
    given.commit(writes()).await.expect("new ids");
    assert_eq!(given.ids(&ascending("rank")).await, ids);
    assert_eq!(given.count(&ascending("rank").containing("tags", "x")).await, 480);

    let rows = given.store.query(&ascending("rank")).await.expect("a declared query");
    let delete = |(id, version)| Write::Delete(thing(id), version);
    let versions = rows.records.into_iter().map(|record| record.version);
    let deletes = || ids.iter().map(String::as_str).zip(versions.clone()).map(delete).collect();
    given.replace("479", json!({ "rank": 1000 })).await;
    assert_eq!(given.commit(deletes()).await, Err(Conflict(thing("479"))));
    assert_eq!(given.count(&ascending("rank")).await, 480);
}

/// A commit that Firestore might not take isn't taken.
pub async fn a_commit_takes_no_more_than_five_hundred_writes(given: &Given) {
    let writes = (0..501).map(|rank| create(&format!("{rank:03}"), &json!({})));
    assert!(given.store.commit(writes.collect()).await.is_err());
    assert_eq!(given.read("000").await, None);
}

/// A collection that isn't declared isn't there, for anybody.
pub async fn an_unknown_collection_is_refused(given: &Given) {
    let key = Key { collection: "unknown", id: "a".to_owned() };
    assert!(given.store.get(&key).await.is_err());
    assert!(given.store.commit(vec![Write::Create(key, "{}".to_owned())]).await.is_err());
    assert!(given.refuses(&Query { collection: "unknown", ..ascending("rank") }).await);
}

/// What is wrong with one write refuses the whole commit.
pub async fn nothing_is_written_beside_what_is_refused(given: &Given) {
    let unknown = Key { collection: "unknown", id: "a".to_owned() };
    for wrong in [
        Write::Create(unknown, "{}".to_owned()),
        Write::Create(thing("b"), "[]".to_owned()),
        create("a/b", &json!({})),
    ] {
        let writes = vec![create("a", &json!({ "rank": 1 })), wrong];
        assert!(given.store.commit(writes).await.is_err());
        assert_eq!(given.read("a").await, None);
    }
    given.create("a", json!({ "rank": 1 })).await;
}

/// When a document expires is told by a time, written as the platform writes
/// times, or not at all.
pub async fn a_time_of_expiry_is_a_time(given: &Given) {
    let visitor = |id: &str, body: &str| {
        let key = Key { collection: VISITORS, id: id.to_owned() };
        given.store.commit(vec![Write::Create(key, body.to_owned())])
    };
    for (id, body) in [
        ("never", "{}"),
        ("unknown", r#"{ "leaves_at": null }"#),
        ("late", r#"{ "leaves_at": "2026-11-22T03:00:00.000Z" }"#),
    ] {
        visitor(id, body).await.expect("a commit that a store takes").expect("a new id");
    }
    for body in [
        r#"{ "leaves_at": 5 }"#,
        r#"{ "leaves_at": "soon" }"#,
        r#"{ "leaves_at": "2026-11-22T03:00:00Z" }"#,
        r#"{ "leaves_at": "2026-11-22T04:00:00.000+01:00" }"#,
    ] {
        assert!(visitor("wrong", body).await.is_err(), "{body} was taken");
    }
}
