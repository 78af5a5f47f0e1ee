//! The main job on a laptop: from an account to a reminder.

use crate::{
    main_job::main_job,
    support::{Options, Server, server},
};

#[test]
fn from_an_account_to_the_last_seat_the_queue_a_promotion_and_a_reminder() {
    let server = Server::start(Options::default());
    main_job(&server, 6);

    // What is kept is right.
    let data = server.stop();
    let audit = server::run(&data, &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
    let _ = std::fs::remove_dir_all(data);
}
