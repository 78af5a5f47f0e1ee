//! A crowd that signs in at once. It has a process of its own, for it takes
//! every worker that hashes.

use std::thread::available_parallelism;

use futures_util::future::join_all;
use testing::{App, json};

#[tokio::test]
async fn whoever_comes_when_too_many_sign_in_is_asked_to_come_back() {
    let app = App::of(identity::domain);
    let crowd = 100 + 8 * available_parallelism().map_or(1, usize::from);
    let sign_in = json!({ "email": "ada@example.org", "password": "correct horse battery" });
    let anyone = app.anyone();
    let answers = join_all((0..crowd).map(|_| anyone.post("/v1/sessions", &sign_in))).await;

    let (turned_away, heard): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 503);
    for answer in &turned_away {
        answer.is(runtime::problems::UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), "1");
    }
    // After the first wrong passwords the others have to wait.
    assert!(heard.iter().all(|it| matches!(it.status, 401 | 429)));
    assert!(!turned_away.is_empty() && heard.len() >= 64, "{} were heard", heard.len());

    let other = json!({ "email": "bob@example.org", "password": "correct horse battery" });
    assert_eq!(anyone.post("/v1/sessions", &other).await.status, 401);
    assert!(identity::password::median_micros().is_some());
}
