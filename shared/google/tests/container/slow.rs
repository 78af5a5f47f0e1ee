//! A subscriber that takes longer than Pub/Sub waits: the same event comes again
//! while it's still being handled.

use std::sync::LazyLock;

use google::Names;
use runtime::{
    Domain, Query,
    prelude::{Changes, Context, Document, Event, JsonSchema, Result, System},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use testing::emulators;
use tokio::sync::watch;

use crate::{
    courier::Courier,
    stock::{Carried, until},
};

/// Something was put into the kiln, where things take their time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Filled {
    revision: u64,
}

impl Event for Filled {
    const TYPE: &'static str = "kiln.filled.v1";
    fn subject(&self) -> String {
        "the kiln".to_owned()
    }
}

/// What came out of it. Each has an id of its own: nothing but the mark of the event that was
/// handled keeps a second one from being made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fired {
    id: String,
}

impl Document for Fired {
    const COLLECTION: &'static str = "fired";
    const INDEXES: &'static [runtime::Index] = &[runtime::Index::ascending("id")];
    fn key(&self) -> String {
        self.id.clone()
    }
}

fn kiln() -> Domain {
    Domain::new("kiln").collection::<Fired>().event::<Filled>().subscriber(on_filled)
}

/// How often the event has come.
static CAME: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

/// Isn't done before the event has come again.
async fn on_filled(cx: Context<System>, _: Filled) -> Result<()> {
    CAME.send_modify(|it| *it += 1);
    drop(CAME.subscribe().wait_for(|it| *it >= 2).await);
    cx.commit(Changes::new().create(&Fired { id: cx.random().id() })).await
}

/// Makes the subscription before the others are laid out: one that waits for an answer as
/// briefly as Pub/Sub can.
async fn waits_briefly(emulator: &str, names: &Names, endpoint: &str) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let topic = names.topic(Filled::TYPE);
    let subscription = json!({
        "topic": topic,
        "pushConfig": { "pushEndpoint": endpoint },
        "ackDeadlineSeconds": 10,
    });
    let subscribed = names.subscription("kiln.on_kiln_filled");
    for (name, body) in [(topic, json!({})), (subscribed, subscription)] {
        let put = client.put(format!("http://{emulator}/v1/{name}")).json(&body).send().await;
        assert_eq!(put.unwrap().status(), 200, "{name}");
    }
}

#[tokio::test]
async fn what_comes_again_while_it_is_still_handled_takes_effect_once() {
    let Some(emulator) = emulators::pubsub() else { return };
    let kiln = Carried::start(emulator, kiln, &emulator.host()).await;
    let courier = Courier::faithful(&kiln.container.url).await;
    let endpoint = format!("{}/events/kiln.on_kiln_filled", courier.url);
    waits_briefly(&emulator.host(), &kiln.names, &endpoint).await;
    kiln.is_pushed_to(&courier.url).await;

    let filled = Changes::new().emit(&Filled { revision: 1 });
    Context::of_platform("kiln", &kiln.ports).commit(filled).await.unwrap();
    until("both are answered", async || courier.log().taken.len() >= 2).await;
    // Both were being handled at once, and Pub/Sub was told of both that they are.
    assert_eq!(courier.log().pushed.values().sum::<u32>(), 2);
    let fired = Query::ascending::<Fired>("id");
    assert_eq!(kiln.container.store.count(&fired).await.unwrap(), 1);
    assert_eq!(kiln.given_up().await, 0);
}
