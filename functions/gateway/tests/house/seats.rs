//! Two hundred people race for ten seats, on any platform.

use std::{sync::Barrier, thread};

use serde_json::json;

use crate::{
    school::text,
    support::{Client, Person},
};

/// Signs up so many people, on several threads.
pub fn crowd(server: &Client, count: usize) -> Vec<Person> {
    let join = |first: usize| {
        (first..count)
            .step_by(8)
            .map(|number| server.sign_up(&format!("person{number}@aula.example"), &[]))
            .collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let joining: Vec<_> = (0..8).map(|first| scope.spawn(move || join(first))).collect();
        joining.into_iter().flat_map(|it| it.join().expect("they sign up")).collect()
    })
}

/// The race: ten get a seat, and the rest wait in the order of joining.
pub fn race(server: &Client) {
    const PEOPLE: usize = 200;
    const AT_ONCE: usize = 50;
    let teacher = server.sign_up("ines@aula.example", &["instructor"]);
    let section = server.open_section(&teacher, &json!({ "capacity": 10 }));
    let people = crowd(server, PEOPLE);

    let start = Barrier::new(AT_ONCE);
    let answers: Vec<_> = thread::scope(|scope| {
        let racing: Vec<_> = people
            .chunks(PEOPLE / AT_ONCE)
            .map(|few| {
                let (section, start) = (&section, &start);
                scope.spawn(move || {
                    start.wait();
                    let enroll = |person: &Person| {
                        server.post("/v1/enrollments", &person.token, &section.seat())
                    };
                    few.iter().map(enroll).collect::<Vec<_>>()
                })
            })
            .collect();
        racing.into_iter().flat_map(|it| it.join().expect("they race")).collect()
    });

    assert!(answers.iter().all(|answer| answer.status == 201));
    let told: Vec<_> = answers.into_iter().map(|answer| answer.body).collect();
    assert_eq!(told.iter().filter(|it| it["state"] == "confirmed").count(), 10);
    let mut places: Vec<_> =
        told.iter().filter_map(|it| it["waitlist_position"].as_u64()).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=190).collect::<Vec<_>>());

    // The list is in the order of joining: the ten, then the queue as each was told.
    let members = server.members(&section);
    assert_eq!(members.len(), PEOPLE);
    assert!(members[..10].iter().all(|it| it["state"] == "confirmed"));
    for (place, member) in (1..).zip(&members[10..]) {
        assert_eq!(
            (&member["state"], &member["waitlist_position"]),
            (&json!("waitlisted"), &json!(place))
        );
        let answer = told.iter().find(|it| it["id"] == member["id"]).expect("an answer");
        assert_eq!(answer["waitlist_position"], place, "{}", text(&member["id"]));
    }
}
