//! Limits: what no store takes, because Firestore doesn't, and what all take
//! right up to it.

use super::{Cursor, Given, Key, OTHERS, Value, Write, ascending, create, json, thing};

impl Given {
    /// Whether a commit of this thing alone is refused, and leaves nothing.
    async fn refuses_thing(&self, body: &Value) -> bool {
        let refused = self.store.commit(vec![create("refused", body)]).await.is_err();
        refused && self.read("refused").await.is_none()
    }
}

/// A number that came back as another would be worse.
pub async fn an_integer_beyond_64_bits_is_refused(given: &Given) {
    let beyond = i64::MAX.unsigned_abs() + 1;
    for body in [
        json!({ "number": beyond }),
        json!({ "numbers": [1, u64::MAX] }),
        json!({ "deep": { "number": u64::MAX } }),
    ] {
        assert!(given.refuses_thing(&body).await, "{body} was taken");
    }
    let body = json!({ "number": i64::MAX, "numbers": [i64::MIN] });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// So many objects, or arrays, in one another.
fn nested(levels: usize, inside: fn(Value) -> Value) -> Value {
    json!({ "nested": (0..levels).fold(json!(1), |value, _| inside(value)) })
}

/// Objects in one another, and arrays between them, may be twenty levels deep.
pub async fn twenty_levels_are_the_deepest(given: &Given) {
    let objects = |value| json!({ "in": value });
    let both = |value| json!({ "in": [value] });
    for (id, body) in [("objects", nested(20, objects)), ("both", nested(10, both))] {
        given.create(id, body.clone()).await;
        assert_eq!(given.read(id).await, Some(body));
    }
    assert!(given.refuses_thing(&nested(21, objects)).await);
    assert!(given.refuses_thing(&nested(11, both)).await);
}

/// An array that stands right in another counts twice, for Firestore has none
/// and keeps an object between them.
pub async fn an_array_in_an_array_counts_as_two_levels(given: &Given) {
    let arrays = |value| json!([value]);
    let ten = nested(10, arrays);
    given.create("a", ten.clone()).await;
    assert_eq!(given.read("a").await, Some(ten));
    assert!(given.refuses_thing(&nested(11, arrays)).await);
}

/// No name, one of those that Firestore keeps for itself, or too long a one.
pub async fn a_name_that_no_member_can_have_is_refused(given: &Given) {
    let long = "x".repeat(1501);
    for name in ["", "__name__", "____", &long] {
        assert!(given.refuses_thing(&json!({ name: 1 })).await, "{name}");
        assert!(given.refuses_thing(&json!({ "deep": [{ name: 1 }] })).await, "{name}");
    }
    let body = json!({ &long[1..]: 1, "__a": { "_": 1, "b__": 2 } });
    assert!(given.refuses_thing(&body).await, "a name at the top that begins with _");
    let body = json!({ &long[1..]: 1, "a": { "_": 1, "b__": 2, "__a": 3 } });
    given.create("a", body.clone()).await;
    assert_eq!(given.read("a").await, Some(body));
}

/// At the top of a document stands what the store keeps of it, beside its members.
pub async fn a_member_that_is_the_stores_own_is_refused(given: &Given) {
    for name in ["_commit", "_", "_version", "__a"] {
        assert!(given.refuses_thing(&json!({ name: "x" })).await, "{name}");
    }
    given.create("a", json!({ "rank": 1 })).await;
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
}

/// A number weighs eight bytes, whatever its text.
pub async fn numbers_weigh_eight_bytes(given: &Given) {
    let numbers = |count: usize| json!({ "numbers": vec![1; count] });
    let many = numbers(130_000);
    given.create("a", many.clone()).await;
    assert!(given.read("a").await == Some(many), "it came back changed");
    assert!(given.refuses_thing(&numbers(131_072)).await, "a mebibyte of numbers was taken");
}

/// A letter weighs what it has in bytes, however its text is escaped.
pub async fn escapes_weigh_what_they_stand_for(given: &Given) {
    // As text it's six megabytes long.
    let body = json!({ "text": "\u{1}".repeat(1_000_000) });
    given.create("a", body.clone()).await;
    assert!(given.read("a").await == Some(body), "it came back changed");
    assert!(given.refuses_thing(&json!({ "text": "ü".repeat(600_000) })).await);
}

/// Right up to the limit, which is nearer the longer the id is.
pub async fn a_document_may_weigh_a_mebibyte(given: &Given) {
    let id = "i".repeat(200);
    // What is counted beside the text: the document and what the store keeps of it, its
    // collection, the id, the name of the member, and what ends the text.
    let beside = 160 + "things".len() + 1 + id.len() + 1 + "text".len() + 1 + 1;
    let body = |length: usize| json!({ "text": "x".repeat(length - beside) });
    let too_much = given.store.commit(vec![create(&id, &body((1 << 20) + 1))]).await;
    assert!(too_much.is_err());
    given.create(&id, body(1 << 20)).await;
    assert!(given.read(&id).await == Some(body(1 << 20)), "it came back changed");
}

/// What sorts or is asked for is short enough to be kept whole in an index.
pub async fn an_indexed_text_has_at_most_1499_bytes(given: &Given) {
    let (fits, too_long) = ("ü".repeat(749) + "x", "ü".repeat(750));
    for body in [
        json!({ "name": too_long }),
        json!({ "state": too_long }),
        json!({ "tags": ["x", too_long] }),
    ] {
        assert!(given.refuses_thing(&body).await);
    }
    let body = json!({ "rank": 1, "name": fits, "state": fits, "tags": [fits], "note": too_long });
    given.create("a", body).await;
    assert_eq!(given.ids(&ascending("name").at_least(&fits)).await, ["a"]);
    assert_eq!(given.ids(&ascending("rank").equals("state", &fits)).await, ["a"]);
    assert_eq!(given.ids(&ascending("rank").containing("tags", &fits)).await, ["a"]);
    assert!(given.refuses(&ascending("rank").equals("state", &too_long)).await);
    assert!(given.refuses(&ascending("rank").containing("tags", &too_long)).await);
}

/// Each of them is an entry of an index, and a document has so many at most.
pub async fn an_indexed_array_has_at_most_5000_texts(given: &Given) {
    let tags = |count: usize| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
    assert!(given.refuses_thing(&json!({ "tags": tags(5001) })).await);
    given.create("a", json!({ "rank": 1, "tags": tags(5000), "notes": tags(6000) })).await;
    assert_eq!(given.ids(&ascending("rank").containing("tags", "4999")).await, ["a"]);
}

/// The last one that is taken.
pub async fn a_commit_takes_five_hundred_writes(given: &Given) {
    let writes = (0..500).map(|rank| create(&format!("{rank:03}"), &json!({ "rank": rank })));
    assert_eq!(given.commit(writes.collect()).await, Ok(()));
    assert_eq!(given.count(&ascending("rank")).await, 500);
}

/// A request has an end, though each of its documents would do.
pub async fn a_commit_over_three_mebibytes_is_refused(given: &Given) {
    let text = "x".repeat(900_000);
    let writes = |count: usize| {
        let body = |rank: usize| json!({ "rank": rank, "text": text });
        (0..count).map(|rank| create(&rank.to_string(), &body(rank))).collect()
    };
    assert!(given.store.commit(writes(4)).await.is_err());
    assert_eq!(given.read("0").await, None);
    assert_eq!(given.commit(writes(3)).await, Ok(()));
    assert_eq!(given.count(&ascending("rank")).await, 3);
}

/// However the second one would change it.
pub async fn what_is_written_twice_is_refused_whatever_the_writes(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    let version = given.version("a").await;
    let replace = Write::Replace(thing("a"), "{}".to_owned(), version.clone());
    let delete = Write::Delete(thing("a"), version);
    for writes in [
        vec![replace.clone(), delete.clone()],
        vec![delete.clone(), create("a", &json!({}))],
        vec![create("b", &json!({})), delete, replace.clone(), create("c", &json!({}))],
    ] {
        assert!(given.store.commit(writes).await.is_err());
    }
    // In another collection the same id is another document.
    let other = Write::Create(Key { collection: OTHERS, id: "a".to_owned() }, "{}".to_owned());
    assert_eq!(given.commit(vec![replace, other]).await, Ok(()));
    assert_eq!(given.read("b").await, None);
}

/// Nothing ever stood at such an id, so nothing is behind it.
pub async fn a_place_behind_an_impossible_id_is_refused(given: &Given) {
    for id in ["a/b", "..", "__a__"] {
        let place = Some(Cursor { value: json!(1), id: id.to_owned() });
        assert!(given.refuses(&ascending("rank").after(place)).await, "{id}");
    }
}

/// A version is made by the store that gives it.
pub async fn a_version_of_elsewhere_is_refused(given: &Given) {
    given.create("a", json!({ "rank": 1 })).await;
    for version in ["", "x", "1;2", "9999999999999999999999"] {
        let version = crate::Version(version.to_owned());
        for write in [
            Write::Replace(thing("a"), "{}".to_owned(), version.clone()),
            Write::Delete(thing("a"), version.clone()),
        ] {
            assert!(given.store.commit(vec![write]).await.is_err(), "{version:?}");
        }
    }
    assert_eq!(given.read("a").await, Some(json!({ "rank": 1 })));
}
