//! What a section allows: the part of its facts that decides who gets a seat.

use contracts::{
    Timestamp,
    courses::{SectionFacts, SectionId},
};
use runtime::{Refusal, Secret, prelude::*, same_secret};

/// The section is over-subscribed: no seat, and no place in the queue.
pub const SECTION_FULL: Problem = Problem::conflict(
    "section-full",
    "Every seat and every place in the waitlist is taken.",
    "No quedan cupos ni lugares en la lista de espera.",
);
/// Enrolling isn't possible yet.
pub const ENROLLMENT_NOT_OPEN: Problem = Problem::conflict(
    "enrollment-not-open",
    "Enrollment has not opened yet.",
    "Las inscripciones aún no abren.",
);
/// Enrolling is no longer possible.
pub const ENROLLMENT_CLOSED: Problem = Problem::conflict(
    "enrollment-closed",
    "Enrollment is closed.",
    "Las inscripciones están cerradas.",
);
/// The enrollment key is missing or wrong.
pub const WRONG_ENROLLMENT_KEY: Problem = Problem::conflict(
    "wrong-enrollment-key",
    "This section needs its enrollment key.",
    "Esta sección requiere su clave de inscripción.",
);
/// The section was cancelled.
pub const SECTION_CANCELLED: Problem = Problem::conflict(
    "section-cancelled",
    "This section was cancelled.",
    "Esta sección fue cancelada.",
);
/// The section's course isn't offered.
pub const COURSE_NOT_PUBLISHED: Problem = Problem::conflict(
    "course-not-published",
    "This course is not published.",
    "Este curso no está publicado.",
);

/// What a section allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How many may have a seat; nothing: any number.
    pub capacity: Option<u32>,
    /// How many may wait; nothing: any number.
    pub waitlist_capacity: Option<u32>,
    /// From when on people may enroll.
    opens_at: Option<Timestamp>,
    /// Until when people may enroll.
    closes_at: Option<Timestamp>,
    /// Whether an instructor must approve.
    pub approval_required: bool,
    /// How many hours a seat that became free is kept for the one it's offered
    /// to; nothing: it's theirs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_hours: Option<u32>,
    /// When the section begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    /// The enrollment key, sealed.
    key_seal: Option<String>,
    /// Whether the section was cancelled.
    pub cancelled: bool,
    /// The revision of the section that says so.
    pub revision: u64,
}

impl From<&SectionFacts> for Rules {
    fn from(facts: &SectionFacts) -> Self {
        Self {
            capacity: facts.capacity,
            waitlist_capacity: facts.waitlist_capacity,
            opens_at: facts.enrollment_opens_at,
            // Nobody enrolls in what is over.
            closes_at: facts.enrollment_closes_at.or(facts.ends_at),
            approval_required: facts.approval_required,
            offer_hours: facts.offer_hours,
            starts_at: facts.starts_at,
            key_seal: facts.enrollment_key_seal.clone(),
            cancelled: facts.cancelled,
            revision: facts.revision,
        }
    }
}

