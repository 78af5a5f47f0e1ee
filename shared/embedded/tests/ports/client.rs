//! Asking another domain in the same process.

use std::sync::Arc;

use embedded::{LocalClient, Options, Platform};
use runtime::{Client, Error, Outgoing, Trace, prelude::*};
use testing::SeededRandom;

use crate::things::{Act, Ask, Beside, NOBODY, domains, keyring, settings};

fn platform() -> (Platform, Beside) {
    let options = Options { keyring: Some(keyring()), ..Options::new(settings()) };
    let platform = Platform::start(options, domains()).unwrap();
    let beside = Beside::new(platform.ports("things").unwrap());
    (platform, beside)
}

fn ask(id: &str, act: Option<Act>) -> Ask {
    Ask { id: id.to_owned(), act }
}

#[tokio::test]
async fn another_domain_answers_or_refuses() {
    let (_platform, beside) = platform();
    assert_eq!(beside.0.call(ask("ada", None)).await.unwrap(), "I am ada");
    match beside.0.call(ask("nobody", None)).await {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.problem, NOBODY),
        other => panic!("{other:?}"),
    }
    assert!(matches!(beside.0.call(ask("ada", Some(Act::Fail))).await, Err(Error::Internal(_))));
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_does_not_answer_is_not_waited_for_for_long() {
    let (_platform, beside) = platform();
    let answer = beside.0.call(ask("ada", Some(Act::Hang))).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn before_there_is_a_host_a_call_fails() {
    let random = Arc::new(SeededRandom::of(1));
    let trace = Trace::continued(None, &*random);
    let outgoing = Outgoing {
        operation: Ask::OPERATION,
        route: Ask::ROUTE,
        path: Vec::new(),
        query: String::new(),
        body: runtime::Bytes::new(),
    };
    assert!(LocalClient::new(random).send(outgoing, &trace).await.is_err());
}
