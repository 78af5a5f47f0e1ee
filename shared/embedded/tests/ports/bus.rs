//! The bus: nothing is lost, and nothing holds up the rest.

use std::{sync::Arc, time::Duration};

use contracts::Timestamp;
use embedded::DeadLetter;
use runtime::{Clock, Document, Envelope, Key, Write};
use testing::StandingClock;
use tokio::{sync::watch, time::Instant};

use crate::{
    process::{Disk, Process},
    things::{Act, TokioClock},
};

fn standing() -> Arc<StandingClock> {
    Arc::new(StandingClock::at(Timestamp::from_millis(1_772_452_800_000)))
}

#[tokio::test]
async fn an_event_is_taken_and_leaves_the_outbox() {
    let process = Process::start(&Disk::new(), standing(), 1);
    process.beside.tell("a", Act::Succeed).await;
    assert_eq!(process.waits().await, (1, 0, 0));
    assert_eq!(process.bus.relay().await.unwrap(), 1);
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 0, 0), 1));
}

#[tokio::test]
async fn what_a_subscriber_tells_is_carried_too() {
    let process = Process::start(&Disk::new(), standing(), 1);
    process.beside.tell("a", Act::GoOn).await;
    assert_eq!(process.bus.relay().await.unwrap(), 2);
    assert_eq!(process.beside.done("a+").await, 1);
}

#[tokio::test]
async fn what_failed_is_delivered_again_when_it_is_due() {
    let clock = standing();
    let process = Process::start(&Disk::new(), clock.clone(), 1);
    process.beside.tell("a", Act::Fail).await;
    process.beside.tell("b", Act::Succeed).await;
    process.bus.relay().await.unwrap();
    assert_eq!((process.waits().await, process.beside.done("b").await), ((0, 1, 0), 1));

    assert_eq!(process.bus.redeliver().await.unwrap(), 0, "it isn't due yet");
    clock.advance(1);
    assert_eq!(process.bus.redeliver().await.unwrap(), 1);
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 1, 0), 0));

    process.beside.mend().await;
    clock.advance(1);
    assert_eq!(process.bus.redeliver().await.unwrap(), 0, "the second pause is longer");
    clock.advance(2);
    assert_eq!(process.bus.redeliver().await.unwrap(), 1);
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 0, 0), 1));
}

