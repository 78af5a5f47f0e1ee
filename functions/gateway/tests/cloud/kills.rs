//! Functions' processes are killed at random in a race for seats: nothing that was
//! answered is lost, and nobody gets a seat twice.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use runtime::{Random, SystemRandom};
use serde_json::{Value, json};
use testing::SeededRandom;

use crate::{
    cloud::{Cloud, signal},
    operator::Operator,
    school::{Section, text},
    seats::crowd,
    support::{Answer, Person, until, until_within},
};

const PEOPLE: usize = 80;
const KILLS: usize = 25;

/// How many of them are after the race.
const AFTER: usize = 5;

/// How long the race may take, in which processes are started again and again.
const PATIENCE: Duration = Duration::from_mins(5);

/// What everybody in the race asks.
const ENROLL: &str = "enrollments-enroll";

#[test]
fn killing_processes_at_random_in_a_race_loses_nothing() {
    race_with_kills(10, &[]);
}

#[test]
fn nor_does_it_where_the_seats_are_in_blocks() {
    race_with_kills(60, &["--seats-in-block", "2"]);
}

/// A race for so many seats, on a platform that is started with these words.
fn race_with_kills(seats: usize, words: &[&str]) {
    let chance = Chance::new();
    let Some(cloud) = Cloud::start(words) else { return };
    let Some(operator) = Operator::of(&cloud) else { return };
    let teacher = cloud.sign_up("ines@aula.example", &["instructor"]);
    let section = cloud.open_section(&teacher, &json!({ "capacity": seats }));
    let blocks = || operator.count("enrollments", "seat_blocks");
    if !words.is_empty() {
        until("the seats to be spread", || (blocks() > 0).then_some(()));
    }
    let people = crowd(&cloud, PEOPLE);

    let race = Race::default();
    let told: BTreeMap<String, Answer> = thread::scope(|scope| {
        scope.spawn(|| race.kill_some(&cloud, &chance));
        let racing: Vec<_> = people
            .chunks(PEOPLE / 20)
            .map(|few| {
                let (cloud, section, race) = (&cloud, &section, &race);
                scope.spawn(move || {
                    let enroll = |it: &Person| (it.id.clone(), race.insist(cloud, section, it));
                    few.iter().map(enroll).collect::<Vec<_>>()
                })
            })
            .collect();
        // The killing ends with the race, also where somebody has failed in it.
        let told: Vec<_> = racing.into_iter().map(thread::ScopedJoinHandle::join).collect();
        race.over.store(true, SeqCst);
        told.into_iter().flat_map(|it| it.expect("everyone got a definite answer")).collect()
    });
    let killed = race.killed.into_inner().expect("no holder panics");
    println!("killed, and how many asked for a seat just then: {killed:?}");
    assert!(killed.len() >= KILLS);
    let in_the_race = |it: &&(String, u32)| it.0 == ENROLL && it.1 > 0;
    assert!(killed.iter().filter(in_the_race).count() > 0, "nobody was disturbed: {killed:?}");

    // Everyone has one place, and it's the one that they were told.
    let confirmed = told.values().filter(|it| it.body["state"] == "confirmed").count();
    assert_eq!(confirmed, seats);
    let members = cloud.members(&section);
    assert_eq!(members.len(), PEOPLE);
    for (number, member) in members.iter().enumerate() {
        let answer = &told[&text(&member["user_id"])].body;
        assert_eq!((&member["id"], &member["state"]), (&answer["id"], &answer["state"]));
        assert_eq!(member["state"], if number < seats { "confirmed" } else { "waitlisted" });
        if number >= seats {
            assert_eq!(member["waitlist_position"], number - seats + 1);
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
    // What is stored is right, to the last document.
    let audit = operator.said(&["audit"]);
    assert!(audit.contains("Nothing is wrong"), "{audit}");
    // People wait, so what was spread has been gathered.
    assert_eq!(blocks(), 0);
}

/// The race, as those in it and whoever disturbs it see it.
#[derive(Default)]
struct Race {
    over: AtomicBool,
    answered: AtomicU32,
    /// How many wait for an answer now.
    asking: AtomicU32,
    /// Whose processes were killed, and how many waited just then.
    killed: Mutex<Vec<(String, u32)>>,
}

impl Race {
    /// Kills processes, one after the other; the last few when the race is over, and
    /// events are carried.
    fn kill_some(&self, cloud: &Cloud, chance: &Chance) {
        let is_over = || self.over.load(SeqCst);
        let manifest = manifest();
        for count in 0..KILLS {
            if count == KILLS - AFTER {
                until_within(PATIENCE, "the race to end", || is_over().then_some(()));
            }
            let before = self.answered.load(SeqCst);
            let service = match count % 4 {
                // Every other is in the way of the race, and half of those is what all ask.
                0 => ENROLL.to_owned(),
                2 => chance.one_of(&path_of_the_race(&manifest)),
                _ => chance.one_of(&services(&manifest)),
            };
            until("somebody to ask", || (self.asking.load(SeqCst) > 0 || is_over()).then_some(()));
            self.kill(cloud, service);
            // Some of the race lies between one and the next, while it goes on.
            until("somebody to be answered", || {
                (self.answered.load(SeqCst) > before || is_over()).then_some(())
            });
        }
    }

    /// Kills the process of a service, and waits until it has another.
    fn kill(&self, cloud: &Cloud, service: String) {
        let process = until(&format!("{service} to run"), || cloud.process(&service).id);
        let asking = self.asking.load(SeqCst);
        signal("-KILL", process);
        until(&format!("{service} to be started again"), || {
            cloud.process(&service).id.filter(|id| *id != process)
        });
        self.killed.lock().unwrap_or_else(PoisonError::into_inner).push((service, asking));
    }

    /// Asks for a seat until there's a definite answer, with the same key each time.
    fn insist(&self, cloud: &Cloud, section: &Section, person: &Person) -> Answer {
        let key = format!("seat-{}", person.id);
        let answer = until_within(PATIENCE, "a definite answer", || {
            self.asking.fetch_add(1, SeqCst);
            let answer = cloud.try_post("/v1/enrollments", &person.token, &key, &section.seat());
            self.asking.fetch_sub(1, SeqCst);
            let answer = answer.ok()?;
            match answer.status {
                201 => Some(answer),
                // Not yet, or nobody knows: the same again can't take effect twice.
                409 | 500..=504 => None,
                _ => panic!("{} {}", answer.status, answer.text),
            }
        });
        self.answered.fetch_add(1, SeqCst);
        answer
    }
}

/// What decides who is killed; the same again for the same seed.
struct Chance(SeededRandom);

impl Chance {
    #[expect(clippy::disallowed_methods, reason = "whoever looks for a fault says which seed")]
    fn new() -> Self {
        let said = env::var("AULA_KILLS_SEED").ok().and_then(|it| it.parse().ok());
        let seed = said.unwrap_or_else(|| {
            let mut bytes = [0; 4];
            SystemRandom.fill(&mut bytes);
            u32::from_le_bytes(bytes)
        });
        println!("AULA_KILLS_SEED={seed} has the same killed again");
        Self(SeededRandom::of(seed.into()))
    }

    fn one_of(&self, services: &[String]) -> String {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        let number = usize::try_from(u32::from_le_bytes(bytes)).expect("it fits");
        services[number % services.len()].clone()
    }
}

fn manifest() -> Value {
    runtime::openapi::manifest(&gateway::domains())
}

fn services(manifest: &Value) -> Vec<String> {
    let functions = manifest["functions"].as_object().expect("functions");
    functions.keys().cloned().collect()
}

/// What is in the way of a seat: what is asked, whom that asks, and who hears of it.
fn path_of_the_race(manifest: &Value) -> Vec<String> {
    let calls = manifest["domains"]["enrollments"]["calls"].as_object().expect("calls");
    let called = calls.values().map(text);
    let hears = |it: &String| {
        let topic = manifest["functions"][it]["topic"].as_str();
        topic.is_some_and(|it| it.starts_with("enrollments."))
    };
    let hearing = services(manifest).into_iter().filter(hears);
    [ENROLL.to_owned()].into_iter().chain(called).chain(hearing).collect()
}