impl Rules {
    /// Every rule of the window and the section's life that forbids enrolling now.
    pub fn forbid(&self, now: Timestamp) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.cancelled {
            refusals.push(Refusal::of(SECTION_CANCELLED));
        }
        if let Some(opens_at) = self.opens_at.filter(|opens_at| now < *opens_at) {
            let refusal = Refusal::of(ENROLLMENT_NOT_OPEN)
                .because(format!("It opens at {opens_at}."), format!("Abren el {opens_at}."))
                .with("opens_at", opens_at.to_string())
                .with("now", now.to_string());
            refusals.push(refusal);
        }
        if let Some(closes_at) = self.closes_at.filter(|closes_at| now >= *closes_at) {
            let refusal = Refusal::of(ENROLLMENT_CLOSED)
                .because(format!("It closed at {closes_at}."), format!("Cerraron el {closes_at}."))
                .with("closes_at", closes_at.to_string())
                .with("now", now.to_string());
            refusals.push(refusal);
        }
        refusals
    }

    /// Until when a seat that becomes free now is kept for the one it's offered
    /// to; nothing: it's theirs at once. It's a full minute, as people are told
    /// it, and before the section begins it's no later than that.
    pub fn offered_until(&self, now: Timestamp) -> Option<Timestamp> {
        let minutes = i64::from(self.offer_hours?) * 60;
        let until = now.plus_minutes(minutes).plus_seconds(59);
        let until = Timestamp::from_millis(until.as_millis() + 999);
        let full_minute = until.as_millis().div_euclid(60_000) * 60_000;
        let until = Timestamp::from_millis(full_minute);
        let begins = self.starts_at.filter(|starts_at| *starts_at > now);
        Some(begins.map_or(until, |begins| begins.min(until)))
    }

    /// Refuses a missing or wrong enrollment key.
    pub fn check_key(
        &self,
        section_id: &SectionId,
        key: Option<&str>,
        secret: &Secret,
    ) -> Option<Refusal> {
        let seal = self.key_seal.as_ref()?;
        let given = seal_of(section_id, key.unwrap_or_default(), secret);
        if key.is_some() && same_secret(given.as_bytes(), seal.as_bytes()) {
            return None;
        }
        let refusal = Refusal::of(WRONG_ENROLLMENT_KEY).because(
            "Send the enrollment_key that the instructor gave you.",
            "Envía la enrollment_key que te dio el instructor.",
        );
        Some(refusal)
    }
}

/// An enrollment key as courses seals it: the key itself isn't kept anywhere.
fn seal_of(section_id: &SectionId, key: &str, secret: &Secret) -> String {
    secret.seal_text("enrollment-key", &[section_id.as_str(), key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::section as facts;

    fn reasons(refusals: &[Refusal]) -> Vec<&str> {
        refusals.iter().map(|it| it.problem.reason).collect()
    }

    #[test]
    fn the_window_opens_at_its_instant_and_closes_at_its_instant() {
        let (opens_at, closes_at) = (Timestamp::from_millis(1000), Timestamp::from_millis(2000));
        let facts = SectionFacts {
            enrollment_opens_at: Some(opens_at),
            enrollment_closes_at: Some(closes_at),
            ..facts(None)
        };
        let rules = Rules::from(&facts);
        let at = |millis| reasons(&rules.forbid(Timestamp::from_millis(millis))).join(" ");
        assert_eq!(at(999), "enrollment-not-open");
        assert_eq!(at(1000), "");
        assert_eq!(at(1999), "");
        assert_eq!(at(2000), "enrollment-closed");
    }

    #[test]
    fn an_offer_ends_on_a_full_minute_and_when_the_section_begins() {
        let at = Timestamp::from_millis;
        let offering = SectionFacts { offer_hours: Some(2), ..facts(None) };
        let until = |facts: &SectionFacts, now| Rules::from(facts).offered_until(now);
        assert_eq!(until(&facts(None), at(1)), None);
        assert_eq!(until(&offering, at(0)), Some(at(7_200_000)));
        assert_eq!(until(&offering, at(1)), Some(at(7_260_000)));
        let soon = SectionFacts { starts_at: Some(at(3_600_000)), ..offering };
        assert_eq!(until(&soon, at(1)), Some(at(3_600_000)));
        assert_eq!(until(&soon, at(3_600_000)), Some(at(10_800_000)));
    }

    #[test]
    fn all_that_forbids_is_told() {
        let ended = SectionFacts {
            cancelled: true,
            ends_at: Some(Timestamp::from_millis(5)),
            ..facts(Some(1))
        };
        let refusals = Rules::from(&ended).forbid(Timestamp::from_millis(6));
        assert_eq!(reasons(&refusals), ["section-cancelled", "enrollment-closed"]);
    }

    #[test]
    fn a_key_is_checked_against_its_seal() {
        let secret = Secret::new(&[1; 32]);
        let seal = seal_of(&"s1".into(), "tulips", &secret);
        let facts = SectionFacts { enrollment_key_seal: Some(seal), ..facts(None) };
        let rules = Rules::from(&facts);
        let refused = |key| rules.check_key(&"s1".into(), key, &secret).is_some();
        assert!(!refused(Some("tulips")));
        assert!(refused(Some("roses")));
        assert!(refused(Some("")));
        assert!(refused(None));
        assert!(rules.check_key(&"s2".into(), Some("tulips"), &secret).is_some());
    }
}
