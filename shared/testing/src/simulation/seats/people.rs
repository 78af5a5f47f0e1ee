//! What people do in a crowd, as chance has it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    Asked, Dice, Heard, Manner, Part, Person,
    book::{Book, Ledger},
    courses::{cancel, change_capacity, promise, publish, retitle},
};

/// Somebody who enrolls, looks and leaves, again and again; where seats are
/// offered, they look for an offer first.
pub(super) async fn learns(part: Part, offers: bool) {
    let Part { person, ledger, mut dice, turns } = part;
    let sections = ledger.look(|book| book.catalog.sections());
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for turn in 0..turns {
        let section = dice.one_of(&sections).clone();
        let key = format!("{}-{turn}", person.name);
        if let Some(id) = places.get(&section)
            && offers
            && let Some(asked) = answer_to_offer(&person, id, &key, &mut dice).await
        {
            let heard = person.insist(&asked).await;
            ledger.note(&asked, &heard);
            continue;
        }
        let asked = match (dice.below(20), places.get(&section)) {
            (0, _) => enroll(&section, json!({ "validate_only": true }), &key),
            (1, _) => look("enrollments.list", Vec::new(), "user_id=me"),
            (2, Some(id)) => look("enrollments.get", vec![("enrollment_id", id.clone())], ""),
            (3..16, Some(id)) => cancel_enrollment(id, &key),
            _ => enroll(&section, json!({}), &key),
        };
        let heard = if dice.chance(200) {
            let other_key = dice.chance(500);
            twice_at_once(&person, &ledger, &asked, other_key).await
        } else {
            let heard = person.insist(&asked).await;
            ledger.note(&asked, &heard);
            heard
        };
        match (asked.operation, heard.body["id"].as_str()) {
            ("enrollments.enroll", Some(id)) if heard.status == 201 => {
                places.insert(section, id.to_owned());
            }
            ("enrollments.cancel", _) => drop(places.remove(&section)),
            _ => {}
        }
        wait(&person, 1).await;
    }
}

/// What somebody does about the seat that they are offered, if they are and they do.
async fn answer_to_offer(person: &Person, id: &str, key: &str, dice: &mut Dice) -> Option<Asked> {
    let own = look("enrollments.get", vec![("enrollment_id", id.to_owned())], "");
    let is_offered = person.insist(&own).await.body["state"] == "offered";
    // Who has none may think that they have.
    if !is_offered && !dice.chance(150) {
        return None;
    }
    match dice.below(10) {
        0..4 => Some(accept_offer(id, key)),
        4..6 => {
            // Some sleep on it, until it may be too late.
            person.pause(Duration::from_mins(20 + dice.below(60) as u64)).await;
            Some(accept_offer(id, key))
        }
        6..8 if is_offered => Some(cancel_enrollment(id, key)),
        _ => None,
    }
}

/// Somebody who does nothing but let the time pass.
pub(super) async fn waits(part: Part) {
    let Part { person, mut dice, turns, .. } = part;
    for _ in 0..turns {
        wait(&person, 5 + dice.below(30)).await;
        person.pause(Duration::from_mins(20 + dice.below(60) as u64)).await;
    }
}

/// Asks the same at once from two devices, with the same key or with another;
/// gives back the better answer.
async fn twice_at_once(person: &Person, ledger: &Ledger, asked: &Asked, other_key: bool) -> Heard {
    let mut again = asked.clone();
    if other_key {
        again.key = again.key.map(|key| format!("{key}-again"));
    }
    let (one, other) = tokio::join!(person.insist(asked), person.insist(&again));
    ledger.note(asked, &one);
    ledger.note(&again, &other);
    if one.status < other.status { one } else { other }
}

