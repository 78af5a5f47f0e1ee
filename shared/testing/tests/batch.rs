//! A batch that is decided in parts: in the order of arrival, with whoever comes meanwhile.

use std::time::Duration;

use contracts::{Event, Idempotency};
use futures_util::future::join_all;
use runtime::{Batched, Call, Domain, Outcome, prelude::*};
use testing::{Answer, App, json};
use tokio::sync::{Notify, Semaphore};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Count {
    id: String,
    taken: u32,
}

impl Document for Count {
    const COLLECTION: &'static str = "counts";
    fn key(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Taken {
    name: String,
    number: u32,
}

impl Event for Taken {
    const TYPE: &'static str = "things.taken.v1";
    fn subject(&self) -> String {
        self.name.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Take {
    name: Line<1, 20>,
}

impl Endpoint for Take {
    const OPERATION: &'static str = "things.take";
    const ROUTE: Route = Route::create("/v1/things");
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = Taken;
}

/// Who comes while somebody else is decided.
const LATER: [&str; 3] = ["ben", "cid", "dan"];

/// How many of them have come.
static HAVE_COME: Semaphore = Semaphore::const_new(0);

/// The first is being decided.
static IS_DECIDED: Notify = Notify::const_new();

impl Batched for Take {
    fn lane(&self) -> String {
        // It's asked for when a request has come as far as the others of its batch.
        if LATER.contains(&&*self.name) {
            HAVE_COME.add_permits(1);
        }
        "all".to_owned()
    }
}

/// Decides the first of a batch alone; one can't be decided at all.
async fn take(cx: Context<System>, calls: Vec<Call<User, Take>>) -> Result<Outcome<Taken>> {
    let name = calls[0].request.name.to_string();
    if name == "impossible" {
        return Err(anyhow::anyhow!("it can't be decided").into());
    }
    let none = || Stored::new(Count { id: "all".to_owned(), taken: 0 });
    let mut count = cx.get::<Count>("all").await?.unwrap_or_else(none);
    count.taken += 1;
    let taken = Taken { name, number: count.taken };
    let told = Changes::new().emit(&taken);
    Ok(Outcome { shared: Changes::new().save(&count), verdicts: vec![Ok((taken, told))] })
}

/// Decides two of a batch, and tells them of how many they were; the first only when the
/// others have come.
async fn take_two(_: Context<System>, calls: Vec<Call<User, Take>>) -> Result<Outcome<Taken>> {
    if &*calls[0].request.name == "first" {
        IS_DECIDED.notify_one();
        drop(HAVE_COME.acquire_many(3).await.expect("it stays open"));
    }
    let number = u32::try_from(calls.len()).expect("they are few");
    let verdict = |call: Call<_, Take>| {
        Ok((Taken { name: call.request.name.to_string(), number }, Changes::new()))
    };
    let verdicts = calls.into_iter().take(2).map(verdict).collect();
    Ok(Outcome { shared: Changes::new(), verdicts })
}

/// Decides all, and tells them of how many they were.
async fn take_all(_: Context<System>, calls: Vec<Call<User, Take>>) -> Result<Outcome<Taken>> {
    let number = u32::try_from(calls.len()).expect("they are few");
    let verdict = |call: Call<_, Take>| {
        Ok((Taken { name: call.request.name.to_string(), number }, Changes::new()))
    };
    let verdicts = calls.into_iter().map(verdict).collect();
    Ok(Outcome { shared: Changes::new(), verdicts })
}

fn domain() -> Domain {
    Domain::new("things").collection::<Count>().event::<Taken>().batch(take)
}

async fn all(app: &App, names: &[&str]) -> Vec<Answer> {
    let ada = app.user("ada");
    join_all(names.iter().map(|name| ada.post("/v1/things", json!({ "name": name })))).await
}

async fn told(app: &App) -> Vec<(String, u32)> {
    app.emitted::<Taken>().await.into_iter().map(|it| (it.name, it.number)).collect()
}

#[tokio::test]
async fn everybody_is_answered_in_the_order_of_arrival_and_told_of_once() {
    let app = App::of(domain);
    let names = ["a", "b", "c", "d", "e"];
    let answers = all(&app, &names).await;
    let numbers: Vec<_> = answers.iter().map(|it| it.ok()["number"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let expected: Vec<_> = names.iter().map(ToString::to_string).zip(1..).collect();
    assert_eq!(told(&app).await, expected);
}

#[tokio::test]
async fn what_was_decided_before_a_fault_is_answered_and_told() {
    let app = App::of(domain);
    let answers = all(&app, &["a", "b", "impossible"]).await;
    assert_eq!(answers.iter().map(|it| it.status).collect::<Vec<_>>(), [201, 201, 500]);
    assert_eq!(told(&app).await, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    // The lane is open again.
    assert_eq!(all(&app, &["c"]).await[0].ok()["number"], 3);
}

/// The time that a batch waits for company passes only when nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn who_is_left_is_decided_with_those_who_come_back() {
    let app = App::of(|| Domain::new("things").event::<Taken>().batch(take_two));
    let ask = async |name| all(&app, &[name]).await[0].ok()["number"].clone();
    let both = async |one, other| (ask(one).await, ask(other).await);
    let meanwhile = async {
        IS_DECIDED.notified().await;
        tokio::join!(both("ben", "ben again"), both("cid", "cid again"), ask("dan"))
    };
    let (first, (ben, cid, dan)) = tokio::join!(ask("first"), meanwhile);
    assert_eq!(first, 1);
    // Two were decided of three. The third was left, and waited for both: again they're three.
    assert_eq!((&ben.0, &cid.0, &dan), (&json!(3), &json!(3), &json!(3)));
    // Of those, one is left, for whom nobody comes back in time.
    let mut again = [ben.1.as_u64(), cid.1.as_u64()];
    again.sort_unstable();
    assert_eq!(again, [Some(1), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn while_some_come_back_the_others_are_waited_for_once_more() {
    let app = App::of(|| Domain::new("things").event::<Taken>().batch(take_all));
    let ask = async |name| all(&app, &[name]).await[0].ok()["number"].clone();
    let after = async |millis, name| {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        ask(name).await
    };
    let crowd = || join_all(["a", "b", "c"].map(ask));
    assert_eq!(crowd().await, [3, 3, 3]);
    // Of the three one is back at once, and two when patience has run out once.
    let back =
        async { tokio::join!(after(1, "a again"), after(3, "b again"), after(3, "c again")) };
    assert_eq!(back.await, (json!(3), json!(3), json!(3)));
    // For those who come later nobody has waited.
    let late = async { tokio::join!(after(1, "d"), after(5, "e")) };
    assert_eq!(late.await, (json!(1), json!(1)));
}
