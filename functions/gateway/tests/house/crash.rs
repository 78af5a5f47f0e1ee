//! The server is killed at random moments, as by a power cut: what it had
//! answered is still so when it's back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use embedded::store::Database;
use serde_json::{Value, json};

use crate::{
    school::{Section, in_seconds, text},
    seats::crowd,
    support::{Options, Person, Server, server, until},
};

/// The same issuer for every incarnation, so that tokens stay good.
fn start(data: Option<PathBuf>, words: &[&str]) -> Server {
    let more = ["--public-url", "http://aula.example"].iter().chain(words);
    let more = more.map(|it| (*it).to_owned()).collect();
    Server::start(Options { data, more, ..Options::default() })
}

#[test]
fn no_seat_and_no_answer_is_lost_when_the_server_is_killed_in_a_race() {
    race_with_crashes(10, &[]);
}

#[test]
fn none_is_lost_where_the_seats_are_in_blocks() {
    race_with_crashes(80, &["--seats-in-block", "2"]);
}

/// A race for so many seats, on a server that is started with these words.
fn race_with_crashes(seats: usize, words: &[&str]) {
    const PEOPLE: usize = 120;
    let mut server = start(None, words);
    let teacher = server.sign_up("ines@aula.example", &["instructor"]);
    let section = server.open_section(&teacher, &json!({ "capacity": seats }));
    let mut people = crowd(&server, PEOPLE);

    // What each was told with a 201, over all incarnations.
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for round in 0_u64..4 {
        let now: Vec<Person> = people.split_off(people.len() - PEOPLE / 4);
        let answered = race_until_killed(server, &section, &now, round);
        let (data, answers) = answered;
        for (id, answer) in answers {
            assert!(told.insert(id, answer).is_none());
        }
        let audit = server::run(&data, &["audit"]);
        assert!(audit.status.success(), "round {round}: {audit:?}");
        if round == 0 {
            assert_eq!(blocks(&data) > 0, !words.is_empty(), "blocks of seats");
        }
        server = start(Some(data), words);
        for (user_id, answer) in &told {
            let path = format!("/v1/enrollments/{}", text(&answer["id"]));
            let kept = server.get(&path, &section.teacher.token).ok();
            assert_eq!(kept["user_id"], user_id.as_str());
            assert_eq!(kept["state"], answer["state"]);
        }
        // Who got no answer asks again with the same key, and gets a definite one.
        for (number, person) in now.iter().enumerate() {
            let key = format!("round-{round}-{number}");
            let answer =
                server.post_with_key("/v1/enrollments", &person.token, &key, &section.seat());
            assert_eq!(answer.status, 201, "{}", answer.text);
            if let Some(before) = told.insert(person.id.clone(), answer.body.clone()) {
                assert_eq!(before, answer.body);
                assert_eq!(answer.header("idempotency-replayed"), "true");
            }
        }
    }

    let members = server.members(&section);
    assert_eq!(members.len(), PEOPLE);
    assert_eq!(members.iter().filter(|it| it["state"] == "confirmed").count(), seats);
    let data = server.stop();
    let audit = server::run(&data, &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
    let _ = fs::remove_dir_all(data);
}

/// How many documents there are that have a share of a section's seats.
fn blocks(data: &Path) -> usize {
    let database = Database::open_read_only(data).expect("a folder with documents");
    let domains = gateway::domains();
    let enrollments = domains.iter().find(|it| it.name == "enrollments").expect("it's a domain");
    let store = database.domain(enrollments.name, &enrollments.collections);
    store.and_then(|it| Ok(it.scan("seat_blocks")?.count())).expect("a collection")
}

/// Has people race for seats, kills the server in the middle, and gives back
/// who was told what before.
fn race_until_killed(
    server: Server,
    section: &Section,
    people: &[Person],
    round: u64,
) -> (PathBuf, Vec<(String, Value)>) {
    let answers = thread::scope(|scope| {
        let racing: Vec<_> = people
            .iter()
            .enumerate()
            .map(|(number, person)| {
                let server = &server;
                scope.spawn(move || {
                    let key = format!("round-{round}-{number}");
                    let seat = section.seat();
                    server.try_post("/v1/enrollments", &person.token, &key, &seat).ok()
                })
            })
            .collect();
        // Somewhere between the first answer and the last.
        let moment = Instant::now() + Duration::from_millis(3 + 7 * round);
        while Instant::now() < moment && !racing.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::yield_now();
        }
        kill(&server);
        racing.into_iter().map(|it| it.join().expect("a racer")).collect::<Vec<_>>()
    });
    let told = people.iter().zip(answers).filter_map(|(person, answer)| {
        let answer = answer.filter(|answer| answer.status == 201)?;
        Some((person.id.clone(), answer.body))
    });
    let told = told.collect();
    (server.kill(), told)
}

fn kill(server: &Server) {
    let id = server.process_id().to_string();
    let killed = std::process::Command::new("kill").args(["-KILL", &id]).status();
    assert!(killed.expect("kill is there").success());
}

#[test]
fn a_reminder_comes_once_though_the_server_is_killed_around_its_time() {
    let mut server = start(None, &[]);
    let teacher = server.sign_up("ines@aula.example", &["instructor"]);
    let bo = server.sign_up("bo@aula.example", &[]);
    let section = server.open_section(
        &teacher,
        &json!({
            "starts_at": in_seconds(66),
            "ends_at": in_seconds(3600),
            "reminder_minutes_before": [1],
        }),
    );
    server.post("/v1/enrollments", &bo.token, &section.seat()).ok();
    let due = Instant::now() + Duration::from_secs(6);

    // Killed again and again, from just before the reminder's time to just after.
    while Instant::now() < due + Duration::from_secs(3) {
        let alive_for = Duration::from_millis(350);
        let until_then = Instant::now() + alive_for;
        while Instant::now() < until_then {
            // Whatever the server does meanwhile, somebody reads.
            server.get("/health/live", "").ok();
        }
        server = start(Some(server.kill()), &[]);
    }

    let reminders = |server: &Server| {
        let mail = server.mail_to("bo@aula.example");
        let is_reminder = |mail: &Value| {
            let path = mail["headers"].to_string();
            path.contains("reminder")
                || mail["subject"].as_str().is_some_and(|it| it.starts_with("Reminder"))
        };
        mail.into_iter().filter(is_reminder).count()
    };
    until("the reminder", || (reminders(&server) > 0).then_some(()));
    // Nothing is left that could send another one.
    let admin = server.admin();
    let deliveries = server.get("/v1/deliveries?kind=reminder", &admin.token).ok();
    let deliveries = deliveries["items"].as_array().expect("items").clone();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    until("the delivery to be noted as sent", || {
        let now = server.get("/v1/deliveries?kind=reminder", &admin.token).ok();
        (now["items"][0]["state"] == "sent").then_some(())
    });
    assert_eq!(reminders(&server), 1);
    let _ = fs::remove_dir_all(server.kill());
}
