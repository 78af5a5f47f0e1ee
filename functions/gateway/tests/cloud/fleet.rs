//! No process outlives the gateway.

use crate::{
    cloud::{Cloud, lives, signal},
    support::until,
};

/// What a process says last that has finished what it did.
const STOPPED: &str = r#""message":"stopped""#;

#[test]
fn every_process_ends_with_the_gateway_however_that_ends() {
    for gently in [true, false] {
        let Some(mut cloud) = Cloud::start(&["--per", "domain"]) else { return };
        let processes: Vec<_> = cloud.processes().iter().filter_map(|it| it.id).collect();
        assert_eq!(processes.len(), gateway::domains().len());
        assert!(processes.iter().all(|it| lives(*it)));
        if gently {
            assert!(cloud.stop());
            // Each has finished what it did, and so has the gateway.
            let count = cloud.said().iter().filter(|it| it.contains(STOPPED)).count();
            assert!(count > processes.len(), "{count} of {}", processes.len());
        } else {
            cloud.kill();
        }
        until("all processes to end", || (!processes.iter().any(|it| lives(*it))).then_some(()));
    }
}

#[test]
fn a_process_that_is_killed_is_started_again_and_its_callers_wait() {
    let Some(cloud) = Cloud::start(&["--per", "domain"]) else { return };
    for _ in 0..3 {
        let before = cloud.process("courses").id.expect("it runs");
        signal("-KILL", before);
        until("it to end", || (!lives(before)).then_some(()));
        // Nobody who asks now is told that it isn't there.
        cloud.get("/v1/courses", "").ok();
        let after = cloud.process("courses").id.expect("it runs");
        assert_ne!(before, after);
    }
}
