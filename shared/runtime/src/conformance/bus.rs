//! What any bus must do, whatever carries its events.
//!
//! A rule is given a bus that carries the events of one domain, [`letters`], to
//! the domain's own subscribers, which do as each event says. Time passes when
//! the rule says so: on a bus in one process by a clock that is moved, on one
//! with a wire by waiting.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;

use crate::{
    Collection, Domain, Envelope, Key, Ports, Write,
    prelude::{
        Changes, Context, Deserialize, Document, Event, JsonSchema, Result, Serialize, Stored,
        System,
    },
};

/// Names every rule of a bus to a macro, which makes a test of each.
#[macro_export]
macro_rules! bus_rules {
    ($run:ident) => {
        $run! {
            what_is_committed_arrives_and_leaves_the_outbox,
            an_event_arrives_as_it_was_told,
            what_a_subscriber_tells_is_carried_too,
            a_chain_of_events_keeps_its_first_cause,
            what_nobody_subscribes_to_leaves_the_outbox,
            what_a_crash_left_in_the_outbox_is_relayed,
            an_event_that_is_published_twice_takes_effect_once,
            every_event_of_many_arrives_whatever_their_order,
            what_fails_is_delivered_again,
            a_subscriber_that_panics_is_tried_again,
            what_fails_for_ever_is_given_up_and_holds_up_nothing,
            what_was_given_up_can_be_replayed,
            a_replay_reaches_nobody_else_again,
            what_can_never_be_read_is_given_up_at_once,
        }
    };
}

/// A bus, and what it carries the events of.
#[async_trait]
pub trait Carried: Send + Sync {
    /// The ports of [`letters`]: its store, and the bus itself.
    fn ports(&self) -> &Arc<Ports>;
    /// Lets time pass, so that what is due is done.
    async fn pass_time(&self);
    /// How many deliveries are given up by now.
    async fn given_up(&self) -> usize;
    /// Has what was given up tried once more by who couldn't take it.
    async fn replay(&self);
}

/// The domain whose events a bus carries.
pub fn letters() -> Domain {
    Domain::new("letters")
        .collection::<Seen>()
        .event::<Sent>()
        .event::<Read>()
        .event::<Lost>()
        .subscriber(on_sent)
        .subscriber(on_read)
}

/// What the store of [`letters`] must have.
pub fn collections() -> Vec<Collection> {
    letters().collections
}

/// A letter was sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The letter.
    pub id: String,
    /// What its subscriber is to do.
    pub act: Act,
    /// What it says.
    pub text: String,
}

impl Event for Sent {
    const TYPE: &'static str = "letters.sent.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

/// A letter was read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// The letter.
    pub id: String,
}

impl Event for Read {
    const TYPE: &'static str = "letters.read.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

/// A letter was lost, and nobody wants to know.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// The letter.
    pub id: String,
}

impl Event for Lost {
    const TYPE: &'static str = "letters.lost.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

/// What a subscriber is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Act {
    /// Take it.
    Take,
    /// Take it, and tell that it was read.
    Answer,
    /// Fail twice, then take it.
    FailTwice,
    /// Panic once, then take it.
    PanicOnce,
    /// Fail until everything is mended.
    Fail,
}

/// What became of a letter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    id: String,
    /// How often it took effect.
    times: u32,
    /// How often it was tried.
    tries: u32,
    /// What it said.
    text: String,
}

impl Document for Seen {
    const COLLECTION: &'static str = "seen";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The id of what says that everything is mended.
const MENDED: &str = "mended";

async fn seen(cx: &Context<System>, id: &str) -> Result<Stored<Seen>> {
    let fresh = || Stored::new(Seen { id: id.to_owned(), ..Seen::default() });
    Ok(cx.get::<Seen>(id).await?.unwrap_or_else(fresh))
}

async fn on_sent(cx: Context<System>, event: Sent) -> Result<()> {
    let mut letter = seen(&cx, &event.id).await?;
    letter.tries += 1;
    let tries = letter.tries;
    let is_mended = cx.get::<Seen>(MENDED).await?.is_some();
    match event.act {
        Act::FailTwice if tries <= 2 => {
            cx.commit_part(Changes::new().save(&letter)).await?;
            return Err(anyhow::anyhow!("{} fails", event.id).into());
        }
        Act::PanicOnce if tries == 1 => {
            cx.commit_part(Changes::new().save(&letter)).await?;
            panic!("{} panics", event.id);
        }
        Act::Fail if !is_mended => {
            return Err(anyhow::anyhow!("{} fails", event.id).into());
        }
        _ => {}
    }
    letter.times += 1;
    letter.text = event.text;
    let mut changes = Changes::new().save(&letter);
    if event.act == Act::Answer {
        changes = changes.emit(&Read { id: event.id });
    }
    cx.commit(changes).await
}

async fn on_read(cx: Context<System>, event: Read) -> Result<()> {
    let mut read = seen(&cx, &format!("{} read", event.id)).await?;
    read.times += 1;
    read.text.clone_from(&cx.run.cause.as_ref().expect("it's an event's").correlation_id);
    cx.commit(Changes::new().save(&read)).await
}

/// How often time may pass until something must have come about.
const PATIENCE: u32 = 400;

/// What a rule does with the bus that it's given.
struct Post<'a>(&'a dyn Carried);

