//! The race for seats on a laptop.

use crate::{
    seats::race,
    support::{Options, Server, server},
};

#[test]
fn two_hundred_people_get_ten_seats_and_the_rest_wait_in_the_order_of_joining() {
    let server = Server::start(Options::default());
    race(&server);

    let data = server.stop();
    let audit = server::run(&data, &["audit"]);
    assert!(audit.status.success(), "{audit:?}");
    let _ = std::fs::remove_dir_all(data);
}
