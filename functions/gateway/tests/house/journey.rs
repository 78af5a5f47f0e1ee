//! The main job on a laptop: from an account to a reminder.

use crate::{
    discretion::tempt,
    main_job::main_job,
    support::{Options, Server, server},
};

#[test]
fn from_an_account_to_the_last_seat_the_queue_a_promotion_and_a_reminder() {
    let server = Server::start(Options::default());
    main_job(&server, 6);
    tempt(&server);

    // Nobody reads in the log who they are, nor what lets them in.
    let said = server.said();
    assert!(said.iter().filter(|it| it.contains(r#""httpRequest""#)).count() > 50, "{said:#?}");
    assert!(server.secrets.count() > 20);
    assert!(said.iter().any(|it| it.contains(r#""/v1/users/…""#)), "they were put in paths");
    server.secrets.are_not_in(&said);

    // What is kept is right.
    let data = server.stop();
    let audit = server::run(&data, &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
    let _ = std::fs::remove_dir_all(data);
}
