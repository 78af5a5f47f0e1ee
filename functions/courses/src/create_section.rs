//! `POST /v1/courses/{course_id}/sections`

use contracts::{
    TimeZone,
    courses::{COURSE_NOT_FOUND, CourseId, SectionCreated},
};
use runtime::prelude::*;

use crate::{
    access,
    calendar::{CalendarChanges, NewMeeting},
    card,
    section::{Section, SectionChanges, ShownSection},
    telling,
};

/// Create a section: one run of a course.
///
/// People can enroll as soon as its course is published and its window is open.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSection {
    /// The course that it runs.
    course_id: CourseId,
    /// What it's called: 1 to 200 characters on one line.
    title: Line<1, 200>,
    /// How many may attend: 1 to 1,000,000; any number unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    capacity: Option<u32>,
    /// How many may wait for a seat: 0 to 1,000,000; any number unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    waitlist_capacity: Option<u32>,
    /// The zone of the IANA database that its times are told in: UTC unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<TimeZone>,
    /// When it begins: with its first meeting unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<Timestamp>,
    /// When it ends, which is later: with its last meeting unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
    /// From when on people may enroll: at once unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrollment_opens_at: Option<Timestamp>,
    /// Until when people may enroll, which is later: until the section ends
    /// unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrollment_closes_at: Option<Timestamp>,
    /// Its gatherings, within its dates: at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    meetings: Option<Vec<NewMeeting>>,
    /// Whether an instructor must approve each enrollment: not unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval_required: Option<bool>,
    /// How many hours somebody who waits has to accept a seat that became free:
    /// 1 to 720. Whoever doesn't leaves it to the next. It's theirs at once
    /// unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 720))]
    offer_hours: Option<u32>,
    /// What people must know to enroll: nothing unless said. It's never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrollment_key: Option<Line<1, 100>>,
    /// How long before each meeting people are reminded, in minutes: at most 5
    /// times, up to 30 days before; a day and an hour before unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5), inner(range(min = 1, max = 43_200)))]
    reminder_minutes_before: Option<Vec<u32>>,
}

impl Endpoint for CreateSection {
    const OPERATION: &'static str = "courses.create_section";
    const ROUTE: Route = Route::create("/v1/courses/{course_id}/sections");
    const PROBLEMS: &'static [Problem] = &[COURSE_NOT_FOUND];
    type Response = ShownSection;
}

impl CreateSection {
    /// What is to be changed about a blank section.
    fn into_changes(self) -> SectionChanges {
        let revised = |meetings: Vec<NewMeeting>| meetings.into_iter().map(Into::into).collect();
        SectionChanges {
            title: Some(self.title).into(),
            capacity: self.capacity.map(Some).into(),
            waitlist_capacity: self.waitlist_capacity.map(Some).into(),
            calendar: CalendarChanges {
                time_zone: self.time_zone.into(),
                starts_at: self.starts_at.map(Some).into(),
                ends_at: self.ends_at.map(Some).into(),
                meetings: self.meetings.map(revised).into(),
            },
            enrollment_opens_at: self.enrollment_opens_at.map(Some).into(),
            enrollment_closes_at: self.enrollment_closes_at.map(Some).into(),
            approval_required: self.approval_required.into(),
            offer_hours: self.offer_hours.map(Some).into(),
            enrollment_key: self.enrollment_key.map(Some).into(),
            reminder_minutes_before: self.reminder_minutes_before.into(),
        }
    }
}