#[tokio::test]
async fn after_eight_failures_an_event_is_a_dead_letter_until_it_is_replayed() {
    let clock = standing();
    let process = Process::start(&Disk::new(), clock.clone(), 1);
    process.beside.tell("a", Act::Fail).await;
    process.bus.relay().await.unwrap();
    let mut failures = 1;
    while process.waits().await.1 > 0 {
        clock.advance(600);
        failures += process.bus.redeliver().await.unwrap();
    }
    assert_eq!((failures, process.waits().await), (8, (0, 0, 1)));
    let letters = process.dead_letters().await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.subscriber.as_str(), letter.attempts), ("things.on_things_told", 8));
    assert_eq!((letter.last_error.as_str(), letter.died_at), ("a fails", clock.now()));

    assert!(!process.bus.replay("none").await.unwrap());
    process.beside.mend().await;
    assert!(process.bus.replay(&letter.id).await.unwrap());
    assert_eq!(process.waits().await, (0, 1, 0));
    assert_eq!(process.bus.redeliver().await.unwrap(), 1);
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 0, 0), 1));
    assert!(!process.bus.replay(&letter.id).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_subscriber_that_never_ends_are_failures() {
    let process = Process::start(&Disk::new(), standing(), 1);
    process.beside.tell("a", Act::Panic).await;
    process.beside.tell("b", Act::Hang).await;
    process.beside.tell("c", Act::Succeed).await;
    process.bus.relay().await.unwrap();
    assert_eq!((process.waits().await, process.beside.done("c").await), ((0, 2, 0), 1));
}

#[tokio::test]
async fn a_restart_loses_neither_what_waits_nor_what_failed() {
    let (disk, clock) = (Disk::new(), standing());
    let before = Process::start(&disk, clock.clone(), 1);
    before.beside.tell("failed", Act::Fail).await;
    before.bus.relay().await.unwrap();
    before.beside.tell("waits", Act::Succeed).await;
    drop(before);

    let after = Process::start(&disk, clock.clone(), 2);
    assert_eq!(after.waits().await, (1, 1, 0));
    after.beside.mend().await;
    clock.advance(1);
    after.bus.relay().await.unwrap();
    after.bus.redeliver().await.unwrap();
    assert_eq!(after.waits().await, (0, 0, 0));
    assert_eq!((after.beside.done("failed").await, after.beside.done("waits").await), (1, 1));
}

/// Puts an event into the outbox as it is.
async fn post(process: &Process, event: &Envelope) {
    let body = serde_json::to_string(event).unwrap();
    let create = Write::Create(Key::of::<Envelope>(event.key()), body);
    process.ports.store.commit(vec![create]).await.unwrap().unwrap();
}

fn event(id: &str, data: &str) -> Envelope {
    Envelope {
        id: id.to_owned(),
        kind: "things.told.v1".to_owned(),
        source: "things".to_owned(),
        subject: "a".to_owned(),
        emitted_at: Timestamp::UNIX_EPOCH,
        traceparent: String::new(),
        correlation_id: "c".to_owned(),
        causation_id: "c".to_owned(),
        data: serde_json::value::RawValue::from_string(data.to_owned()).unwrap(),
    }
}

#[tokio::test]
async fn an_event_that_can_never_be_read_is_parked_and_the_rest_flows() {
    let process = Process::start(&Disk::new(), standing(), 1);
    post(&process, &event("poison", r#"{"id":7}"#)).await;
    process.beside.tell("a", Act::Succeed).await;
    process.bus.relay().await.unwrap();
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 0, 1), 1));
    let letters = process.dead_letters().await;
    assert_eq!((letters[0].event.id.as_str(), letters[0].attempts), ("poison", 1));
    assert!(
        letters[0].last_error.starts_with("the event can't be read as things.told.v1, from byte ")
    );
}

