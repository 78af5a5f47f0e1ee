//! An enrollment: one person in one section, from joining to leaving.

use contracts::{
    courses::{CourseId, SectionId},
    enrollments::{EnrollmentFacts, EnrollmentId, EnrollmentState},
};
use runtime::{derived_id, prelude::*};

use crate::seats::{Place, Seats};

/// There's no such enrollment, or none that the caller may see.
pub const ENROLLMENT_NOT_FOUND: Problem = Problem::not_found(
    "enrollment-not-found",
    "There is no such enrollment.",
    "No existe esa inscripción.",
);
/// The person is in the section already.
pub const ALREADY_ENROLLED: Problem = Problem::conflict(
    "already-enrolled",
    "This person is enrolled in this section already.",
    "Esta persona ya está inscrita en esta sección.",
);

/// An enrollment as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Its id, made of its section and its user: nobody is in a section twice.
    pub id: EnrollmentId,
    /// In which section.
    pub section_id: SectionId,
    /// Of which course.
    pub course_id: CourseId,
    /// Who.
    pub user_id: UserId,
    /// Where it is in its life.
    pub state: EnrollmentState,
    /// The order of joining, in the section; who needs an instructor's approval
    /// joins the queue when they get it.
    pub number: u64,
    /// When they joined, the last time if they had left.
    pub enrolled_at: Timestamp,
    /// Since when they have their seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// What an instructor wrote when reviewing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

impl Document for Enrollment {
    const COLLECTION: &'static str = "enrollments";
    const INDEXES: &'static [Index] = &[
        Index::descending("enrolled_at").equals(&["user_id"]),
        Index::descending("enrolled_at").equals(&["course_id"]),
        Index::ascending("number").equals(&["section_id"]),
        Index::ascending("number").equals(&["section_id", "state"]),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Enrollment {
    /// The id of a person's enrollment in a section.
    pub fn id_of(section_id: &SectionId, user_id: &UserId) -> EnrollmentId {
        derived_id(&[section_id.as_str(), user_id.as_str()]).into()
    }

    /// Somebody's enrollment in a section, as if they had just left: joining is next.
    pub fn blank(seats: &Seats, user_id: &UserId, now: Timestamp) -> Self {
        Self {
            id: Self::id_of(&seats.section_id, user_id),
            section_id: seats.section_id.clone(),
            course_id: seats.course_id.clone(),
            user_id: user_id.clone(),
            state: EnrollmentState::Cancelled,
            number: 0,
            enrolled_at: now,
            confirmed_at: None,
            note: None,
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// Whether the person is in the section, or on the way into it.
    pub const fn is_active(&self) -> bool {
        matches!(
            self.state,
            EnrollmentState::Confirmed
                | EnrollmentState::Waitlisted
                | EnrollmentState::PendingApproval
        )
    }

    /// Joins the section: asks for approval, or takes the place that was given.
    pub fn join(&mut self, place: Option<Place>, number: u64, now: Timestamp) {
        self.number = number;
        self.enrolled_at = now;
        self.confirmed_at = None;
        self.note = None;
        match place {
            Some(place) => self.take(place, now),
            None => self.become_state(EnrollmentState::PendingApproval, now),
        }
    }

    /// Takes a place on a seat or in the queue.
    pub fn take(&mut self, place: Place, now: Timestamp) {
        match place {
            Place::Seat => {
                self.confirmed_at = Some(now);
                self.become_state(EnrollmentState::Confirmed, now);
            }
            Place::Queue { .. } => self.become_state(EnrollmentState::Waitlisted, now),
        }
    }

    /// Is refused by an instructor.
    pub fn reject(&mut self, note: Option<String>, now: Timestamp) {
        self.note = note;
        self.become_state(EnrollmentState::Rejected, now);
    }

    /// Leaves the section and gives back what it held there.
    pub fn leave(&mut self, seats: &mut Seats, now: Timestamp) {
        match self.state {
            EnrollmentState::Confirmed | EnrollmentState::Completed => seats.leave_seat(now),
            EnrollmentState::Waitlisted => seats.leave_queue(now),
            EnrollmentState::Offered
            | EnrollmentState::PendingApproval
            | EnrollmentState::Rejected
            | EnrollmentState::Cancelled => {}
        }
        self.become_state(EnrollmentState::Cancelled, now);
    }

    fn become_state(&mut self, state: EnrollmentState, now: Timestamp) {
        self.state = state;
        self.updated_at = now;
        self.revision += 1;
    }

    /// What events tell of it.
    pub fn facts(&self) -> EnrollmentFacts {
        EnrollmentFacts {
            enrollment_id: self.id.clone(),
            user_id: self.user_id.clone(),
            section_id: self.section_id.clone(),
            course_id: self.course_id.clone(),
            revision: self.revision,
        }
    }

    /// What its owner and the section's staff see of it. The place in the
    /// queue isn't kept: it changes with those in front.
    pub fn view(&self, waitlist_position: Option<u32>) -> EnrollmentView {
        EnrollmentView {
            id: self.id.clone(),
            user_id: self.user_id.clone(),
            section_id: self.section_id.clone(),
            course_id: self.course_id.clone(),
            state: self.state,
            waitlist_position,
            enrolled_at: self.enrolled_at,
            confirmed_at: self.confirmed_at,
            note: self.note.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.revision.to_string(),
        }
    }

    /// The query for a section's enrollments in a state, in the order of joining.
    pub fn in_state(section_id: &SectionId, state: EnrollmentState) -> Query {
        Query::ascending::<Self>("number").equals("section_id", section_id).equals("state", state)
    }
}

/// Somebody's place in a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Enrollment")]
pub struct EnrollmentView {
    /// The enrollment's id.
    pub id: EnrollmentId,
    /// Who is enrolled.
    pub user_id: UserId,
    /// In which section.
    pub section_id: SectionId,
    /// Of which course.
    pub course_id: CourseId,
    /// `confirmed`: has a seat. `waitlisted`: waits for one. `pending_approval`:
    /// waits for an instructor's word. `rejected`: refused by an instructor.
    /// `cancelled`: has left, or the section was cancelled.
    pub state: EnrollmentState,
    /// The place in the queue while waitlisted: 1 is next.
    pub waitlist_position: Option<u32>,
    /// When the person joined.
    pub enrolled_at: Timestamp,
    /// Since when the person has a seat.
    pub confirmed_at: Option<Timestamp>,
    /// What an instructor wrote when reviewing.
    pub note: Option<String>,
    /// When the enrollment was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub etag: String,
}

/// An enrollment's view, with the place in the queue as it is now.
pub async fn view<C>(cx: &Context<C>, enrollment: &Enrollment) -> Result<EnrollmentView> {
    let position = if enrollment.state == EnrollmentState::Waitlisted {
        let ahead = Enrollment::in_state(&enrollment.section_id, EnrollmentState::Waitlisted)
            .at_most(enrollment.number);
        let position = cx.count(&ahead).await?;
        Some(u32::try_from(position).unwrap_or(u32::MAX))
    } else {
        None
    };
    Ok(enrollment.view(position))
}
