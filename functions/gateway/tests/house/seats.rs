//! Two hundred people race for ten seats, and half of them leave again, on any platform.

use std::{sync::Barrier, thread};

use serde_json::{Value, json};

use crate::{
    school::{Section, text},
    support::{Answer, Client, Person},
};

/// How many race, and how many ask at the same moment.
const PEOPLE: usize = 200;
const AT_ONCE: usize = 50;

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

/// The race: ten get a seat, and the rest wait in the order of joining. Then half of them leave,
/// the first of all, and everybody else moves up.
pub fn race(server: &Client) {
    let teacher = server.sign_up("ines@aula.example", &["instructor"]);
    let section = server.open_section(&teacher, &json!({ "capacity": 10 }));
    let people = crowd(server, PEOPLE);
    let answers =
        at_once(&people, |person| server.post("/v1/enrollments", &person.token, &section.seat()));

    assert!(answers.iter().all(|answer| answer.status == 201));
    let told: Vec<_> = answers.into_iter().map(|answer| answer.body).collect();
    let places = places(&told);
    assert_eq!(places[..10], [None; 10]);
    assert_eq!(places[10..], (1..=190).map(Some).collect::<Vec<_>>());

    // The list is in the order of joining: the ten, then the queue as each was told.
    let members = members(server, &section);
    assert_eq!(members.len(), PEOPLE);
    for (place, member) in (1..).zip(&members[10..]) {
        let answer = told.iter().find(|it| it["id"] == member["id"]).expect("an answer");
        assert_eq!(answer["waitlist_position"], place, "{}", text(&member["id"]));
    }
    half_of_them_leave(server, &section, &members, &people.iter().zip(&told).collect::<Vec<_>>());
}

/// Everyone else leaves at the same moment: nobody is sent away because of the others.
fn half_of_them_leave(
    server: &Client,
    section: &Section,
    members: &[Value],
    told: &[(&Person, &Value)],
) {
    let whose = |member: &Value| told.iter().find(|(_, told)| told["id"] == member["id"]);
    let leaving: Vec<_> = members.iter().step_by(2).filter_map(whose).collect();
    let answers = at_once(&leaving, |(person, enrollment)| {
        let path = format!("/v1/enrollments/{}/cancel", text(&enrollment["id"]));
        server.post(&path, &person.token, &json!({}))
    });
    assert_eq!(answers.len(), PEOPLE / 2);
    for answer in answers {
        assert_eq!(
            (answer.status, &answer.body["state"]),
            (200, &json!("cancelled")),
            "{answer:?}"
        );
    }
    let staying: Vec<_> = members.iter().skip(1).step_by(2).map(|it| &it["id"]).collect();
    let members = self::members(server, section);
    assert_eq!(members.iter().map(|it| &it["id"]).collect::<Vec<_>>(), staying);
}

/// Has all of them act, so many at a time.
fn at_once<T: Sync>(those: &[T], act: impl Fn(&T) -> Answer + Sync) -> Vec<Answer> {
    let (start, act) = (Barrier::new(AT_ONCE), &act);
    thread::scope(|scope| {
        let acting: Vec<_> = those
            .chunks(those.len() / AT_ONCE)
            .map(|few| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    few.iter().map(act).collect::<Vec<_>>()
                })
            })
            .collect();
        acting.into_iter().flat_map(|it| it.join().expect("they act")).collect()
    })
}

/// Who has a seat or waits, in the order of joining: it's checked that ten have one, and that
/// the others are counted in that order.
fn members(server: &Client, section: &Section) -> Vec<Value> {
    let mut members = server.members(section);
    members.retain(|it| it["state"] != "cancelled");
    let seats = std::iter::repeat_n(("confirmed", None), 10);
    let queue = (1..).map(|place| ("waitlisted", Some(place)));
    for (member, (state, place)) in members.iter().zip(seats.chain(queue)) {
        assert_eq!(
            (&member["state"], member["waitlist_position"].as_u64()),
            (&json!(state), place)
        );
    }
    members
}

/// The places in the queue that they were told, in their order; nothing: a seat.
fn places(told: &[Value]) -> Vec<Option<u64>> {
    let mut places: Vec<_> = told.iter().map(|it| it["waitlist_position"].as_u64()).collect();
    places.sort_unstable();
    places
}