/// An instructor who reviews requests, takes people off and brings others in.
pub(super) async fn teaches(part: Part) {
    let Part { person, ledger, mut dice, turns } = part;
    let person = person.teaching();
    let sections = ledger.look(|book| book.catalog.sections());
    for turn in 0..turns {
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
            ("confirmed", ids) if dice.chance(400) => {
                let id = ids[dice.below(ids.len())];
                let to = match dice.one_of(&sections) {
                    other if *other != section => json!({ "to_section_id": other }),
                    _ => json!({ "to_user_id": format!("guest{}", dice.below(3)) }),
                };
                transfer(id, to, &key)
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

/// Somebody who changes the sections, while somebody else does too; so many
/// changes in a thousand at once with a rival of theirs.
pub(super) async fn runs_courses(part: Part, rivalry: usize) {
    let Part { person, ledger, mut dice, turns } = part;
    let sections = ledger.look(|book| book.catalog.sections());
    let manner = |dice: &mut Dice| Manner {
        slowness: dice.below(12),
        told_at_once: dice.chance(700),
        event_at_once: true,
    };
    let patience = *dice.one_of(&[0, 0, 15]);
    for _ in 0..turns {
        wait(&person, patience).await;
        let id = dice.one_of(&sections).clone();
        let manner = manner(&mut dice);
        let is_rival = dice.chance(rivalry);
        match dice.below(20) {
            _ if is_rival => {
                // From two windows at once: one of the changes will lose.
                let one = another_capacity(&ledger, &id, &mut dice);
                let other = another_capacity(&ledger, &id, &mut dice);
                tokio::join!(
                    change_capacity(&person, &ledger, &id, Some(one), manner),
                    change_capacity(&person, &ledger, &id, Some(other), manner),
                );
            }
            0..14 => {
                let capacity = another_capacity(&ledger, &id, &mut dice);
                change_capacity(&person, &ledger, &id, Some(capacity), manner).await;
            }
            14..16 => retitle(&person, &ledger, &id, manner).await,
            // For a change that never comes, since courses died before it.
            16 => promise(&person, &ledger, &id).await,
            17 if dice.chance(500) => cancel(&person, &ledger, &id).await,
            _ => {
                publish(&person, &ledger, false).await;
                publish(&person, &ledger, true).await;
            }
        }
        wait(&person, 1).await;
    }
    if dice.chance(400) {
        // Late, when the others have done what they wanted: one more seat.
        wait(&person, 40).await;
        let id = dice.one_of(&sections).clone();
        if let Some(now) = ledger.look(|book| book.catalog.section(&id)?.capacity) {
            let manner = manner(&mut dice);
            change_capacity(&person, &ledger, &id, Some(now + 1), manner).await;
        }
    }
}

/// Lets the others go on for a while.
async fn wait(person: &Person, turns: usize) {
    for _ in 0..turns {
        person.pause(Duration::from_millis(10)).await;
    }
}

/// Fewer seats than there are now, if some are free; or more.
fn another_capacity(ledger: &Ledger, id: &str, dice: &mut Dice) -> u32 {
    let facts = |book: &Book| book.catalog.section(id).and_then(|facts| facts.capacity);
    let (now, taken) = ledger.look(|book| (facts(book), book.taken(id)));
    match now {
        Some(now) if taken < now && dice.chance(700) => {
            let fewer: Vec<_> = (taken..now).collect();
            *dice.one_of(&fewer)
        }
        Some(now) => now + 1,
        None => taken + 1,
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

/// A yes to the seat that is offered.
pub(super) fn accept_offer(id: &str, key: &str) -> Asked {
    let path = vec![("enrollment_id", id.to_owned())];
    let (query, body, key) = (String::new(), json!({}), Some(key.to_owned()));
    Asked { operation: "enrollments.accept_offer", path, query, body, key }
}

/// A request to move a seat.
pub(super) fn transfer(id: &str, to: Value, key: &str) -> Asked {
    let path = vec![("enrollment_id", id.to_owned())];
    let (query, body, key) = (String::new(), to, Some(key.to_owned()));
    Asked { operation: "enrollments.transfer", path, query, body, key }
}

/// An instructor's decision.
pub(super) fn review(id: &str, decision: &str, key: &str) -> Asked {
    let path = vec![("enrollment_id", id.to_owned())];
    let (query, body, key) = (String::new(), json!({ "decision": decision }), Some(key.to_owned()));
    Asked { operation: "enrollments.review", path, query, body, key }
}

fn look(operation: &'static str, path: Vec<(&'static str, String)>, query: &str) -> Asked {
    Asked { operation, path, query: query.to_owned(), body: Value::Null, key: None }
}
