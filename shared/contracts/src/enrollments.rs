//! What the others may know of enrollments: who has a seat, and who waits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Endpoint, Event, Problem, Route, Timestamp, UserId,
    courses::{CourseFacts, CourseId, SectionFacts, SectionId},
    id::ids,
    identity::PersonalData,
};

ids! {
    /// An enrollment's id, made of its section and its user.
    EnrollmentId,
    /// A certificate's id, made of its enrollment.
    CertificateId,
    /// The id of a batch of enrollments.
    BatchId,
}

/// Where an enrollment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnrollmentState {
    /// Has a seat.
    Confirmed,
    /// Waits for a seat.
    Waitlisted,
    /// Has been offered a seat, which is kept for them until a deadline.
    Offered,
    /// Waits for an instructor's word.
    PendingApproval,
    /// Was refused by an instructor.
    Rejected,
    /// Has left, or the section was cancelled.
    Cancelled,
    /// Has a seat, and has completed the course.
    Completed,
}

/// Why an enrollment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The person left.
    Left,
    /// Someone of the staff took them off.
    Removed,
    /// The whole section was cancelled.
    SectionCancelled,
    /// The seat that they were offered wasn't accepted in time.
    OfferLapsed,
    /// Their seat went to another section with them, or to another person: a
    /// [`Transferred`] tells of it.
    Transferred,
}

/// An enrollment, as events tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrollmentFacts {
    /// The enrollment.
    pub enrollment_id: EnrollmentId,
    /// Who.
    pub user_id: UserId,
    /// In which section.
    pub section_id: SectionId,
    /// Of which course.
    pub course_id: CourseId,
    /// Grows with each change of state, so that older facts can't overwrite newer ones.
    pub revision: u64,
}

/// Declares events that carry an enrollment's facts and some more.
macro_rules! told {
    ($($(#[$doc:meta])* $name:ident($kind:literal) { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The enrollment as it is now.
            pub enrollment: EnrollmentFacts,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Event for $name {
            const TYPE: &'static str = $kind;
            fn subject(&self) -> String {
                self.enrollment.enrollment_id.to_string()
            }
        }
    )+};
}

told! {
    /// Someone has a seat now.
    Confirmed("enrollments.confirmed.v1") {
        /// Whether they had waited for it.
        promoted: bool,
        /// Since when they have it.
        confirmed_at: Timestamp,
    }
    /// Someone waits for a seat.
    Waitlisted("enrollments.waitlisted.v1") {
        /// Their place in the queue when they joined it: 1 is next.
        position: u32,
    }
    /// Someone who waited is offered a seat, which is kept for them for a while.
    /// If they accept it, a [`Confirmed`] tells so; if they don't, a [`Cancelled`].
    Offered("enrollments.offered.v1") {
        /// From when on the offer is worth nothing.
        expires_at: Timestamp,
    }
    /// Someone asks an instructor for a seat.
    Requested("enrollments.requested.v1") {}
    /// An instructor refused a request.
    Rejected("enrollments.rejected.v1") {
        /// What the instructor wrote.
        note: Option<String>,
    }
    /// Someone has left, or lost their seat with the section.
    Cancelled("enrollments.cancelled.v1") {
        /// Why.
        why: CancelReason,
    }
    /// A seat was moved in one step: to another section of the course with its
    /// person, or to another person. A [`Cancelled`] of the old enrollment (why:
    /// `transferred`) and a [`Confirmed`] of the new one are told with it.
    Transferred("enrollments.transferred.v1") {
        /// The enrollment as it was last that the seat was taken from; the other
        /// one is who has it now.
        from: EnrollmentFacts,
    }
    /// Someone has completed the course.
    Completed("enrollments.completed.v1") {
        /// When.
        completed_at: Timestamp,
    }
    /// Someone who has completed a course has a certificate of it.
    CertificateIssued("enrollments.certificate_issued.v1") {
        /// The certificate; it's shown at `/v1/certificates/{certificate_id}`.
        certificate_id: CertificateId,
        /// When.
        issued_at: Timestamp,
    }
    /// A certificate is no longer good.
    CertificateRevoked("enrollments.certificate_revoked.v1") {
        /// The certificate.
        certificate_id: CertificateId,
        /// When.
        revoked_at: Timestamp,
        /// Why, in the words of whoever revoked it.
        reason: String,
    }
}

/// A batch of enrollments has come to a part that is to be worked on next.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchAdvanced {
    /// The batch.
    pub batch_id: BatchId,
    /// The part: 0 is the first.
    pub part: u32,
}

impl Event for BatchAdvanced {
    const TYPE: &'static str = "enrollments.batch_advanced.v1";
    fn subject(&self) -> String {
        self.batch_id.to_string()
    }
}

/// How full a section is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seats {
    /// The section.
    pub section_id: SectionId,
    /// How many seats are taken: someone has them, or they are offered to someone.
    pub seats_taken: u32,
    /// How many wait for one.
    pub waitlist_length: u32,
}

/// Get how full some sections are, between domains. A section that nobody
/// has enrolled in may be missing from the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSeats {
    /// The sections.
    pub section_ids: Vec<SectionId>,
}

/// How full some sections are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SeatsOfSections {
    /// Those that are known, in no order.
    pub sections: Vec<Seats>,
}

impl Endpoint for GetSeats {
    const OPERATION: &'static str = "enrollments.get_seats";
    const ROUTE: Route = Route::act("/internal/enrollments/get-seats");
    type Response = SeatsOfSections;
}

/// Learn at once what has changed about a section, between domains: the
/// section's event says the same a little later.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnSection {
    /// The section as it is now.
    pub section: SectionFacts,
    /// Its course as it is now.
    pub course: CourseFacts,
}

impl Endpoint for LearnSection {
    const OPERATION: &'static str = "enrollments.learn_section";
    const ROUTE: Route = Route::act("/internal/enrollments/learn-section");
    type Response = ();
}

/// Learn at once what has changed about a course, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnCourse {
    /// The course as it is now.
    pub course: CourseFacts,
}

impl Endpoint for LearnCourse {
    const OPERATION: &'static str = "enrollments.learn_course";
    const ROUTE: Route = Route::act("/internal/enrollments/learn-course");
    type Response = ();
}

/// Fewer seats were asked for than are taken.
pub const CAPACITY_BELOW_TAKEN: Problem = Problem::conflict(
    "capacity-below-taken",
    "More seats than that are taken already.",
    "Ya hay más cupos ocupados que esos.",
);

/// Promise to give out no seat beyond a lower capacity, between domains.
///
/// A section's capacity is lowered in two steps, so that it is never below the
/// seats that are taken: first this promise, which is refused if too many are
/// taken; then the section's own change, which makes it the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSeats {
    /// The section.
    pub section_id: SectionId,
    /// The most seats that may be taken.
    pub most: u32,
    /// The section's revision before the change: the promise ends with the next.
    pub revision: u64,
}

impl Endpoint for LimitSeats {
    const OPERATION: &'static str = "enrollments.limit_seats";
    const ROUTE: Route = Route::act("/internal/enrollments/sections/{section_id}/limit-seats");
    const PROBLEMS: &'static [Problem] = &[CAPACITY_BELOW_TAKEN];
    type Response = ();
}

/// Get what enrollments keep of a person, between domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPersonalData {
    /// Who.
    pub user_id: UserId,
}

impl Endpoint for GetPersonalData {
    const OPERATION: &'static str = "enrollments.get_personal_data";
    const ROUTE: Route = Route::get("/internal/enrollments/users/{user_id}/personal-data");
    type Response = PersonalData;
}