impl Post<'_> {
    fn cx(&self) -> Context<System> {
        Context::of_platform("letters", self.0.ports())
    }

    /// Commits that a letter was sent.
    async fn send(&self, id: &str, act: Act) {
        let sent = Sent { id: id.to_owned(), act, text: format!("{id} «ñ» 🎓 \"\\\n") };
        let committed = self.cx().commit(Changes::new().emit(&sent)).await;
        committed.expect("a commit without rivals");
    }

    /// Mends everything.
    async fn mend(&self) {
        let mended = Seen { id: MENDED.to_owned(), ..Seen::default() };
        let committed = self.cx().commit(Changes::new().create(&mended)).await;
        committed.expect("it's mended once");
    }

    /// What became of a letter.
    async fn seen(&self, id: &str) -> Seen {
        seen(&self.cx(), id).await.expect("a store reads").into_inner()
    }

    /// How often it took effect.
    async fn times(&self, id: &str) -> u32 {
        self.seen(id).await.times
    }

    /// How many events wait in the outbox.
    async fn waiting(&self) -> u64 {
        let all = crate::Query::ascending::<Envelope>("emitted_at");
        self.cx().count(&all).await.expect("a store counts")
    }

    /// Waits until a letter has taken effect.
    async fn taken(&self, id: &str) {
        self.until(&format!("{id} is taken"), async || self.times(id).await > 0).await;
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..PATIENCE {
            if is_so().await {
                return;
            }
            self.0.pass_time().await;
        }
        panic!("it never came about that {what}");
    }

    /// An event that no commit has told.
    fn event(&self, id: &str, data: &str) -> Envelope {
        Envelope {
            id: self.0.ports().random.id(),
            kind: Sent::TYPE.to_owned(),
            source: "letters".to_owned(),
            subject: id.to_owned(),
            emitted_at: self.0.ports().clock.now(),
            traceparent: String::new(),
            correlation_id: "c".to_owned(),
            causation_id: "c".to_owned(),
            data: RawValue::from_string(data.to_owned()).expect("it's JSON"),
        }
    }

    fn plain(&self, id: &str) -> Envelope {
        let sent = Sent { id: id.to_owned(), act: Act::Take, text: String::new() };
        self.event(id, &serde_json::to_string(&sent).expect("an event is JSON"))
    }

    async fn publish(&self, events: &[Envelope]) {
        self.0.ports().bus.publish(events).await.expect("a bus publishes");
    }
}

/// Nothing that was committed is lost, and nothing stays.
pub async fn what_is_committed_arrives_and_leaves_the_outbox(given: &dyn Carried) {
    let post = Post(given);
    post.send("a", Act::Take).await;
    post.taken("a").await;
    post.until("the outbox is empty", async || post.waiting().await == 0).await;
    assert_eq!(post.times("a").await, 1);
}

/// Not a byte is changed on the way.
pub async fn an_event_arrives_as_it_was_told(given: &dyn Carried) {
    let post = Post(given);
    post.send("a b", Act::Take).await;
    post.taken("a b").await;
    assert_eq!(post.seen("a b").await.text, "a b «ñ» 🎓 \"\\\n");
}

/// A subscriber's own events are as good as a request's.
pub async fn what_a_subscriber_tells_is_carried_too(given: &dyn Carried) {
    let post = Post(given);
    post.send("a", Act::Answer).await;
    post.taken("a read").await;
    assert_eq!((post.times("a").await, post.times("a read").await), (1, 1));
}

/// Who looks at an event finds what began it all.
pub async fn a_chain_of_events_keeps_its_first_cause(given: &dyn Carried) {
    let post = Post(given);
    let sent = Sent { id: "a".to_owned(), act: Act::Answer, text: String::new() };
    let event = post.event("a", &serde_json::to_string(&sent).expect("an event is JSON"));
    let event = Envelope { correlation_id: "the first cause".to_owned(), ..event };
    post.publish(&[event]).await;
    post.taken("a read").await;
    assert_eq!(post.seen("a read").await.text, "the first cause");
}

/// Nobody has to listen.
pub async fn what_nobody_subscribes_to_leaves_the_outbox(given: &dyn Carried) {
    let post = Post(given);
    let lost = Lost { id: "a".to_owned() };
    post.cx().commit(Changes::new().emit(&lost)).await.expect("a commit without rivals");
    post.until("the outbox is empty", async || post.waiting().await == 0).await;
    assert_eq!(given.given_up().await, 0);
}

