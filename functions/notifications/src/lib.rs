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
//!
//! Before it is sent, a message is held against what the person [wants](preferences):
//! it may wait for their [quiet hours](wall_clock) to end, be told in a daily
//! [digest], or not be sent at all; and nothing is sent to an address that is
//! [suppressed](suppression). Their meetings stand in a [feed] too.

mod attendance;
mod attending;
pub mod audit;
mod calendar;
mod contact;
mod count;
mod dates;
mod delete_calendar;
mod delivery;
mod digest;
mod digesting;
mod erasure;
mod feed;
mod get_calendar;
mod get_personal_data;
mod get_preferences;
mod inbox_item;
mod letter;
mod lift_suppression;
mod line;
mod list;
mod list_deliveries;
mod list_suppressions;
mod mail_event;
mod mark_read;
mod message;
mod news;
mod notify;
mod on_courses_section_cancelled;
mod on_courses_section_created;
mod on_courses_section_updated;
mod on_courses_updated;
mod on_enrollments_cancelled;
mod on_enrollments_certificate_issued;
mod on_enrollments_certificate_revoked;
mod on_enrollments_completed;
mod on_enrollments_confirmed;
mod on_enrollments_offered;
mod on_enrollments_rejected;
mod on_enrollments_requested;
mod on_enrollments_waitlisted;
mod on_identity_account_closed;
mod on_identity_code_requested;
mod on_identity_contact_changed;
mod on_identity_data_exported;
mod on_identity_device_added;
mod on_identity_email_change_requested;
mod on_identity_email_changed;
mod on_identity_erased;
mod on_identity_factor_added;
mod on_identity_factor_removed;
mod on_identity_identity_linked;
mod on_identity_passkey_suspected;
mod on_identity_password_changed;
mod on_identity_recovery_code_used;
mod on_identity_registration_repeated;
mod on_notifications_delivery_requested;
mod own;
mod preferences;
mod reminder;
mod rescheduling;
mod resend;
mod rotate_calendar;
mod section;
mod send_digests;
mod send_due;
mod send_reminders;
mod sending;
mod show_unsubscribe;
mod shown_preferences;
mod suppression;
mod telling;
#[cfg(test)]
mod tests;
mod unsubscribe;
mod unsubscribe_page;
mod unsubscribing;
mod update_preferences;
mod wall_clock;
mod words;

use contracts::{
    courses::GetSectionFacts,
    identity::GetContact,
    notifications::{DeliveryBounced, DeliveryRequested, NotificationsRead, PreferencesUpdated},
};
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
        .collection::<preferences::Preferences>()
        .collection::<digest::Digest>()
        .collection::<feed::Feed>()
        .collection::<suppression::Suppression>()
        .collection::<mail_event::TakenIn>()
        .collection::<erasure::Erasure>()
        .event::<DeliveryRequested>()
        .event::<DeliveryBounced>()
        .event::<NotificationsRead>()
        .event::<PreferencesUpdated>()
        .calls::<GetSectionFacts>()
        .calls::<GetContact>()
        .needs(Need::Mail)
        .operation(list::run)
        .operation(count::run)
        .operation(mark_read::run)
        .operation(get_preferences::run)
        .operation(update_preferences::run)
        .operation(show_unsubscribe::run)
        .operation(unsubscribe::run)
        .operation(get_calendar::run)
        .operation(rotate_calendar::run)
        .operation(delete_calendar::run)
        .operation(list_deliveries::run)
        .operation(resend::run)
        .operation(notify::run)
        .operation(list_suppressions::run)
        .operation(lift_suppression::run)
        .operation(get_personal_data::run)
        .subscriber(on_identity_contact_changed::run)
        .subscriber(on_identity_code_requested::run)
        .subscriber(on_identity_registration_repeated::run)
        .subscriber(on_identity_password_changed::run)
        .subscriber(on_identity_email_change_requested::run)
        .subscriber(on_identity_email_changed::run)
        .subscriber(on_identity_device_added::run)
        .subscriber(on_identity_factor_added::run)
        .subscriber(on_identity_factor_removed::run)
        .subscriber(on_identity_recovery_code_used::run)
        .subscriber(on_identity_passkey_suspected::run)
        .subscriber(on_identity_identity_linked::run)
        .subscriber(on_identity_data_exported::run)
        .subscriber(on_identity_account_closed::run)
        .subscriber(on_identity_erased::run)
        .subscriber(on_courses_section_created::run)
        .subscriber(on_courses_section_updated::run)
        .subscriber(on_courses_section_cancelled::run)
        .subscriber(on_courses_updated::run)
        .subscriber(on_enrollments_confirmed::run)
        .subscriber(on_enrollments_waitlisted::run)
        .subscriber(on_enrollments_offered::run)
        .subscriber(on_enrollments_requested::run)
        .subscriber(on_enrollments_rejected::run)
        .subscriber(on_enrollments_cancelled::run)
        .subscriber(on_enrollments_completed::run)
        .subscriber(on_enrollments_certificate_issued::run)
        .subscriber(on_enrollments_certificate_revoked::run)
        .subscriber(on_notifications_delivery_requested::run)
        .job(send_due::run)
        .job(send_reminders::run)
        .job(send_digests::run)
}
