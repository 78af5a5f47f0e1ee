//! The house's journeys, word for word the same as on the server of one process.

use crate::{
    cloud::Cloud, discretion::tempt, foreign_tokens, main_job::main_job, seats::race,
    support::Issuer,
};

#[test]
fn the_main_job_is_done_by_a_process_for_each_function() {
    let Some(mut cloud) = Cloud::start(&[]) else { return };
    assert!(cloud.processes().len() > 50);
    main_job(&cloud, 30);
    tempt(&cloud);
    cloud.note_settings();
    assert!(cloud.stop());

    // What lets functions in and what they sign with isn't told either.
    let said = cloud.said();
    for function in ["identity.sign_in", "enrollments.enroll", "notifications.send_due"] {
        assert!(said.iter().any(|it| it.contains(function)), "{function} has told nothing");
    }
    cloud.secrets.are_not_in(&said);
}

#[test]
fn the_main_job_is_done_by_a_process_for_each_domain() {
    let Some(mut cloud) = Cloud::start(&["--per", "domain"]) else { return };
    assert_eq!(cloud.processes().len(), gateway::domains().len());
    main_job(&cloud, 30);
    assert!(cloud.stop());
}

#[test]
fn two_hundred_people_get_ten_seats_in_the_cloud_too() {
    let Some(cloud) = Cloud::start(&[]) else { return };
    race(&cloud);
}

#[test]
fn tokens_of_a_second_issuer_are_taken_by_a_process_for_each_function() {
    let Some(issuer) = Issuer::start() else { return };
    let words = issuer.words();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let Some(cloud) = Cloud::start(&words) else { return };
    foreign_tokens::journey(&cloud, &issuer);
    // What tells of the platform itself takes them too.
    let root = issuer.token(crate::support::ADMIN_EMAIL, &serde_json::json!({}));
    cloud.get("/v1/services", &root).ok();
}
