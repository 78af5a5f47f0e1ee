//! The main job on a laptop: from an account to a reminder.

use crate::{
    discretion::tempt,
    main_job::main_job,
    support::{Options, Server, server, until},
};

#[test]
fn from_an_account_to_the_last_seat_the_queue_a_promotion_and_a_reminder() {
    let server = Server::start(Options::default());
    main_job(&server, 6);
    // Nobody reads in the log who they are, nor what lets them in.
    assert!(server.secrets.count() > 20);
    server.secrets.are_not_in(&server.said());

    // What is kept is right.
    let data = server.stop();
    let audit = server::run(&data, &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
    let _ = std::fs::remove_dir_all(data);
}

#[test]
fn whatever_people_do_the_log_tells_nothing_of_them() {
    let server = Server::start(Options::default());
    tempt(&server);
    // Lines gather for a moment before they are told.
    until("the last request to be told", || {
        let paths = |it: &String| it.contains(r#""/v1/users""#) && it.contains("identity.register");
        (server.said().iter().filter(|it| paths(it)).count() > 8).then_some(())
    });
    let said = server.said();
    assert!(said.iter().any(|it| it.contains(r#""/v1/users/…""#)), "they were put in paths");
    server.secrets.are_not_in(&said);
}