pub async fn run(cx: Context<Instructor>, request: CreateSection) -> Result<ShownSection> {
    let course = access::to_change(&cx, &request.course_id).await?;

    let blank = Section::blank(cx.random().id().into(), course.id.clone(), cx.now);
    let section = blank.with(request.into_changes(), cx.secret(), || cx.random().id())?;

    let created = SectionCreated { section: section.facts(&course) };
    let card = card::of_changed_sections(&cx, &course, &[&section]).await?;
    // The course is written as it was read: if it's being deleted, one of the two loses.
    let changes = Changes::new().create(&section).save(&course).save(&card).emit(&created);
    let shown =
        cx.answer(changes, section.clone().show(Some(&section.last_count), cx.now, true)).await?;
    telling::of_section(&cx, &section, &course).await;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use contracts::courses::{COURSE_NOT_FOUND, SectionCreated};
    use runtime::Changes;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};
    use testing::json;

    use crate::course::Course;
    use crate::tests::{app, draft, learned_sections, published, text, three_days_on};

    #[tokio::test]
    async fn a_section_needs_only_a_title() {
        let app = app().await;
        let course = draft(&app).await;
        let sections = format!("{course}/sections");
        let answer = app.instructor("ines").post(&sections, json!({ "title": "Open" })).await;
        let section = answer.ok();
        assert_eq!(answer.status, 201);
        assert_eq!(
            section,
            json!({
                "id": section["id"], "course_id": course.trim_start_matches("/v1/courses/"),
                "title": "Open", "state": "enrollment_open", "capacity": null, "seats_taken": 0,
                "seats_free": null, "waitlist_capacity": null, "waitlist_length": 0,
                "seats_counted_at": null, "time_zone": "UTC", "starts_at": null, "ends_at": null,
                "enrollment_opens_at": null, "enrollment_closes_at": null, "meetings": [],
                "calendar_sequence": 0, "approval_required": false, "offer_hours": null,
                "enrollment_key_required": false, "reminder_minutes_before": [1440, 60],
                "created_at": app.now(), "updated_at": app.now(), "cancelled_at": null, "etag": "1",
            })
        );
    }

    #[tokio::test]
    async fn all_of_it_is_kept_but_the_key() {
        let app = app().await;
        let sections = format!("{}/sections", published(&app).await);
        let start = app.now().plus_minutes(1440);
        let sent = json!({
            "title": "Marzo", "capacity": 3, "waitlist_capacity": 0,
            "time_zone": "America/Bogota",
            "enrollment_opens_at": app.now().plus_minutes(5),
            "enrollment_closes_at": start,
            "meetings": [
                { "starts_at": start.plus_minutes(60), "ends_at": start.plus_minutes(90), "location": "Aula 2" },
                { "starts_at": start, "ends_at": start.plus_minutes(30), "url": "https://meet.example.org/a" },
            ],
            "approval_required": true, "offer_hours": 48, "enrollment_key": "sésamo",
            "reminder_minutes_before": [30, 5, 30],
        });
        let learned = learned_sections(&app);
        let answer = app.instructor("ines").post(&sections, sent).await;
        let section = answer.ok();
        assert_eq!(
            (&section["starts_at"], &section["ends_at"]),
            (&json!(start), &json!(start.plus_minutes(90)))
        );
        assert_eq!((&section["state"], &section["seats_free"]), (&json!("scheduled"), &json!(3)));
        assert_eq!(section["reminder_minutes_before"], json!([30, 5]));
        assert_eq!(section["meetings"][0]["url"], "https://meet.example.org/a");
        assert_eq!(section["meetings"][1]["location"], "Aula 2");
        assert_eq!(section["enrollment_key_required"], true);
        assert!(!section.to_string().contains("sésamo"));

        let created = app.emitted::<SectionCreated>().await;
        let facts = &created[0].section;
        let id = text(&section["id"]);
        let seal = app.ports().secret.seal_text("enrollment-key", &[id, "sésamo"]);
        assert_eq!(facts.enrollment_key_seal, Some(seal));
        assert_eq!((facts.course_title.as_str(), facts.revision), ("Programación en Rust", 1));
        assert_eq!((&section["offer_hours"], facts.offer_hours), (&json!(48), Some(48)));
        assert_eq!(facts.meetings[0].url.as_deref(), Some("https://meet.example.org/a"));
        assert_eq!(*learned.lock().unwrap(), std::slice::from_ref(facts));
        assert!(app.envelopes().iter().all(|event| !event.data.get().contains("sésamo")));
    }

    #[tokio::test]
    async fn who_deletes_the_course_meanwhile_loses_the_race_and_looks_again() {
        let app = app().await;
        let path = draft(&app).await;
        let id = path.trim_start_matches("/v1/courses/");
        let read = app.context().get::<Course>(id).await.unwrap().unwrap();
        app.instructor("ines").post(&format!("{path}/sections"), three_days_on(&app)).await.ok();
        let lost = app.context().commit(Changes::new().save(&read)).await;
        assert!(matches!(lost, Err(runtime::Error::Stale(_))));
        // To whoever changes the course itself it is still the same version.
        assert_eq!(app.instructor("ines").get(&path).await.ok()["etag"], "1");
    }

    #[tokio::test]
    async fn a_repeat_makes_no_second_section() {
        let app = app().await;
        let sections = format!("{}/sections", draft(&app).await);
        let ines = app.instructor("ines");
        let sent = three_days_on(&app);
        let first = ines.post_with_key(&sections, &sent, "k").await.ok();
        assert_eq!(ines.post_with_key(&sections, &sent, "k").await.ok(), first);
        assert_eq!(app.emitted::<SectionCreated>().await.len(), 1);
    }

    #[tokio::test]
    async fn only_those_who_run_the_course_create_sections() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        let sent = three_days_on(&app);
        for course in [&draft, &published] {
            let sections = format!("{course}/sections");
            app.anyone().post(&sections, &sent).await.is(UNAUTHENTICATED);
            app.user("ada").post(&sections, &sent).await.is(FORBIDDEN);
            app.admin("root").post(&sections, &sent).await.ok();
        }
        let ivan = app.instructor("ivan");
        ivan.post(&format!("{draft}/sections"), &sent).await.is(COURSE_NOT_FOUND);
        ivan.post(&format!("{published}/sections"), &sent).await.is(FORBIDDEN);
        ivan.post("/v1/courses/nothing/sections", &sent).await.is(COURSE_NOT_FOUND);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_nothing_is_made() {
        let app = app().await;
        let sections = format!("{}/sections", draft(&app).await);
        let (ines, commits) = (app.instructor("ines"), app.commits());
        for (changes, field, reason) in [
            (json!({ "title": null }), "title", "wrong-type"),
            (json!({ "title": "a\u{202e}b" }), "title", "invalid-characters"),
            (json!({ "capacity": 0 }), "capacity", "out-of-range"),
            (json!({ "capacity": 1_000_001 }), "capacity", "out-of-range"),
            (json!({ "capacity": -1 }), "capacity", "wrong-type"),
            (json!({ "capacity": 1.5 }), "capacity", "wrong-type"),
            (json!({ "capacity": 5_000_000_000_u64 }), "capacity", "wrong-type"),
            (json!({ "capacity": "10" }), "capacity", "wrong-type"),
            (json!({ "waitlist_capacity": 1_000_001 }), "waitlist_capacity", "out-of-range"),
            (json!({ "time_zone": "Mars/Olympus" }), "time_zone", "unknown-time-zone"),
            (json!({ "starts_at": "2026-02-30T00:00:00Z" }), "starts_at", "invalid-time"),
            (json!({ "starts_at": "tomorrow" }), "starts_at", "invalid-time"),
            (json!({ "starts_at": 1_772_452_800 }), "starts_at", "wrong-type"),
            (json!({ "ends_at": "2020-01-01T00:00:00Z" }), "ends_at", "not-after-start"),
            (json!({ "meetings": [{ "starts_at": app.now() }] }), "meetings[0].ends_at", "missing"),
            (
                json!({ "meetings": [{ "id": "m", "starts_at": app.now(), "ends_at": app.now() }] }),
                "meetings[0].id",
                "unknown-field",
            ),
            (json!({ "enrollment_key": "" }), "enrollment_key", "empty"),
            (json!({ "offer_hours": 0 }), "offer_hours", "out-of-range"),
            (json!({ "offer_hours": 721 }), "offer_hours", "out-of-range"),
            (
                json!({ "reminder_minutes_before": [0] }),
                "reminder_minutes_before[0]",
                "out-of-range",
            ),
            (
                json!({ "reminder_minutes_before": [1, 43_201] }),
                "reminder_minutes_before[1]",
                "out-of-range",
            ),
            (
                json!({ "reminder_minutes_before": [1, 2, 3, 4, 5, 6] }),
                "reminder_minutes_before",
                "too-many",
            ),
            (json!({ "seats_taken": 3 }), "seats_taken", "unknown-field"),
        ] {
            let mut sent = three_days_on(&app);
            sent.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            ines.post_without_key(&sections, sent).await.blames(field, reason);
        }
        let now = app.now();
        let meeting = |start: i64, end: i64| json!({ "starts_at": now.plus_minutes(start), "ends_at": now.plus_minutes(end) });
        let sent = json!({
            "title": "All of it", "capacity": 0, "waitlist_capacity": 2_000_000,
            "starts_at": now, "ends_at": now.plus_minutes(60),
            "enrollment_opens_at": now, "enrollment_closes_at": now,
            "meetings": [meeting(9, 5), meeting(50, 70)],
            "reminder_minutes_before": [0],
        });
        let answer = ines.post(&sections, sent).await;
        answer
            .blames("capacity", "out-of-range")
            .blames("waitlist_capacity", "out-of-range")
            .blames("enrollment_closes_at", "not-after-opening")
            .blames("meetings[0].ends_at", "not-after-start")
            .blames("meetings", "after-the-section")
            .blames("reminder_minutes_before[0]", "out-of-range");
        let many = json!({ "title": "Many", "meetings": vec![meeting(1, 2); 101] });
        ines.post(&sections, many).await.blames("meetings", "too-many");
        assert_eq!(app.commits(), commits);
        assert!(app.emitted::<SectionCreated>().await.is_empty());
    }
}
