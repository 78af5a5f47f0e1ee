//! The reader: a domain that notes each event of enrollments, once. It plays the
//! part of notifications, who must not write to anybody twice.

use contracts::enrollments::{
    Cancelled, Confirmed, EnrollmentFacts, Offered, Rejected, Requested, Waitlisted,
};
use runtime::{Domain, prelude::*};

/// An event that has taken effect.
#[derive(Serialize, Deserialize)]
struct Note {
    id: String,
    state: String,
    enrollment_id: String,
    revision: u64,
}

impl Document for Note {
    const COLLECTION: &'static str = "notes";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A domain that notes each event of enrollments, once.
pub fn reader() -> Domain {
    noting(true)
}

/// A domain that notes each event of enrollments as often as it's delivered.
pub fn forgetful_reader() -> Domain {
    noting(false)
}

fn noting(once: bool) -> Domain {
    Domain::new("reader")
        .collection::<Note>()
        .subscriber(move |cx, event: Confirmed| note(cx, event.enrollment, "confirmed", once))
        .subscriber(move |cx, event: Waitlisted| note(cx, event.enrollment, "waitlisted", once))
        .subscriber(move |cx, event: Offered| note(cx, event.enrollment, "offered", once))
        .subscriber(move |cx, event: Requested| {
            note(cx, event.enrollment, "pending_approval", once)
        })
        .subscriber(move |cx, event: Rejected| note(cx, event.enrollment, "rejected", once))
        .subscriber(move |cx, event: Cancelled| note(cx, event.enrollment, "cancelled", once))
}

async fn note(
    cx: Context<System>,
    enrollment: EnrollmentFacts,
    state: &str,
    once: bool,
) -> Result<()> {
    let note = Note {
        id: cx.random().id(),
        state: state.to_owned(),
        enrollment_id: enrollment.enrollment_id.to_string(),
        revision: enrollment.revision,
    };
    let changes = Changes::new().create(&note);
    // The one marks the event as handled in the same commit; the other forgets to.
    if once { cx.commit(changes).await } else { cx.commit_part(changes).await }
}
