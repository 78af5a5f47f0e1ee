//! Notifications: what people hear of, and when.
//!
//! The other domains' events become [news](news). News makes, in one commit, a
//! [delivery], an [inbox item](inbox_item) in the person's list, and an event
//! that has the delivery [sent](sending) at once: handed to the mail provider
//! at most once, whatever breaks in between. A sweep looks after what couldn't
//! be sent.
//!
//! What a message says is [written](message) when it is sent, in the person's
//! language and on their clock, from what is known then of the person (a
//! [contact]) and of the [section]. Whoever has a seat in a section has a
//! [reminder] for each of its meetings and for each time before it; a sweep
//! turns those that are due into deliveries. When a section's dates change,
//! [everyone with a seat](rescheduling) is told, and their reminders move along.

mod attendance;
mod attending;
mod calendar;
mod contact;
mod dates;
mod delivery;
mod inbox_item;
mod letter;
mod line;
mod list;
mod list_deliveries;
mod message;
mod news;
mod on_courses_section_cancelled;
mod on_courses_section_created;
mod on_courses_section_updated;
mod on_courses_updated;
mod on_enrollments_cancelled;
mod on_enrollments_confirmed;
mod on_enrollments_rejected;
mod on_enrollments_requested;
mod on_enrollments_waitlisted;
mod on_identity_code_requested;
mod on_identity_contact_changed;
mod on_identity_password_changed;
mod on_identity_registration_repeated;
mod on_notifications_delivery_requested;
mod reminder;
mod rescheduling;
mod section;
mod send_due;
mod send_reminders;
mod sending;
mod telling;
#[cfg(test)]
mod tests;
mod words;

use contracts::{courses::GetSectionFacts, identity::GetContact, notifications::DeliveryRequested};
use runtime::{Domain, Need};

/// The domain's table of contents.
pub fn domain() -> Domain {
    Domain::new("notifications")
        .collection::<contact::KnownContact>()
        .collection::<section::KnownSection>()
        .collection::<attendance::Attendance>()
        .collection::<reminder::Reminder>()
        .collection::<delivery::Delivery>()
        .collection::<inbox_item::InboxItem>()
        .event::<DeliveryRequested>()
        .calls::<GetSectionFacts>()
        .calls::<GetContact>()
        .needs(Need::Mail)
        .operation(list::run)
        .operation(list_deliveries::run)
        .subscriber(on_identity_contact_changed::run)
        .subscriber(on_identity_code_requested::run)
        .subscriber(on_identity_registration_repeated::run)
        .subscriber(on_identity_password_changed::run)
        .subscriber(on_courses_section_created::run)
        .subscriber(on_courses_section_updated::run)
        .subscriber(on_courses_section_cancelled::run)
        .subscriber(on_courses_updated::run)
        .subscriber(on_enrollments_confirmed::run)
        .subscriber(on_enrollments_waitlisted::run)
        .subscriber(on_enrollments_requested::run)
        .subscriber(on_enrollments_rejected::run)
        .subscriber(on_enrollments_cancelled::run)
        .subscriber(on_notifications_delivery_requested::run)
        .job(send_due::run)
        .job(send_reminders::run)
}
