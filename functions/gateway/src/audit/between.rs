//! What holds between the documents of several domains: no more people have a
//! seat in a section than its course has seats for, whatever enrollments know of
//! it; and what they know is what courses say, unless that is still on its way.

use std::collections::{BTreeMap, BTreeSet};

use contracts::courses::SectionId;
use enrollments::audit::Known;
use serde_json::Value;

use super::{Documents, all};

/// What each domain says of what belongs to several.
#[derive(Default)]
pub(super) struct Between {
    /// What courses say of each section.
    sections: BTreeMap<SectionId, Section>,
    /// What enrollments know of it.
    known: BTreeMap<SectionId, Known>,
    /// The sections of which an event is on its way.
    told_soon: BTreeSet<SectionId>,
}

/// A section, as courses say it.
struct Section {
    /// How many seats it has; nothing: any number.
    capacity: Option<u64>,
    /// It grows with each change.
    revision: u64,
}

impl Between {
    /// Looks at the documents of a domain, or of the bus.
    pub(super) fn look_at(&mut self, domain: &str, documents: &Documents) {
        // One that can't be read is told where its domain is looked at.
        let read = |collection| {
            let records = all(documents, collection).into_iter();
            records.map(|it| (it.id, serde_json::from_str(&it.body).unwrap_or(Value::Null)))
        };
        match domain {
            "courses" => {
                for (id, section) in read("sections") {
                    let revision = section["revision"].as_u64().unwrap_or_default();
                    let capacity = section["capacity"].as_u64();
                    self.sections.insert(id.as_str().into(), Section { capacity, revision });
                }
                self.told_soon.extend(read("outbox").filter_map(|(_, event)| told_of(&event)));
            }
            "enrollments" => {
                self.known = enrollments::audit::known(&|collection| all(documents, collection));
            }
            "bus" => {
                let waiting = read("deliveries").map(|(_, delivery)| delivery);
                self.told_soon.extend(waiting.filter_map(|it| told_of(&it["event"])));
            }
            _ => {}
        }
    }

    /// What is wrong between them.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, Section { capacity, revision }) in &self.sections {
            let Some(Known { held, revision: known }) = self.known.get(id) else { continue };
            if let Some(has) = capacity.filter(|has| u64::from(*held) > *has) {
                found.push(format!("section {id} has {has} seats, and {held} are given"));
            }
            if known > revision || (known < revision && !self.told_soon.contains(id)) {
                found.push(format!("section {id} is at revision {revision}, known is {known}"));
            }
        }
        found
    }
}

/// The section that an event tells of.
fn told_of(event: &Value) -> Option<SectionId> {
    event["data"]["section"]["section_id"].as_str().map(Into::into)
}

#[cfg(test)]
mod tests {
    use runtime::{Record, Version};
    use serde_json::json;

    use super::*;

    fn record(id: &str, body: &Value) -> Record {
        Record { id: id.to_owned(), body: body.to_string(), version: Version("1".to_owned()) }
    }

    fn section(id: &str, capacity: Option<u32>, revision: u64) -> Record {
        record(id, &json!({ "capacity": capacity, "revision": revision }))
    }

    fn seats(id: &str, taken: u32, blocks: u32, revision: u64) -> Record {
        let rules = json!({
            "capacity": 9, "waitlist_capacity": null, "approval_required": false,
            "cancelled": false, "revision": revision,
        });
        let seats = json!({
            "section_id": id, "course_id": "c1", "rules": rules, "taken": taken,
            "waiting": 0, "next_number": 9, "blocks": blocks, "turn": 1,
        });
        record(id, &seats)
    }

    #[test]
    fn more_seats_than_the_course_gives_are_found_wherever_they_are_counted() {
        let block = |number: u32, taken: u32| {
            let block = json!({
                "section_id": "spread", "number": number, "turn": 1, "most": 5, "taken": taken,
                "next_number": 9,
            });
            record(&format!("spread-{number}"), &block)
        };
        let sections = ["full", "over", "spread"].map(|id| section(id, Some(3), 1));
        let sections = [sections.to_vec(), vec![section("open", None, 1)]].concat();
        let mut between = Between::default();
        between.look_at("courses", &Documents::from([("sections", sections)]));
        let counted = vec![
            seats("full", 3, 0, 1),
            seats("over", 4, 0, 1),
            seats("spread", 0, 2, 1),
            seats("open", 9, 0, 1),
        ];
        let blocks = vec![block(0, 2), block(1, 3)];
        let documents = Documents::from([("seats", counted), ("seat_blocks", blocks)]);
        between.look_at("enrollments", &documents);
        let expected = [
            "section over has 3 seats, and 4 are given",
            "section spread has 3 seats, and 5 are given",
        ];
        assert_eq!(between.violations(), expected);
    }

    #[test]
    fn what_was_never_told_is_found_and_what_is_on_its_way_is_not() {
        let event = |id: &str| json!({ "data": { "section": { "section_id": id } } });
        let ids = ["known", "outbox", "bus", "lost", "made_up", "unasked"];
        let sections = ids.map(|id| section(id, None, 4)).to_vec();
        let outbox = vec![record("e1", &event("outbox"))];
        let deliveries = vec![record("d1", &json!({ "event": event("bus") }))];
        let known = [("known", 4), ("outbox", 3), ("bus", 2), ("lost", 3), ("made_up", 5)];
        let counted = known.map(|(id, revision)| seats(id, 0, 0, revision)).to_vec();
        let mut between = Between::default();
        let of_courses = Documents::from([("sections", sections), ("outbox", outbox)]);
        between.look_at("courses", &of_courses);
        between.look_at("enrollments", &Documents::from([("seats", counted)]));
        between.look_at("bus", &Documents::from([("deliveries", deliveries)]));
        let expected = [
            "section lost is at revision 4, known is 3",
            "section made_up is at revision 4, known is 5",
        ];
        assert_eq!(between.violations(), expected);
    }
}
