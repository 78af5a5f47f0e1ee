//! Functions' processes are killed at random in a race for seats: nothing that was
//! answered is lost, and nobody gets a seat twice.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use runtime::{Random as _, SystemRandom};
use serde_json::json;

use crate::{
    cloud::{Cloud, signal},
    school::{Section, text},
    seats::crowd,
    support::{Answer, Person, until},
};

#[test]
fn killing_processes_at_random_in_a_race_loses_nothing() {
    const PEOPLE: usize = 80;
    const SEATS: usize = 10;
    const KILLS: u32 = 25;
    let Some(cloud) = Cloud::start(&[]) else { return };
    let teacher = cloud.sign_up("ines@aula.example", &["instructor"]);
    let section = cloud.open_section(&teacher, &json!({ "capacity": SEATS }));
    let people = crowd(&cloud, PEOPLE);

    let (over, killed, answered) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let told: BTreeMap<String, Answer> = thread::scope(|scope| {
        scope.spawn(|| {
            // It goes on for a while after the race, when events are carried.
            while killed.load(Ordering::SeqCst) < KILLS || !over.load(Ordering::SeqCst) {
                let before = answered.load(Ordering::SeqCst);
                kill_one(&cloud);
                killed.fetch_add(1, Ordering::SeqCst);
                // Some of the race lies between one and the next, while it goes on.
                until("somebody to be answered", || {
                    let goes_on = answered.load(Ordering::SeqCst) > before;
                    (goes_on || over.load(Ordering::SeqCst)).then_some(())
                });
            }
        });
        let racing: Vec<_> = people
            .chunks(PEOPLE / 20)
            .map(|few| {
                let (cloud, section, answered) = (&cloud, &section, &answered);
                scope.spawn(move || {
                    let enroll = |it: &Person| {
                        let answer = insist(cloud, section, it);
                        answered.fetch_add(1, Ordering::SeqCst);
                        (it.id.clone(), answer)
                    };
                    few.iter().map(enroll).collect::<Vec<_>>()
                })
            })
            .collect();
        // The killing ends with the race, also where somebody has failed in it.
        let told: Vec<_> = racing.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::SeqCst);
        told.into_iter().flat_map(|it| it.expect("everyone got a definite answer")).collect()
    });
    assert!(killed.into_inner() >= KILLS);

    // Everyone has one place, and it's the one that they were told.
    let confirmed = told.values().filter(|it| it.body["state"] == "confirmed").count();
    assert_eq!(confirmed, SEATS);
    let members = cloud.members(&section);
    assert_eq!(members.len(), PEOPLE);
    for (number, member) in members.iter().enumerate() {
        let answer = &told[&text(&member["user_id"])].body;
        assert_eq!((&member["id"], &member["state"]), (&answer["id"], &answer["state"]));
        assert_eq!(member["state"], if number < SEATS { "confirmed" } else { "waitlisted" });
        if number >= SEATS {
            assert_eq!(member["waitlist_position"], number - SEATS + 1);
        }
    }
    // And every event reached whoever writes the mail.
    for person in &people {
        let kind = match told[&person.id].body["state"].as_str() {
            Some("confirmed") => "enrolled",
            _ => "waitlisted",
        };
        let path = format!("/v1/users/{}/notifications", person.id);
        until(&format!("{} to hear of it: {kind}", person.email), || {
            let answer = cloud.get(&path, &person.token);
            let items = answer.body["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().any(|it| it["kind"] == kind).then_some(())
        });
    }
}

/// Kills the process of some service, and waits until it has another.
fn kill_one(cloud: &Cloud) {
    let processes = cloud.processes();
    let running: Vec<_> = processes.iter().filter_map(|it| Some((&it.service, it.id?))).collect();
    assert!(!running.is_empty(), "some process runs");
    let mut bytes = [0; 4];
    SystemRandom.fill(&mut bytes);
    let chosen = usize::try_from(u32::from_le_bytes(bytes)).expect("it fits");
    let (service, killed) = running[chosen % running.len()];
    signal("-KILL", killed);
    until(&format!("{service} to be started again"), || {
        cloud.process(service).id.filter(|id| *id != killed)
    });
}

/// Asks for a seat until there's a definite answer, with the same key each time.
fn insist(cloud: &Cloud, section: &Section, person: &Person) -> Answer {
    let key = format!("seat-{}", person.id);
    until("a definite answer", || {
        let answer =
            cloud.try_post("/v1/enrollments", &person.token, &key, &section.seat()).ok()?;
        match answer.status {
            201 => Some(answer),
            // Not yet, or nobody knows: the same again can't take effect twice.
            409 | 500..=504 => None,
            _ => panic!("{} {}", answer.status, answer.text),
        }
    })
}
