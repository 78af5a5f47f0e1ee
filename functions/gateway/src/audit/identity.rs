//! What must be true of accounts: each person has one address that leads to
//! them, and each session is somebody's.

use std::collections::{BTreeMap, BTreeSet};

use runtime::Record;
use serde_json::Value;

/// What is wrong with the people, their addresses and their sessions.
pub(super) fn violations(records: &dyn Fn(&str) -> Vec<Record>) -> Vec<String> {
    let mut found = Vec::new();
    let mut people = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for (id, person) in read(records, "users") {
        if person["id"] != id {
            found.push(format!("users/{id} is under a foreign key"));
        }
        let address = text(&person, "email").to_lowercase();
        if address.is_empty() || !addresses.insert(address) {
            found.push(format!("users/{id} has no address, or another person's"));
        }
        people.insert(id, 0_u32);
    }
    for (id, address) in read(records, "emails") {
        match people.get_mut(text(&address, "user_id")) {
            Some(count) => *count += 1,
            None => found.push(format!("emails/{id} leads to nobody")),
        }
    }
    for (id, count) in &people {
        if *count != 1 {
            found.push(format!("{count} addresses lead to users/{id}"));
        }
    }
    for collection in ["credentials", "sessions"] {
        for (id, document) in read(records, collection) {
            if !people.contains_key(text(&document, "user_id")) {
                found.push(format!("{collection}/{id} is nobody's"));
            }
        }
    }
    found
}

fn read(records: &dyn Fn(&str) -> Vec<Record>, collection: &str) -> Vec<(String, Value)> {
    let document = |record: &Record| serde_json::from_str(&record.body).unwrap_or_default();
    records(collection).into_iter().map(|record| (record.id.clone(), document(&record))).collect()
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use runtime::Version;
    use serde_json::json;

    use super::*;

    fn record(id: &str, body: &Value) -> Record {
        Record { id: id.to_owned(), body: body.to_string(), version: Version("1".to_owned()) }
    }

    fn audit(users: &[(&str, &str)], emails: &[(&str, &str)], session_of: &str) -> Vec<String> {
        violations(&|collection| match collection {
            "users" => users
                .iter()
                .map(|(id, email)| record(id, &json!({ "id": id, "email": email })))
                .collect(),
            "emails" => emails
                .iter()
                .map(|(id, user_id)| record(id, &json!({ "id": id, "user_id": user_id })))
                .collect(),
            "sessions" => vec![record("s1", &json!({ "user_id": session_of }))],
            _ => Vec::new(),
        })
    }

    #[test]
    fn what_is_right_passes_and_each_wrong_is_told() {
        let people = [("ada", "ada@a.org"), ("bob", "bob@a.org")];
        let right = audit(&people, &[("1", "ada"), ("2", "bob")], "ada");
        assert_eq!(right, Vec::<String>::new());
        let orphans = audit(&people, &[("1", "ada"), ("2", "eve")], "eve");
        assert_eq!(
            orphans,
            [
                "emails/2 leads to nobody",
                "0 addresses lead to users/bob",
                "sessions/s1 is nobody's"
            ]
        );
        let twins = [("ada", "ada@a.org"), ("bob", "Ada@a.org")];
        let shared = audit(&twins, &[("1", "ada"), ("2", "bob"), ("3", "bob")], "ada");
        assert_eq!(
            shared,
            ["users/bob has no address, or another person's", "2 addresses lead to users/bob",]
        );
    }
}
