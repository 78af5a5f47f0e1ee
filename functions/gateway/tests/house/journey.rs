//! The main job on a laptop: from an account to a reminder.

use crate::{
    discretion::tempt,
    main_job::main_job,
    support::{Options, Server, server},
};

#[test]
fn from_an_account_to_the_last_seat_the_queue_a_promotion_and_a_reminder() {
    let mut server = Server::start(Options::default());
    main_job(&server, 6);
    assert!(server.terminate().success());
    // Nobody reads in the log who they are, nor what lets them in.
    assert!(server.secrets.count() > 20);
    server.secrets.are_not_in(&server.said());

    // What is kept is right.
    let audit = server::run(server.data(), &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
}

#[test]
fn whatever_people_do_the_log_tells_nothing_of_them() {
    let mut server = Server::start(Options::default());
    tempt(&server);
    assert!(server.terminate().success());
    let said = server.said();
    let registers =
        |it: &&String| it.contains(r#""/v1/users""#) && it.contains("identity.register");
    assert!(said.iter().filter(registers).count() > 8, "every request is told");
    assert!(said.iter().any(|it| it.contains(r#""/v1/users/…""#)), "they were put in paths");
    server.secrets.are_not_in(&said);
}
