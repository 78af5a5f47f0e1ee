//! An enrollment: one person in one section, from joining to leaving.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    courses::{CourseId, SectionId},
    enrollments::{CertificateId, EnrollmentFacts, EnrollmentId, EnrollmentState},
};
use runtime::{derived_id, prelude::*};

use crate::{
    certificate::Certificate,
    course::Course,
    progress::{Progress, ProgressView},
    seats::{Place, Seats},
};

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

/// What was asked for needs a seat.
pub const NOT_CONFIRMED: Problem = Problem::conflict(
    "not-confirmed",
    "This enrollment has no seat.",
    "Esta inscripción no tiene cupo.",
);
/// The course was completed in this enrollment.
pub const ALREADY_COMPLETED: Problem = Problem::conflict(
    "already-completed",
    "The course was completed in this enrollment; it stays as it is.",
    "El curso se completó en esta inscripción; queda como está.",
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
    /// From when on the offer of a seat is worth nothing; only while it's
    /// offered, so that only then the document is in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<Timestamp>,
    /// Since when they have completed the course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
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
        Index::descending("enrolled_at").equals(&["user_id", "state"]),
        Index::descending("enrolled_at").equals(&["course_id"]),
        Index::descending("enrolled_at").equals(&["course_id", "state"]),
        Index::ascending("number").equals(&["section_id"]),
        Index::ascending("number").equals(&["section_id", "state"]),
        Index::ascending("offer_expires_at"),
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
            offer_expires_at: None,
            completed_at: None,
            note: None,
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// Where it is in its life as everybody may see it: an offer that has lapsed
    /// is over, though nobody has cleared it away yet.
    pub fn state_at(&self, now: Timestamp) -> EnrollmentState {
        if self.has_lapsed(now) { EnrollmentState::Cancelled } else { self.state }
    }

    /// Whether the person was offered a seat and let the deadline pass.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.offer_expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Whether the person is in the section, or on the way into it.
    pub const fn is_active(&self) -> bool {
        matches!(
            self.state,
            EnrollmentState::Confirmed
                | EnrollmentState::Waitlisted
                | EnrollmentState::Offered
                | EnrollmentState::PendingApproval
                | EnrollmentState::Completed
        )
    }

    /// Whether the person has a seat.
    pub const fn has_seat(&self) -> bool {
        matches!(self.state, EnrollmentState::Confirmed | EnrollmentState::Completed)
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

    /// Takes a place on a seat, before one that's kept for them, or in the queue.
    pub fn take(&mut self, place: Place, now: Timestamp) {
        match place {
            Place::Seat => {
                self.confirmed_at = Some(now);
                self.become_state(EnrollmentState::Confirmed, now);
            }
            Place::Offer { until } => {
                self.become_state(EnrollmentState::Offered, now);
                self.offer_expires_at = Some(until);
            }
            Place::Queue { .. } => self.become_state(EnrollmentState::Waitlisted, now),
        }
    }

    /// Completes the course, on the seat that they have.
    pub fn complete(&mut self, now: Timestamp) {
        self.completed_at = Some(now);
        self.become_state(EnrollmentState::Completed, now);
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
            EnrollmentState::Offered => {
                seats.leave_offer(self.offer_expires_at.unwrap_or(now), now);
            }
            EnrollmentState::PendingApproval
            | EnrollmentState::Rejected
            | EnrollmentState::Cancelled => {}
        }
        self.become_state(EnrollmentState::Cancelled, now);
    }

    /// Hands the seat over to somebody else, for whom it stays taken.
    pub fn hand_over(&mut self, now: Timestamp) {
        self.become_state(EnrollmentState::Cancelled, now);
    }

    fn become_state(&mut self, state: EnrollmentState, now: Timestamp) {
        self.state = state;
        self.offer_expires_at = None;
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

    /// What its owner and the section's staff see of it now. The place in the
    /// queue isn't kept: it changes with those in front.
    pub fn view(&self, waitlist_position: Option<u32>, now: Timestamp) -> EnrollmentView {
        EnrollmentView {
            id: self.id.clone(),
            user_id: self.user_id.clone(),
            section_id: self.section_id.clone(),
            course_id: self.course_id.clone(),
            state: self.state_at(now),
            waitlist_position,
            offer_expires_at: self.offer_expires_at,
            enrolled_at: self.enrolled_at,
            confirmed_at: self.confirmed_at,
            completed_at: self.completed_at,
            certificate_id: self.completed_at.map(|_| Certificate::id_of(&self.id)),
            progress: None,
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
    /// `confirmed`: has a seat. `waitlisted`: waits for one. `offered`: may accept
    /// one until `offer_expires_at`. `pending_approval`: waits for an instructor's
    /// word. `rejected`: refused by an instructor. `cancelled`: has left, let an
    /// offer lapse, or the section was cancelled. `completed`: has a seat, and has
    /// completed the course.
    pub state: EnrollmentState,
    /// The place in the queue while waitlisted: 1 is next.
    pub waitlist_position: Option<u32>,
    /// From when on the offer of a seat is worth nothing.
    pub offer_expires_at: Option<Timestamp>,
    /// When the person joined.
    pub enrolled_at: Timestamp,
    /// Since when the person has a seat.
    pub confirmed_at: Option<Timestamp>,
    /// When the person completed the course.
    pub completed_at: Option<Timestamp>,
    /// The certificate of it, which is issued a moment after.
    pub certificate_id: Option<CertificateId>,
    /// How far the person has come in the course, while they have a seat; not in
    /// what changes a place.
    pub progress: Option<ProgressView>,
    /// What an instructor wrote when reviewing.
    pub note: Option<String>,
    /// When the enrollment was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub etag: String,
}

/// An enrollment's view, with the place in the queue and the progress as they are now.
pub async fn view<C>(cx: &Context<C>, enrollment: &Enrollment) -> Result<EnrollmentView> {
    let position = if enrollment.state == EnrollmentState::Waitlisted {
        let ahead = Enrollment::in_state(&enrollment.section_id, EnrollmentState::Waitlisted)
            .at_most(enrollment.number);
        let position = cx.count(&ahead).await?;
        Some(u32::try_from(position).unwrap_or(u32::MAX))
    } else {
        None
    };
    Ok(enrollment.view(position, cx.now))
}

/// Adds to views how far their people have come, those who have seats.
pub async fn with_progress<C>(
    cx: &Context<C>,
    mut views: Vec<EnrollmentView>,
    in_full: bool,
) -> Result<Vec<EnrollmentView>> {
    let has_seat = |view: &&mut EnrollmentView| {
        matches!(view.state, EnrollmentState::Confirmed | EnrollmentState::Completed)
    };
    let seated: Vec<_> = views.iter_mut().filter(has_seat).collect();
    let courses: BTreeSet<_> = seated.iter().map(|view| view.course_id.to_string()).collect();
    let courses: Vec<_> = courses.into_iter().collect();
    let found = cx.get_all::<Course>(&courses).await?;
    let courses: BTreeMap<_, _> = courses.iter().zip(found).collect();
    let outlined = |view: &&mut EnrollmentView| {
        let course = courses.get(&view.course_id.to_string()).and_then(Option::as_ref);
        course.is_some_and(|course| !course.items().is_empty())
    };
    let seated: Vec<_> = seated.into_iter().filter(outlined).collect();
    let ids: Vec<_> = seated.iter().map(|view| view.id.to_string()).collect();
    for (view, progress) in seated.into_iter().zip(cx.get_all::<Progress>(&ids).await?) {
        let Some(course) = courses.get(&view.course_id.to_string()).and_then(Option::as_ref) else {
            continue;
        };
        let nothing = || Progress::nothing(&view.id, &view.user_id, cx.now);
        let progress = progress.map_or_else(nothing, Stored::into_inner);
        view.progress =
            Some(if in_full { progress.view_in_full(course) } else { progress.view(course) });
    }
    Ok(views)
}
