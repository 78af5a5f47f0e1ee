//! Enrollments once more, small and plain, on the same documents: what the wrong
//! functions are made from.

use std::collections::BTreeMap;

use contracts::{courses::SectionFacts, enrollments::EnrollmentFacts};
use runtime::{derived_id, prelude::*};
use serde_json::{Value, json};

/// A section's seats, as the real ones are stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seats(pub Value);

/// An enrollment, as the real ones are stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Enrollment(pub Value);

impl Document for Seats {
    const COLLECTION: &'static str = "seats";
    fn key(&self) -> String {
        text(&self.0, "section_id")
    }
}

impl Document for Enrollment {
    const COLLECTION: &'static str = "enrollments";
    fn key(&self) -> String {
        text(&self.0, "id")
    }
}

pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

impl Seats {
    pub fn of(facts: &SectionFacts) -> Self {
        let mut seats = Self(json!({
            "section_id": facts.section_id, "course_id": facts.course_id,
            "taken": 0, "waiting": 0, "next_number": 1,
        }));
        seats.learn(facts);
        seats
    }

    /// Takes on what a section allows, whatever was known before.
    pub fn learn(&mut self, facts: &SectionFacts) {
        self.0["rules"] = json!({
            "capacity": facts.capacity, "waitlist_capacity": facts.waitlist_capacity,
            "opens_at": null, "closes_at": null, "approval_required": facts.approval_required,
            "key_seal": null, "cancelled": facts.cancelled, "revision": facts.revision,
        });
        if let Some(hours) = facts.offer_hours {
            self.0["rules"]["offer_hours"] = json!(hours);
        }
        if self.0["promise"]["revision"].as_u64().is_some_and(|it| it < facts.revision) {
            self.promise(None);
        }
    }

    pub fn promise(&mut self, promise: Option<(u32, u64)>) {
        let document = self.0.as_object_mut().expect("documents are objects");
        document.remove("promise");
        if let Some((most, revision)) = promise {
            document.insert("promise".to_owned(), json!({ "most": most, "revision": revision }));
        }
    }

    /// How many seats there are; nothing: any number.
    pub fn most(&self) -> Option<u64> {
        let own = self.0["rules"]["capacity"].as_u64();
        [own, self.0["promise"]["most"].as_u64()].into_iter().flatten().min()
    }

    pub fn has_free_seat(&self) -> bool {
        let held = number(&self.0, "taken") + self.reserved();
        self.most().is_none_or(|most| held < most)
    }

    /// How many seats are kept for those they were offered to.
    pub fn reserved(&self) -> u64 {
        self.kept().values().sum()
    }

    /// Until when seats are kept, and how many.
    fn kept(&self) -> BTreeMap<String, u64> {
        let offers = self.0["offers"].as_array().cloned().unwrap_or_default();
        offers.iter().map(|it| (text(it, "until"), number(it, "seats"))).collect()
    }

    fn keep(&mut self, mut kept: BTreeMap<String, u64>) {
        kept.retain(|_, seats| *seats > 0);
        let document = self.0.as_object_mut().expect("documents are objects");
        document.remove("offers");
        if !kept.is_empty() {
            let offer = |(until, seats)| json!({ "until": until, "seats": seats });
            let offers: Vec<Value> = kept.into_iter().map(offer).collect();
            document.insert("offers".to_owned(), json!(offers));
        }
    }

    /// Keeps no seat whose deadline has passed.
    pub fn lapse(&mut self, now: Timestamp) {
        let mut lapsed = self.kept();
        let kept = lapsed.split_off(&Timestamp::from_millis(now.as_millis() + 1).to_string());
        if let Some((latest, _)) = lapsed.last_key_value() {
            self.0["lapsed_until"] = json!(text(&self.0, "lapsed_until").max(latest.clone()));
        }
        self.keep(kept);
    }

    /// Keeps a seat more or fewer until a deadline; whether one was kept before.
    pub fn count_offer(&mut self, until: &str, by: i64) -> bool {
        let mut kept = self.kept();
        let had = kept.contains_key(until);
        if by > 0 || had {
            let seats = kept.entry(until.to_owned()).or_default();
            *seats = seats.saturating_add_signed(by);
        }
        self.keep(kept);
        had
    }

    /// Until when a seat that becomes free now is kept, where it's offered.
    pub fn offered_until(&self, now: Timestamp) -> Option<String> {
        let hours = self.0["rules"]["offer_hours"].as_i64()?;
        let passed = text(&self.0, "lapsed_until").parse().map_or(now, |it: Timestamp| it.max(now));
        let until = passed.plus_minutes(hours * 60).as_millis();
        let full_minute = (until + 59_999).div_euclid(60_000) * 60_000;
        Some(Timestamp::from_millis(full_minute).to_string())
    }

    pub fn has_place_in_queue(&self) -> bool {
        let most = self.0["rules"]["waitlist_capacity"].as_u64();
        most.is_none_or(|most| number(&self.0, "waiting") < most)
    }

    pub fn is_cancelled(&self) -> bool {
        self.0["rules"]["cancelled"] == true
    }

    /// Counts somebody in or out of a state.
    pub fn count(&mut self, state: &str, by: i64) {
        let field = match state {
            "confirmed" => "taken",
            "waitlisted" => "waiting",
            _ => return,
        };
        self.0[field] = json!(number(&self.0, field).saturating_add_signed(by));
    }

    pub fn take_number(&mut self) -> u64 {
        let next = number(&self.0, "next_number");
        self.0["next_number"] = json!(next + 1);
        next
    }
}

impl Enrollment {
    pub fn id_of(section_id: &str, user_id: &str) -> String {
        derived_id(&[section_id, user_id])
    }

    pub fn new(id: &str, seats: &Seats, user_id: &str, now: Timestamp) -> Self {
        Self(json!({
            "id": id, "section_id": seats.0["section_id"], "course_id": seats.0["course_id"],
            "user_id": user_id, "state": "cancelled", "number": 0, "enrolled_at": now,
            "created_at": now, "updated_at": now, "revision": 0,
        }))
    }

    pub fn state(&self) -> String {
        text(&self.0, "state")
    }

    pub fn is_active(&self) -> bool {
        let those = ["confirmed", "waitlisted", "pending_approval", "offered"];
        those.contains(&self.state().as_str())
    }

    /// Until when they are offered a seat.
    pub fn offer(&self) -> Option<String> {
        self.0["offer_expires_at"].as_str().map(str::to_owned)
    }

    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.offer().is_some_and(|until| until <= now.to_string())
    }

    pub fn become_state(&mut self, state: &str, now: Timestamp) {
        self.0["state"] = json!(state);
        self.0["updated_at"] = json!(now);
        self.0.as_object_mut().expect("documents are objects").remove("offer_expires_at");
        self.0["revision"] = json!(number(&self.0, "revision") + 1);
    }

    pub fn facts(&self) -> EnrollmentFacts {
        EnrollmentFacts {
            enrollment_id: text(&self.0, "id").into(),
            user_id: text(&self.0, "user_id").into(),
            section_id: text(&self.0, "section_id").into(),
            course_id: text(&self.0, "course_id").into(),
            revision: number(&self.0, "revision"),
        }
    }

    pub fn view(&self, position: Option<u64>) -> Value {
        json!({
            "id": self.0["id"], "state": self.0["state"], "waitlist_position": position,
            "etag": number(&self.0, "revision").to_string(),
        })
    }

    /// The query for a section's queue, in the order of joining.
    pub fn queue(section_id: &str) -> Query {
        let all = Query::ascending::<Self>("number").equals("section_id", section_id);
        all.equals("state", "waitlisted")
    }
}
