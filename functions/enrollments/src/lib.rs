//! Enrollments: who has a seat in a section, and who waits for one.
//!
//! A section's seats are counted in one document, [`seats::Seats`], or in
//! [blocks](block) while there are plenty, and a seat is given in the same commit
//! that counts it: at every instant there are at most as many confirmed
//! enrollments as seats. Who finds none free joins the
//! queue; who leaves hands their seat to its first in the commit of leaving.
//! What a section allows is its course's business: it's learned from events,
//! at once where that matters, and asked for where it isn't known yet.

mod accept_offer;
mod achievement;
pub mod audit;
mod batch;
mod block;
mod cancel;
mod cancelling;
mod certificate;
mod course;
mod dates;
mod enroll;
mod enroll_batch;
mod enrollment;
mod get;
mod get_batch;
mod get_certificate;
mod get_certificate_page;
mod get_certificate_pdf;
mod get_personal_data;
mod get_seats;
mod hall;
mod joining;
mod kept;
mod lapse_offers;
mod learn_course;
mod learn_section;
mod learning;
mod limit_seats;
mod list;
mod list_batch_rows;
mod on_courses_deleted;
mod on_courses_published;
mod on_courses_section_cancelled;
mod on_courses_section_created;
mod on_courses_section_updated;
mod on_courses_updated;
mod on_enrollments_batch_advanced;
mod on_enrollments_completed;
mod on_identity_erased;
mod paper;
mod progress;
mod promote;
mod promoting;
mod record_progress;
mod review;
mod revoke_certificate;
mod rules;
#[cfg(test)]
mod rush;
mod seats;
#[cfg(test)]
mod tests;
mod transfer;
mod work_batches;
mod working;

use contracts::{
    courses::GetSectionFacts,
    enrollments::{
        BatchAdvanced, Cancelled, CertificateIssued, CertificateRevoked, Completed, Confirmed,
        Offered, Rejected, Requested, Transferred, Waitlisted,
    },
    identity::{GetContact, SignStatement},
};
use runtime::Domain;

/// The domain's table of contents.
pub fn domain() -> Domain {
    Domain::new("enrollments")
        .collection::<enrollment::Enrollment>()
        .collection::<seats::Seats>()
        .collection::<block::SeatBlock>()
        .collection::<course::Course>()
        .collection::<progress::Progress>()
        .collection::<achievement::Achievement>()
        .collection::<certificate::Certificate>()
        .collection::<batch::Batch>()
        .collection::<batch::Part>()
        .event::<Confirmed>()
        .event::<Waitlisted>()
        .event::<Offered>()
        .event::<Requested>()
        .event::<Rejected>()
        .event::<Cancelled>()
        .event::<Transferred>()
        .event::<Completed>()
        .event::<CertificateIssued>()
        .event::<CertificateRevoked>()
        .event::<BatchAdvanced>()
        .calls::<GetSectionFacts>()
        .calls::<GetContact>()
        .calls::<SignStatement>()
        .batch(enroll::run)
        .operation(get::run)
        .operation(list::run)
        .operation(cancel::run)
        .operation(review::run)
        .operation(accept_offer::run)
        .operation(transfer::run)
        .operation(enroll_batch::run)
        .operation(get_batch::run)
        .operation(list_batch_rows::run)
        .operation(record_progress::run)
        .operation(get_certificate::run)
        .operation(get_certificate_page::run)
        .operation(get_certificate_pdf::run)
        .operation(revoke_certificate::run)
        .operation(get_seats::run)
        .operation(get_personal_data::run)
        .operation(learn_section::run)
        .operation(learn_course::run)
        .operation(limit_seats::run)
        .subscriber(on_courses_section_created::run)
        .subscriber(on_courses_section_updated::run)
        .subscriber(on_courses_section_cancelled::run)
        .subscriber(on_courses_published::run)
        .subscriber(on_courses_updated::run)
        .subscriber(on_courses_deleted::run)
        .subscriber(on_enrollments_completed::run)
        .subscriber(on_enrollments_batch_advanced::run)
        .subscriber(on_identity_erased::run)
        .job(promote::run)
        .job(lapse_offers::run)
        .job(work_batches::run)
}
