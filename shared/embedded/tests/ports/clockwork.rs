//! The clockwork: every job each second, never twice at once, whatever happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use embedded::Clockwork;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    process::{Disk, Process},
    things::{Act, TokioClock},
};

fn process() -> Process {
    Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1)
}

async fn run_for(clockwork: Clockwork, duration: Duration) {
    let (stop, stopped) = watch::channel(false);
    let stopping = async {
        sleep(duration).await;
        stop.send_replace(true);
    };
    tokio::join!(clockwork.run(stopped), stopping);
}

#[tokio::test(start_paused = true)]
async fn every_job_runs_each_second() {
    let process = process();
    run_for(Clockwork::new(process.host.clone()), Duration::from_millis(10_500)).await;
    assert_eq!(process.beside.done("things.tick").await, 10);
    assert_eq!(process.beside.done("things.tock").await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_panics_or_takes_long_does_not_stop_the_others() {
    for act in [Act::Fail, Act::Panic, Act::Hang, Act::Dawdle] {
        let process = process();
        process.beside.order("things.tick", act).await;
        let clockwork = Clockwork::new(process.host.clone());
        let (stop, stopped) = watch::channel(false);
        tokio::select! {
            () = clockwork.run(stopped) => panic!("nobody stopped it"),
            () = sleep(Duration::from_millis(20_500)) => {}
        }
        drop(stop);
        // Who is late goes on at once: five times three seconds and a half.
        let dawdled = if act == Act::Dawdle { 5 } else { 0 };
        assert_eq!(process.beside.done("things.tick").await, dawdled, "{act:?}");
        assert_eq!(process.beside.done("things.tock").await, 20, "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_failed_runs_again() {
    let process = process();
    process.beside.order("things.tick", Act::FailTwice).await;
    run_for(Clockwork::new(process.host.clone()), Duration::from_millis(5_500)).await;
    assert_eq!(process.beside.done("things.tick").await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_the_clockwork_stops_is_finished() {
    let process = process();
    process.beside.order("things.tick", Act::Dawdle).await;
    let began = Instant::now();
    run_for(Clockwork::new(process.host.clone()), Duration::from_millis(1_500)).await;
    // It began after a second and took three and a half.
    assert!(began.elapsed() >= Duration::from_millis(4_500));
    assert_eq!(process.beside.done("things.tick").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_chore_is_done_each_minute() {
    let process = process();
    let done = Arc::new(AtomicU32::new(0));
    let chore = done.clone();
    let clockwork = Clockwork::new(process.host.clone()).each_minute("tidy", move || {
        let chore = chore.clone();
        async move {
            chore.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    run_for(clockwork, Duration::from_secs(185)).await;
    assert_eq!(done.load(Ordering::SeqCst), 3);
}