#[tokio::test]
async fn an_event_that_is_relayed_twice_takes_effect_once() {
    let clock = standing();
    let process = Process::start(&Disk::new(), clock.clone(), 1);
    for data in [r#"{"id":"a","act":"Succeed"}"#, r#"{"id":"b","act":"Fail"}"#] {
        for _ in 0..2 {
            post(&process, &event(&data[6..9], data)).await;
            process.bus.relay().await.unwrap();
        }
    }
    assert_eq!((process.waits().await, process.beside.done("a").await), ((0, 1, 0), 1));
    process.beside.mend().await;
    post(&process, &event("\"b\"", r#"{"id":"b","act":"Fail"}"#)).await;
    process.bus.relay().await.unwrap();
    clock.advance(1);
    assert_eq!(process.bus.redeliver().await.unwrap(), 1);
    assert_eq!((process.waits().await, process.beside.done("b").await), ((0, 0, 0), 1));
}

#[tokio::test]
async fn what_nobody_subscribes_to_is_done_when_it_is_published() {
    let process = Process::start(&Disk::new(), standing(), 1);
    let event = Envelope { kind: "things.unheard.v1".to_owned(), ..event("e", "{}") };
    post(&process, &event).await;
    assert_eq!(process.bus.relay().await.unwrap(), 1);
    assert_eq!(process.waits().await, (0, 0, 0));
}

#[tokio::test]
async fn an_event_too_many_is_no_trouble() {
    let process = Process::start(&Disk::new(), standing(), 1);
    for number in 0..250 {
        process.beside.tell(&number.to_string(), Act::Succeed).await;
    }
    assert_eq!(process.bus.relay().await.unwrap(), 250);
    for number in 0..250 {
        assert_eq!(process.beside.done(&number.to_string()).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_events_are_with_subscribers_at_once() {
    let process = Process::start(&Disk::new(), standing(), 1);
    for number in 0..160 {
        process.beside.tell(&number.to_string(), Act::Dawdle).await;
    }
    let began = Instant::now();
    process.bus.relay().await.unwrap();
    // Sixty-four, sixty-four and thirty-two, three seconds and a half each.
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(process.waits().await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_functions_that_commit_but_not_for_long() {
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    let (_stop, stopped) = watch::channel(false);
    let began = Instant::now();
    let busy = async {
        for number in 0.. {
            process.beside.tell(&number.to_string(), Act::Succeed).await;
            tokio::time::advance(Duration::from_millis(1)).await;
            if process.beside.done("0").await == 1 {
                return began.elapsed().as_millis();
            }
        }
        unreachable!("it's taken before the numbers end")
    };
    let taken = tokio::select! {
        taken = busy => taken,
        () = process.bus.carry(stopped) => panic!("nobody stopped it"),
    };
    // Two seconds, and the patience of the batches before it.
    assert!((25..3_000).contains(&taken), "{taken} ms");
}

#[tokio::test(start_paused = true)]
async fn a_bus_at_work_carries_and_tries_again_by_itself() {
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    process.beside.tell("before", Act::Succeed).await;
    let (stop, stopped) = watch::channel(false);
    let carrying = process.bus.carry(stopped);
    let working = async {
        process.bus.settled().await.unwrap();
        process.beside.tell("a", Act::FailTwice).await;
        process.beside.tell("b", Act::GoOn).await;
        process.bus.settled().await.unwrap();
        stop.send_replace(true);
    };
    tokio::join!(carrying, working);
    for id in ["before", "a", "b", "b+"] {
        assert_eq!(process.beside.done(id).await, 1, "{id}");
    }
    assert_eq!(process.waits().await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_announced_is_found() {
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    let (stop, stopped) = watch::channel(false);
    let began = Instant::now();
    let working = async {
        // The bus has found nothing and waits. Now the request's client hangs up after the
        // commit, before the bus is told.
        post(&process, &event("a", r#"{"id":"a","act":"Succeed"}"#)).await;
        process.bus.settled().await.unwrap();
        stop.send_replace(true);
    };
    tokio::join!(process.bus.carry(stopped), working);
    assert_eq!(process.beside.done("a").await, 1);
    // It looks each second, though nobody tells it to.
    assert!((900..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stopping_bus_carries_what_is_left() {
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    process.beside.tell("a", Act::GoOn).await;
    let (_stop, stopped) = watch::channel(true);
    process.bus.carry(stopped).await;
    assert_eq!((process.waits().await, process.beside.done("a+").await), ((0, 0, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_stopping_bus_does_not_wait_for_long() {
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    process.beside.tell("a", Act::Hang).await;
    let (_stop, stopped) = watch::channel(true);
    let began = Instant::now();
    process.bus.carry(stopped).await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(process.waits().await, (1, 0, 0), "it's carried after the next start");
}

#[tokio::test]
async fn dead_letters_are_paged_newest_first() {
    let clock = standing();
    let process = Process::start(&Disk::new(), clock.clone(), 1);
    for id in ["1", "2", "3"] {
        post(&process, &event(id, "{}")).await;
        process.bus.relay().await.unwrap();
        clock.advance(1);
    }
    let first = process.bus.dead_letters(2, None).await.unwrap();
    let ids = |letters: &[DeadLetter]| -> Vec<String> {
        letters.iter().map(|letter| letter.event.id.clone()).collect()
    };
    assert_eq!(ids(&first.items), ["3", "2"]);
    let next = process.bus.dead_letters(2, first.next_page_token.as_deref()).await.unwrap();
    assert_eq!((ids(&next.items), next.next_page_token), (vec!["1".to_owned()], None));
}
