//! What holds between the documents of several domains: no more people have a
//! seat in a section than its course has seats for, whatever enrollments know of it.

use std::collections::BTreeMap;

use contracts::courses::SectionId;
use serde_json::Value;

use super::{Documents, all};

/// What each domain says of what belongs to several.
#[derive(Default)]
pub(super) struct Between {
    /// How many seats each section has, as courses say it.
    capacities: BTreeMap<SectionId, u64>,
    /// How many of them are taken or kept, as enrollments count them.
    held: BTreeMap<SectionId, u32>,
}

impl Between {
    /// Looks at the documents of a domain.
    pub(super) fn look_at(&mut self, domain: &str, documents: &Documents) {
        match domain {
            "courses" => {
                for record in all(documents, "sections") {
                    // One that can't be read is told where its domain is looked at.
                    let section: Value = serde_json::from_str(&record.body).unwrap_or_default();
                    let capacity = section["capacity"].as_u64();
                    self.capacities.extend(capacity.map(|it| (record.id.as_str().into(), it)));
                }
            }
            "enrollments" => {
                let records = |collection: &str| all(documents, collection);
                self.held = enrollments::audit::seats_held(&records);
            }
            _ => {}
        }
    }

    /// What is wrong between them.
    pub(super) fn violations(&self) -> Vec<String> {
        let capacities = self.capacities.iter();
        let both = capacities.filter_map(|(id, has)| Some((id, has, *self.held.get(id)?)));
        both.filter(|(_, has, held)| u64::from(*held) > **has)
            .map(|(id, has, held)| format!("section {id} has {has} seats, and {held} are given"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use runtime::{Record, Version};
    use serde_json::json;

    use super::*;

    #[test]
    fn more_seats_than_the_course_gives_are_found_wherever_they_are_counted() {
        let record = |id: &str, body: Value| Record {
            id: id.to_owned(),
            body: body.to_string(),
            version: Version("1".to_owned()),
        };
        let section = |id: &str, capacity: Option<u32>| record(id, json!({ "capacity": capacity }));
        let rules = json!({
            "capacity": 9, "waitlist_capacity": null, "approval_required": false,
            "cancelled": false, "revision": 1,
        });
        let seats = |id: &str, taken: u32, blocks: u32| {
            let seats = json!({
                "section_id": id, "course_id": "c1", "rules": rules, "taken": taken,
                "waiting": 0, "next_number": 9, "blocks": blocks, "turn": 1,
            });
            record(id, seats)
        };
        let block = |number: u32, taken: u32| {
            let block = json!({
                "section_id": "spread", "number": number, "turn": 1, "most": 5, "taken": taken,
                "next_number": 9,
            });
            record(&format!("spread-{number}"), block)
        };
        let sections = ["full", "over", "spread"].map(|id| section(id, Some(3)));
        let sections = [sections.to_vec(), vec![section("open", None)]].concat();
        let mut between = Between::default();
        between.look_at("courses", &Documents::from([("sections", sections)]));
        let counted = vec![
            seats("full", 3, 0),
            seats("over", 4, 0),
            seats("spread", 0, 2),
            seats("open", 9, 0),
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
}
