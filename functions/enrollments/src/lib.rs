//! Enrollments: who has a seat in a section, and who waits for one.
//!
//! A section's seats are counted in one document, [`seats::Seats`], and a seat
//! is given in the same commit that counts it: at every instant there are at
//! most as many confirmed enrollments as seats. Who finds none free joins the
//! queue; who leaves hands their seat to its first in the commit of leaving.
//! What a section allows is its course's business: it's learned from events,
//! at once where that matters, and asked for where it isn't known yet.

pub mod audit;
mod cancel;
mod cancelling;
mod course;
mod enroll;
mod enrollment;
mod get;
mod get_seats;
mod learn_course;
mod learn_section;
mod learning;
mod limit_seats;
mod list;
mod on_courses_deleted;
mod on_courses_published;
mod on_courses_section_cancelled;
mod on_courses_section_created;
mod on_courses_section_updated;
mod on_courses_updated;
mod promote;
mod promoting;
mod review;
mod rules;
mod seats;
#[cfg(test)]
mod tests;

use contracts::{
    courses::GetSectionFacts,
    enrollments::{Cancelled, Confirmed, Rejected, Requested, Waitlisted},
    identity::GetContact,
};
use runtime::Domain;

/// The domain's table of contents.
pub fn domain() -> Domain {
    Domain::new("enrollments")
        .collection::<enrollment::Enrollment>()
        .collection::<seats::Seats>()
        .collection::<course::Course>()
        .event::<Confirmed>()
        .event::<Waitlisted>()
        .event::<Requested>()
        .event::<Rejected>()
        .event::<Cancelled>()
        .calls::<GetSectionFacts>()
        .calls::<GetContact>()
        .batch(enroll::run)
        .operation(get::run)
        .operation(list::run)
        .operation(cancel::run)
        .operation(review::run)
        .operation(get_seats::run)
        .operation(learn_section::run)
        .operation(learn_course::run)
        .operation(limit_seats::run)
        .subscriber(on_courses_section_created::run)
        .subscriber(on_courses_section_updated::run)
        .subscriber(on_courses_section_cancelled::run)
        .subscriber(on_courses_published::run)
        .subscriber(on_courses_updated::run)
        .subscriber(on_courses_deleted::run)
        .job(promote::run)
}
