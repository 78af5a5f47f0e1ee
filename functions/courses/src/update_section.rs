//! `PATCH /v1/courses/{course_id}/sections/{section_id}`

use contracts::{
    TimeZone,
    courses::{
        COURSE_NOT_FOUND, CourseId, SECTION_CANCELLED, SECTION_NOT_FOUND, SectionId,
        SectionRescheduled, SectionUpdated,
    },
    enrollments::{CAPACITY_BELOW_TAKEN, LimitSeats},
};
use runtime::prelude::*;

use crate::{
    access,
    calendar::{CalendarChanges, RevisedMeeting},
    card,
    change::Change,
    seats,
    section::{SectionChanges, ShownSection},
    telling,
};

/// Change a section.
///
/// Fields that are absent stay as they are; null empties those that may be
/// empty. Raising the capacity gives seats to those who wait; it can't be
/// lowered below the seats that are taken. When dates or meetings change,
/// everyone enrolled is told. A meeting that says the same as the section's
/// dates moves with them, and they with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSection {
    /// The course that it runs.
    course_id: CourseId,
    /// The section.
    section_id: SectionId,
    /// The version that you saw; `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// What it's called: 1 to 200 characters on one line.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    title: Change<Line<1, 200>>,
    /// How many may attend: 1 to 1,000,000; null: any number.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(range(min = 1, max = 1_000_000))]
    capacity: Change<Option<u32>>,
    /// How many may wait for a seat: 0 to 1,000,000; null: any number.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(range(max = 1_000_000))]
    waitlist_capacity: Change<Option<u32>>,
    /// The zone of the IANA database that its times are told in.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    time_zone: Change<TimeZone>,
    /// When it begins; null: with its first meeting.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    starts_at: Change<Option<Timestamp>>,
    /// When it ends, which is later; null: with its last meeting.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    ends_at: Change<Option<Timestamp>>,
    /// From when on people may enroll; null: at once.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    enrollment_opens_at: Change<Option<Timestamp>>,
    /// Until when people may enroll, which is later; null: until the section ends.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    enrollment_closes_at: Change<Option<Timestamp>>,
    /// All its gatherings, within its dates: at most 100. What is left out is gone.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(max = 100))]
    meetings: Change<Vec<RevisedMeeting>>,
    /// Whether an instructor must approve each enrollment.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    approval_required: Change<bool>,
    /// How many hours somebody who waits has to accept a seat that became free:
    /// 1 to 720; null: it's theirs at once.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(range(min = 1, max = 720))]
    offer_hours: Change<Option<u32>>,
    /// What people must know to enroll; null: nothing. It's never shown.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    enrollment_key: Change<Option<Line<1, 100>>>,
    /// How long before each meeting people are reminded, in minutes: at most 5
    /// times, up to 30 days before.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schemars(length(max = 5), inner(range(min = 1, max = 43_200)))]
    reminder_minutes_before: Change<Vec<u32>>,
}

impl Endpoint for UpdateSection {
    const OPERATION: &'static str = "courses.update_section";
    const ROUTE: Route = Route::update("/v1/courses/{course_id}/sections/{section_id}");
    const PROBLEMS: &'static [Problem] =
        &[COURSE_NOT_FOUND, SECTION_NOT_FOUND, SECTION_CANCELLED, CAPACITY_BELOW_TAKEN];
    type Response = ShownSection;
}

impl UpdateSection {
    fn into_changes(self) -> SectionChanges {
        SectionChanges {
            title: self.title,
            capacity: self.capacity,
            waitlist_capacity: self.waitlist_capacity,
            calendar: CalendarChanges {
                time_zone: self.time_zone,
                starts_at: self.starts_at,
                ends_at: self.ends_at,
                meetings: self.meetings,
            },
            enrollment_opens_at: self.enrollment_opens_at,
            enrollment_closes_at: self.enrollment_closes_at,
            approval_required: self.approval_required,
            offer_hours: self.offer_hours,
            enrollment_key: self.enrollment_key,
            reminder_minutes_before: self.reminder_minutes_before,
        }
    }
}

