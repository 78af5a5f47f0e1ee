//! What the tests of this domain share: people, sections, and what was told of them.

use contracts::{
    Language, Timestamp,
    courses::{
        CourseFacts, CourseState, GetSectionFacts, MeetingFacts, SECTION_NOT_FOUND,
        SectionAndCourse, SectionCreated, SectionFacts,
    },
    enrollments::{CancelReason, Cancelled, Confirmed, EnrollmentFacts},
    identity::{Contact, GetContact, USER_NOT_FOUND},
};
use runtime::{Document, Query};
use testing::App;

use crate::{delivery::Delivery, reminder::Reminder};

/// The domain, with people whose names don't begin with `no`, and no section that it must ask for.
pub fn app() -> App {
    App::of(crate::domain)
        .answering::<GetContact>(|request| {
            let name = request.user_id.as_str();
            if name.starts_with("no") { Err(USER_NOT_FOUND) } else { Ok(contact(name)) }
        })
        .answering::<GetSectionFacts>(|_| Err(SECTION_NOT_FOUND))
}

/// The domain, which knows the section.
pub async fn app_with_section() -> App {
    let app = app();
    app.deliver(&SectionCreated { section: section() }).await;
    app
}

/// Someone has a seat.
pub fn confirmed(name: &str, revision: u64) -> Confirmed {
    let confirmed_at = time("2026-03-02T12:00:00Z");
    Confirmed { enrollment: enrollment(name, revision), promoted: false, confirmed_at }
}

/// Someone has left.
pub fn left(name: &str, revision: u64) -> Cancelled {
    Cancelled { enrollment: enrollment(name, revision), why: CancelReason::Left }
}

/// A section as courses tells of it when asked.
pub fn asked(section: SectionFacts) -> SectionAndCourse {
    let course = CourseFacts {
        course_id: section.course_id.clone(),
        title: section.course_title.clone(),
        state: CourseState::Published,
        instructors: Vec::new(),
        prerequisites: Vec::new(),
        items: Vec::new(),
        revision: 1,
    };
    SectionAndCourse { section, course }
}

/// Every message, the newest first.
pub async fn deliveries(app: &App) -> Vec<Delivery> {
    all(app, Query::descending::<Delivery>("created_at")).await
}

/// A person's reminders, the first to be due first.
pub async fn reminders(app: &App, name: &str) -> Vec<Reminder> {
    let mut reminders = all(app, Reminder::of(&format!("e-{name}").into())).await;
    reminders.sort_by_key(Reminder::order);
    reminders
}

async fn all<D: Document>(app: &App, query: Query) -> Vec<D> {
    let (found, _) = app.context().query::<D>(&query.limit(5000)).await.expect("it can be read");
    found.into_iter().map(runtime::Stored::into_inner).collect()
}

/// Moves the clock on to a time.
pub fn go_to(app: &App, at: &str) {
    app.advance_seconds(time(at).as_seconds() - app.now().as_seconds());
}

/// A point in time.
pub fn time(text: &str) -> Timestamp {
    text.parse().expect("a test's time is one")
}

/// A person who lives in Madrid and reads English.
pub fn contact(name: &str) -> Contact {
    Contact {
        user_id: name.into(),
        email: format!("{name}@mail.example"),
        name: name.to_owned(),
        locale: Language::En,
        time_zone: "Europe/Madrid".parse().expect("Madrid is in a zone"),
        revision: 1,
    }
}

/// A meeting of an hour.
pub fn meeting(id: &str, starts_at: &str) -> MeetingFacts {
    let starts_at = time(starts_at);
    MeetingFacts {
        id: id.to_owned(),
        starts_at,
        ends_at: starts_at.plus_minutes(60),
        location: None,
        url: None,
    }
}

/// A section in New York with one meeting, a week after the tests begin, at six in the evening.
pub fn section() -> SectionFacts {
    SectionFacts {
        section_id: "s1".into(),
        course_id: "c1".into(),
        course_title: "Rust".into(),
        title: "Evenings".into(),
        cancelled: false,
        capacity: None,
        waitlist_capacity: None,
        enrollment_opens_at: None,
        enrollment_closes_at: None,
        approval_required: false,
        offer_hours: None,
        enrollment_key_seal: None,
        time_zone: "America/New_York".parse().expect("New York is in a zone"),
        starts_at: None,
        ends_at: None,
        meetings: vec![meeting("m1", "2026-03-09T22:00:00Z")],
        reminder_minutes_before: vec![1440, 60],
        calendar_sequence: 0,
        revision: 1,
    }
}

/// A person's enrollment in it.
pub fn enrollment(name: &str, revision: u64) -> EnrollmentFacts {
    EnrollmentFacts {
        enrollment_id: format!("e-{name}").into(),
        user_id: name.into(),
        section_id: "s1".into(),
        course_id: "c1".into(),
        revision,
    }
}
