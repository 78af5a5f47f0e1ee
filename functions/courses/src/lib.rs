//! Courses: what is taught, and when.
//!
//! A **course** is begun as a draft by an instructor, who writes it and then
//! publishes it; only then does everyone see it. Archived, it's offered no
//! longer. A **section** is one run of a course: its dates, its seats, its rules
//! of enrolling. Who has a seat, enrollments knows; it learns of every change
//! here by an event, and by a call at once.
//!
//! Courses are filed under **categories**, which are a tree that admins make.
//! Beside each course lies its **card**: what lists show of it, and the terms
//! that it's found by.

mod access;
mod add_instructor;
mod calendar;
mod cancel_section;
mod card;
mod category;
mod change;
mod course;
mod create;
mod create_category;
mod create_section;
mod delete;
mod delete_category;
mod entry;
mod filing;
mod forms;
mod get;
mod get_personal_data;
mod get_section;
mod get_section_facts;
mod get_taxonomy;
mod ids;
mod import;
mod instructors;
mod list;
mod list_sections;
mod markdown;
mod offering;
mod on_identity_erased;
mod outline;
mod prerequisites;
mod publish;
mod refresh_cards;
mod remove_instructor;
mod seats;
mod section;
mod telling;
mod terms;
#[cfg(test)]
mod tests;
mod turn;
mod update;
mod update_category;
mod update_section;
mod words;

use contracts::{
    courses::{
        CategoryCreated, CategoryDeleted, CategoryUpdated, CourseCreated, CourseDeleted,
        CoursePublished, CourseUpdated, SectionCancelled, SectionCreated, SectionRescheduled,
        SectionUpdated,
    },
    enrollments::{GetSeats, LearnCourse, LearnSection, LimitSeats},
    identity::GetContact,
};
use runtime::Domain;

/// The domain's table of contents.
pub fn domain() -> Domain {
    Domain::new("courses")
        .collection::<course::Course>()
        .collection::<card::Card>()
        .collection::<section::Section>()
        .collection::<entry::Entry>()
        .collection::<turn::Turn>()
        .collection::<import::Imported>()
        .event::<CourseCreated>()
        .event::<CoursePublished>()
        .event::<CourseUpdated>()
        .event::<CourseDeleted>()
        .event::<CategoryCreated>()
        .event::<CategoryUpdated>()
        .event::<CategoryDeleted>()
        .event::<SectionCreated>()
        .event::<SectionUpdated>()
        .event::<SectionRescheduled>()
        .event::<SectionCancelled>()
        .calls::<GetSeats>()
        .calls::<LearnCourse>()
        .calls::<LearnSection>()
        .calls::<LimitSeats>()
        .calls::<GetContact>()
        .operation(list::run)
        .made_of::<card::Card>()
        .operation(create::run)
        .operation(get::run)
        .made_of::<course::Course>()
        .operation(update::run)
        .operation(delete::run)
        .operation(publish::run)
        .operation(add_instructor::run)
        .operation(remove_instructor::run)
        .operation(get_taxonomy::run)
        .made_of::<entry::Entry>()
        .operation(create_category::run)
        .operation(update_category::run)
        .operation(delete_category::run)
        .operation(list_sections::run)
        .operation(create_section::run)
        .operation(get_section::run)
        .operation(update_section::run)
        .operation(cancel_section::run)
        .operation(get_section_facts::run)
        .operation(import::run)
        .operation(get_personal_data::run)
        .subscriber(on_identity_erased::run)
        .job(refresh_cards::run)
}
