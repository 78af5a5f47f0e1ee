//! What people do in a crowd, as chance has it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    Asked, Dice, Person, Telling,
    book::Ledger,
    courses::{cancel, change_capacity, is_promised, publish, retitle},
};

/// Somebody who enrolls, looks and leaves, again and again.
pub(super) async fn learns(person: Person, ledger: Ledger, mut dice: Dice) {
    let sections = ledger.look(|book| book.catalog.sections());
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for turn in 0..2 + dice.below(4) {
        let section = dice.one_of(&sections).clone();
        let key = format!("{}-{turn}", person.name);
        let asked = match (dice.below(20), places.get(&section)) {
            (0..10, _) | (_, None) => enroll(&section, json!({}), &key),
            (10..12, _) => enroll(&section, json!({ "validate_only": true }), &key),
            (12..18, Some(id)) => cancel_enrollment(id, &key),
            (18, Some(id)) => look("enrollments.get", vec![("enrollment_id", id.clone())], ""),
            _ => look("enrollments.list", Vec::new(), "user_id=me"),
        };
        let heard = if dice.chance(150) {
            // The same at once from two devices, with the same key.
            let (heard, same) = tokio::join!(person.insist(&asked), person.insist(&asked));
            ledger.note(&asked, &same);
            heard
        } else {
            person.insist(&asked).await
        };
        ledger.note(&asked, &heard);
        if asked.operation == "enrollments.enroll"
            && heard.status == 201
            && let Some(id) = heard.body["id"].as_str()
        {
            places.insert(section, id.to_owned());
        }
        person.pause(Duration::from_millis(10)).await;
    }
}

/// An instructor who reviews requests, takes people off and brings others in.
pub(super) async fn teaches(person: Person, ledger: Ledger, mut dice: Dice) {
    let sections = ledger.look(|book| book.catalog.sections());
    for turn in 0..2 + dice.below(6) {
        let section = dice.one_of(&sections).clone();
        let key = format!("{}-{turn}", person.name);
        let (state, query) = *dice.one_of(&[
            ("pending_approval", "page_size=5&state=pending_approval"),
            ("pending_approval", "page_size=5&state=pending_approval"),
            ("confirmed", "page_size=5&state=confirmed"),
        ]);
        let list = look("enrollments.list", Vec::new(), &format!("{query}&section_id={section}"));
        let found = person.insist(&list).await;
        let ids = found.body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<_> = ids.iter().filter_map(|it| it["id"].as_str()).collect();
        let asked = match (state, ids.as_slice()) {
            (_, []) => {
                let guest = format!("guest{}", dice.below(3));
                enroll(&section, json!({ "user_id": guest }), &key)
            }
            ("confirmed", ids) => cancel_enrollment(ids[dice.below(ids.len())], &key),
            (_, ids) => {
                let id = ids[dice.below(ids.len())];
                let decision = *dice.one_of(&["approve", "approve", "approve", "reject"]);
                review(id, decision, &key)
            }
        };
        let heard = person.insist(&asked).await;
        ledger.note(&asked, &heard);
        person.pause(Duration::from_millis(10)).await;
    }
}

/// Somebody who changes the sections, while somebody else does too.
pub(super) async fn runs_courses(person: Person, ledger: Ledger, mut dice: Dice) {
    let sections = ledger.look(|book| book.catalog.sections());
    for _ in 0..dice.below(5) {
        let id = dice.one_of(&sections).clone();
        let telling = Telling { at_once: dice.chance(700), by_event: true };
        match dice.below(20) {
            0..14 => {
                let capacity = [Some(0), Some(1), Some(1), Some(2), Some(3), None][dice.below(6)];
                change_capacity(&person, &ledger, &id, capacity, telling).await;
            }
            14..16 => retitle(&person, &ledger, &id, telling).await,
            16 => {
                // Promised for a change that never comes, since courses died before it.
                let seen = ledger.look(|book| book.catalog.section(&id).cloned());
                let seen = seen.expect("sections stay");
                let _never = is_promised(&person, &seen, 1).await;
            }
            17 => cancel(&person, &ledger, &id).await,
            18 => publish(&person, &ledger, false).await,
            _ => publish(&person, &ledger, true).await,
        }
        person.pause(Duration::from_millis(10)).await;
    }
}

/// A request to enroll, in the one course there is.
pub(super) fn enroll(section: &str, more: Value, key: &str) -> Asked {
    let mut body = more;
    body["course_id"] = json!("c1");
    body["section_id"] = json!(section);
    let key = Some(key.to_owned());
    Asked { operation: "enrollments.enroll", path: Vec::new(), query: String::new(), body, key }
}

/// A request to leave.
pub(super) fn cancel_enrollment(id: &str, key: &str) -> Asked {
    let path = vec![("enrollment_id", id.to_owned())];
    let (query, body, key) = (String::new(), json!({}), Some(key.to_owned()));
    Asked { operation: "enrollments.cancel", path, query, body, key }
}

/// An instructor's decision.
pub(super) fn review(id: &str, decision: &str, key: &str) -> Asked {
    let path = vec![("enrollment_id", id.to_owned())];
    let (query, body, key) =
        (String::new(), json!({ "decision": decision }), Some(key.to_owned()));
    Asked { operation: "enrollments.review", path, query, body, key }
}

fn look(operation: &'static str, path: Vec<(&'static str, String)>, query: &str) -> Asked {
    Asked { operation, path, query: query.to_owned(), body: Value::Null, key: None }
}