/// A process that died between its commit and its publishing has lost nothing.
pub async fn what_a_crash_left_in_the_outbox_is_relayed(given: &dyn Carried) {
    let post = Post(given);
    let event = post.plain("a");
    let row = serde_json::to_string(&event).expect("an envelope is JSON");
    let row = Write::Create(Key::of::<Envelope>(event.id), row);
    let store = &given.ports().store;
    store.commit(vec![row]).await.expect("a commit that a store takes").expect("a new id");
    let relayed = crate::relay(&**store, &*given.ports().bus).await.expect("a bus publishes");
    assert_eq!((relayed, post.waiting().await), (1, 0));
    post.taken("a").await;
}

/// At least once on the wire is exactly once in the store.
pub async fn an_event_that_is_published_twice_takes_effect_once(given: &dyn Carried) {
    let post = Post(given);
    let event = post.plain("a");
    post.publish(&[event.clone(), event.clone()]).await;
    post.taken("a").await;
    post.publish(&[event, post.plain("b")]).await;
    post.taken("b").await;
    post.send("c", Act::Take).await;
    post.taken("c").await;
    assert_eq!((post.times("a").await, post.times("b").await), (1, 1));
}

/// No order is promised; that none is missing is.
pub async fn every_event_of_many_arrives_whatever_their_order(given: &dyn Carried) {
    let post = Post(given);
    let ids: Vec<_> = (0..40).map(|number| format!("letter {number}")).collect();
    let events: Vec<_> = ids.iter().map(|id| post.plain(id)).collect();
    post.publish(&events).await;
    for id in &ids {
        post.taken(id).await;
    }
    for id in &ids {
        assert_eq!(post.times(id).await, 1, "{id}");
    }
}

/// Who couldn't take it gets it again.
pub async fn what_fails_is_delivered_again(given: &dyn Carried) {
    let post = Post(given);
    post.send("a", Act::FailTwice).await;
    post.taken("a").await;
    let seen = post.seen("a").await;
    assert_eq!((seen.times, seen.tries), (1, 3));
}

/// A bug is a failure like any other.
pub async fn a_subscriber_that_panics_is_tried_again(given: &dyn Carried) {
    let post = Post(given);
    post.send("a", Act::PanicOnce).await;
    post.taken("a").await;
    assert_eq!(post.times("a").await, 1);
}

/// What nobody can take is kept apart, and the rest flows.
pub async fn what_fails_for_ever_is_given_up_and_holds_up_nothing(given: &dyn Carried) {
    let post = Post(given);
    post.send("bad", Act::Fail).await;
    post.send("good", Act::Take).await;
    post.taken("good").await;
    post.until("it's given up", async || given.given_up().await == 1).await;
    post.send("better", Act::Take).await;
    post.taken("better").await;
    assert_eq!((post.times("bad").await, given.given_up().await), (0, 1));
}

/// Once the cause is mended, nothing needs to stay undone.
pub async fn what_was_given_up_can_be_replayed(given: &dyn Carried) {
    let post = Post(given);
    post.send("bad", Act::Fail).await;
    post.until("it's given up", async || given.given_up().await == 1).await;
    post.mend().await;
    given.replay().await;
    post.taken("bad").await;
    post.until("nothing is given up", async || given.given_up().await == 0).await;
    assert_eq!(post.times("bad").await, 1);
}

/// A replay is for who couldn't take it alone, and takes effect once too.
pub async fn a_replay_reaches_nobody_else_again(given: &dyn Carried) {
    let post = Post(given);
    post.send("good", Act::Answer).await;
    post.send("bad", Act::Fail).await;
    post.taken("good read").await;
    post.until("it's given up", async || given.given_up().await == 1).await;
    post.mend().await;
    given.replay().await;
    given.replay().await;
    post.taken("bad").await;
    post.send("last", Act::Take).await;
    post.taken("last").await;
    for id in ["good", "good read", "bad"] {
        assert_eq!(post.times(id).await, 1, "{id}");
    }
}

/// Trying again can't mend what isn't an event of its type.
pub async fn what_can_never_be_read_is_given_up_at_once(given: &dyn Carried) {
    let post = Post(given);
    post.publish(&[post.event("poison", r#"{"id":7}"#), post.plain("good")]).await;
    post.taken("good").await;
    post.until("it's given up", async || given.given_up().await == 1).await;
    assert_eq!(post.times("poison").await, 0);
}

#[cfg(test)]
mod tests {
    /// A rule that isn't listed is run by nobody.
    #[test]
    fn every_rule_is_listed() {
        macro_rules! names {
            ($($rule:ident),+ $(,)?) => { [$(stringify!($rule)),+] };
        }
        let listed = bus_rules!(names);
        let written: Vec<_> = include_str!("bus.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        assert_eq!(written, listed);
    }
}