pub async fn run(cx: Context<Instructor>, request: UpdateSection) -> Result<ShownSection> {
    let course = access::to_change(&cx, &request.course_id).await?;
    let mut section = access::section_of(&cx, &course, &request.section_id).await?;
    let etag = request.etag.clone();

    let next = section.with(request.into_changes(), cx.secret(), || cx.random().id())?;
    cx.expect_etag(&section.etag(), etag.as_deref())?;
    section.expect_not_cancelled()?;

    if next != *section {
        if let Some(most) = section.lowered_capacity(&next) {
            // Promised before it's the rule, so that no seat beyond it is given out between.
            let (section_id, revision) = (section.id.clone(), section.revision);
            cx.call(LimitSeats { section_id, most, revision }).await?;
        }
        // The course too: its card is made of it, and where it's being deleted one of the two loses.
        let mut changes = Changes::new().save(&course);
        let rescheduled = section.take_on(next, cx.now);
        let facts = section.facts(&course);
        if rescheduled {
            changes = changes.emit(&SectionRescheduled { section: facts.clone() });
        }
        let card = card::of_changed_sections(&cx, &course, &[&section]).await?;
        cx.commit(changes.save(&section).save(&card).emit(&SectionUpdated { section: facts }))
            .await?;
        telling::of_section(&cx, &section, &course).await;
    }
    let seats = seats::of_one(&cx, &section).await;
    Ok(section.into_inner().show(seats.as_ref(), cx.now, true))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use contracts::courses::SectionCreated;
    use runtime::problems::{ETAG_REQUIRED, FORBIDDEN, STALE_ETAG, UNAUTHENTICATED};
    use testing::json;

    use super::*;
    use crate::tests::{app, draft, learned_sections, published, section};

    #[tokio::test]
    async fn what_is_said_changes_and_what_is_not_stays() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let learned = learned_sections(&app);
        app.advance_minutes(1);
        let ines = app.instructor("ines");
        let changes = json!({
            "title": "Abril", "approval_required": true, "enrollment_key": "sésamo",
            "waitlist_capacity": 5, "enrollment_closes_at": app.now().plus_minutes(9),
            "reminder_minutes_before": [],
        });
        let section = ines.patch(&path, changes, "1").await.ok();
        assert_eq!((&section["title"], &section["etag"]), (&json!("Abril"), &json!("2")));
        assert_eq!(
            (&section["capacity"], &section["time_zone"]),
            (&json!(10), &json!("America/Bogota"))
        );
        assert_eq!(
            (&section["waitlist_capacity"], &section["approval_required"]),
            (&json!(5), &json!(true))
        );
        assert_eq!(
            (&section["enrollment_key_required"], &section["calendar_sequence"]),
            (&json!(true), &json!(0))
        );
        assert_eq!(ines.get(&path).await.ok(), section);

        let changes = json!({
            "enrollment_key": null, "waitlist_capacity": null, "enrollment_closes_at": null, "capacity": null,
        });
        let section = ines.patch(&path, changes, "2").await.ok();
        assert_eq!(
            (&section["enrollment_key_required"], &section["waitlist_capacity"]),
            (&json!(false), &json!(null))
        );
        assert_eq!(
            (&section["enrollment_closes_at"], &section["capacity"]),
            (&json!(null), &json!(null))
        );

        let updated = app.emitted::<SectionUpdated>().await;
        let told: Vec<_> = updated.into_iter().map(|event| event.section).collect();
        assert_eq!(told.iter().map(|facts| facts.revision).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(*learned.lock().unwrap(), told);
        assert!(app.emitted::<SectionRescheduled>().await.is_empty());
    }

    #[tokio::test]
    async fn a_new_date_makes_the_sequence_grow_and_is_told() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let starts_at = app.now().plus_minutes(5 * 1440);
        let changes = json!({ "starts_at": starts_at, "ends_at": starts_at.plus_minutes(30) });
        let section = app.instructor("ines").patch(&path, changes, "1").await.ok();
        assert_eq!(
            (&section["starts_at"], &section["calendar_sequence"]),
            (&json!(starts_at), &json!(1))
        );
        let rescheduled = app.emitted::<SectionRescheduled>().await;
        let facts = &rescheduled[0].section;
        assert_eq!((rescheduled.len(), facts.calendar_sequence, facts.revision), (1, 1, 2));
        assert_eq!((facts.meetings.len(), facts.meetings[0].starts_at), (1, starts_at));
        // The one gathering is the same one as before.
        let created = app.emitted::<SectionCreated>().await;
        assert_eq!(created[0].section.meetings[0].id, facts.meetings[0].id);
        assert_eq!(app.emitted::<SectionUpdated>().await.len(), 1);
    }

    #[tokio::test]
    async fn a_meeting_that_is_moved_keeps_its_id() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let ines = app.instructor("ines");
        let day = |day: i64| app.now().plus_minutes(day * 1440);
        let meeting = |start, end| json!({ "starts_at": day(start), "ends_at": day(end) });
        let dates = json!({ "starts_at": null, "ends_at": null, "meetings": [meeting(1, 2), meeting(3, 4)] });
        let first = ines.patch(&path, dates, "1").await.ok();
        assert_eq!((&first["starts_at"], &first["ends_at"]), (&json!(day(1)), &json!(day(4))));
        let mut moved = first["meetings"].clone();
        moved[1]["ends_at"] = json!(day(6));
        moved[1]["location"] = json!("Aula 3");
        let second = ines.patch(&path, json!({ "meetings": moved }), "2").await.ok();
        assert_eq!(second["meetings"][1]["id"], first["meetings"][1]["id"]);
        assert_eq!((&second["ends_at"], &second["calendar_sequence"]), (&json!(day(6)), &json!(2)));
        moved[0]["id"] = json!("foreign");
        ines.patch(&path, json!({ "meetings": moved }), "3")
            .await
            .blames("meetings[0].id", "unknown-id");
    }

    #[tokio::test]
    async fn a_lower_capacity_is_promised_first_and_refused_below_the_seats_taken() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let limits = Arc::<Mutex<Vec<(u32, u64)>>>::default();
        let asked = limits.clone();
        app.now_answering::<LimitSeats>(move |request| {
            asked.lock().unwrap().push((request.most, request.revision));
            if request.most < 4 { Err(CAPACITY_BELOW_TAKEN) } else { Ok(()) }
        });
        let ines = app.instructor("ines");
        let capacity = async |most: testing::Value, etag| {
            ines.patch(&path, json!({ "capacity": most }), etag).await
        };
        capacity(json!(3), "1").await.is(CAPACITY_BELOW_TAKEN);
        assert_eq!(ines.get(&path).await.ok()["capacity"], 10);
        capacity(json!(4), "1").await.ok();
        capacity(json!(8), "2").await.ok();
        capacity(json!(null), "3").await.ok();
        capacity(json!(100), "4").await.ok();
        assert_eq!(*limits.lock().unwrap(), [(3, 1), (4, 1), (100, 4)]);
    }

    #[tokio::test]
    async fn to_change_nothing_changes_nothing() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let ines = app.instructor("ines");
        ines.patch(&path, json!({ "enrollment_key": "k" }), "1").await.ok();
        let commits = app.commits();
        for same in [json!({}), json!({ "capacity": 10, "enrollment_key": "k", "title": " Marzo" })]
        {
            assert_eq!(ines.patch(&path, same, "2").await.ok()["etag"], "2");
        }
        assert_eq!(app.commits(), commits);
    }

    #[tokio::test]
    async fn the_version_that_was_seen_must_be_said_and_be_the_last() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let ines = app.instructor("ines");
        ines.patch_without_etag(&path, json!({ "title": "a" })).await.is(ETAG_REQUIRED);
        ines.patch(&path, json!({ "title": "a" }), "7").await.is(STALE_ETAG);
        ines.patch(&path, json!({ "title": "a" }), "1").await.ok();
        ines.patch(&path, json!({ "title": "b" }), "1").await.is(STALE_ETAG);
    }

    #[tokio::test]
    async fn only_those_who_run_the_course_change_its_sections() {
        let app = app().await;
        let (draft, published) = (draft(&app).await, published(&app).await);
        let (hidden, shown) = (section(&app, &draft).await, section(&app, &published).await);
        let changes = json!({ "title": "Hacked" });
        app.anyone().patch(&shown, &changes, "1").await.is(UNAUTHENTICATED);
        app.user("ada").patch(&shown, &changes, "1").await.is(FORBIDDEN);
        app.instructor("ivan").patch(&shown, &changes, "1").await.is(FORBIDDEN);
        app.instructor("ivan").patch(&hidden, &changes, "1").await.is(COURSE_NOT_FOUND);
        // One's own course doesn't open the sections of another's.
        let own = app.instructor("ivan").post("/v1/courses", json!({ "title": "a" })).await.ok();
        let foreign = shown.rsplit('/').next().unwrap();
        let mixed = format!("/v1/courses/{}/sections/{foreign}", own["id"].as_str().unwrap());
        app.instructor("ivan").patch(&mixed, &changes, "1").await.is(SECTION_NOT_FOUND);
        app.admin("root").patch(&hidden, &changes, "1").await.ok();
    }

    #[tokio::test]
    async fn a_cancelled_section_stays_as_it_was() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let ines = app.instructor("ines");
        ines.post(&format!("{path}/cancel"), json!({})).await.ok();
        ines.patch(&path, json!({ "title": "a" }), "2").await.is(SECTION_CANCELLED);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_nothing_changes() {
        let app = app().await;
        let course = published(&app).await;
        let path = section(&app, &course).await;
        let (ines, commits) = (app.instructor("ines"), app.commits());
        let before = app.now();
        for (changes, field, reason) in [
            (json!({ "title": null }), "title", "wrong-type"),
            (json!({ "capacity": 0 }), "capacity", "out-of-range"),
            (json!({ "capacity": "many" }), "capacity", "wrong-type"),
            (json!({ "time_zone": null }), "time_zone", "wrong-type"),
            (json!({ "ends_at": before }), "ends_at", "not-after-start"),
            (json!({ "approval_required": "yes" }), "approval_required", "wrong-type"),
            (
                json!({ "meetings": [{ "starts_at": before, "ends_at": before }] }),
                "meetings[0].ends_at",
                "not-after-start",
            ),
            (
                json!({ "meetings": [{ "starts_at": before, "ends_at": before.plus_minutes(1) }] }),
                "meetings",
                "before-the-section",
            ),
            (
                json!({ "reminder_minutes_before": [-1] }),
                "reminder_minutes_before[0]",
                "wrong-type",
            ),
            (json!({ "state": "over" }), "state", "unknown-field"),
            (json!({ "enrollment_key_seal": "x" }), "enrollment_key_seal", "unknown-field"),
        ] {
            ines.patch(&path, changes, "1").await.blames(field, reason);
        }
        assert_eq!(app.commits(), commits);
    }
}
