//! The main job, as people do it, on any platform: an account, a course, the last
//! seat, the queue, a promotion, a reminder.

use serde_json::json;

use crate::{
    school::{in_seconds, text},
    support::{Client, Person, until},
};

/// Does the main job. So many seconds after the section was opened its reminders
/// are due: by then the queue must have moved.
pub fn main_job(server: &Client, seconds: i64) {
    let ines = server.sign_up("ines@aula.example", &["instructor"]);

    // The section begins in a good minute; people are reminded a minute before.
    let section = server.open_section(
        &ines,
        &json!({
            "capacity": 1,
            "starts_at": in_seconds(60 + seconds),
            "ends_at": in_seconds(3600),
            "reminder_minutes_before": [1],
        }),
    );

    // Bo finds the course by a word of its title, and takes the last seat.
    let bo = server.sign_up("bo@aula.example", &[]);
    let found = server.get("/v1/courses?q=beginning&level=beginner&sort=title", "").ok();
    assert_eq!(found["items"][0]["id"], section.course_id.as_str());
    let bos = server.post("/v1/enrollments", &bo.token, &section.seat());
    assert_eq!((bos.status, &bos.body["state"]), (201, &json!("confirmed")));
    server.wait_for_mail("bo@aula.example", "Rust from the beginning");
    let full = server.get(&section.path(), "").ok();
    assert_eq!((&full["seats_taken"], &full["seats_free"]), (&json!(1), &json!(0)));

    // Cy waits.
    let cy = server.sign_up("cy@aula.example", &[]);
    let cys = server.post("/v1/enrollments", &cy.token, &section.seat()).ok();
    assert_eq!((&cys["state"], &cys["waitlist_position"]), (&json!("waitlisted"), &json!(1)));
    assert_eq!(server.get(&section.path(), "").ok()["waitlist_length"], 1);
    let again = server.post("/v1/enrollments", &cy.token, &section.seat());
    again.is(409, "already-enrolled");

    // Bo leaves, and the seat is Cy's; both are told.
    let cancel = format!("/v1/enrollments/{}/cancel", text(&bos.body["id"]));
    assert_eq!(server.post(&cancel, &bo.token, &json!({})).ok()["state"], "cancelled");
    let history = server.get("/v1/enrollments?user_id=me", &cy.token).ok();
    assert_eq!(history["items"][0]["state"], "confirmed");
    let told = |who: &Person, kind: &str| {
        until(&format!("{kind} for {}", who.email), || {
            let path = format!("/v1/users/{}/notifications", who.id);
            let items = server.get(&path, &who.token).ok();
            let items = items["items"].as_array().expect("items").clone();
            items.into_iter().find(|item| item["kind"] == kind)
        })
    };
    told(&cy, "promoted");
    told(&bo, "cancelled");

    // The reminder comes, to Cy alone.
    told(&cy, "reminder");
    let admin = server.admin();
    let sent = until("the reminder to be sent", || {
        let reminders = server.get("/v1/deliveries?kind=reminder", &admin.token).ok();
        let reminders = reminders["items"].as_array().expect("items").clone();
        reminders.iter().any(|it| it["state"] == "sent").then_some(reminders)
    });
    assert!(sent.iter().all(|it| it["user_id"] == cy.id.as_str() || it["state"] == "skipped"));
}
