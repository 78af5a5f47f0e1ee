//! A domain: its functions, its events, its documents, as its `lib.rs` declares
//! them.
//!
//! All that must be known of a function, its types say. Here the types end: a
//! function becomes a boxed one from a request's parts to a reply, so that what
//! serves functions is compiled once, not once for each.

use std::{
    any::{Any, TypeId},
    borrow::Cow,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::body::Bytes;
use contracts::{
    Body, Content, Endpoint, Event, Idempotency, JSON, Language, Method, Problem, Rate, Route,
    identity::ExchangeToken,
};
use serde::Serialize;

use crate::{
    Access, Batched, Call, Caller, Collection, Context, Document, Envelope, Error, Outcome, Ports,
    Refusal, Result, Sender, Shape, System, Trace,
    answering::{Answering, Attempt, Declared},
    batch::Lanes,
    caller::Origin,
    context::{Cause, Handled, Run as ContextRun},
    decode::{Parts, decode},
    idempotency::{self, Keyed, Running},
    outbox::{Parked, Unreadable},
    remembered::Remembered,
    turns::Turns,
};

/// A domain, as its `lib.rs` declares it.
pub struct Domain {
    /// Its name.
    pub name: &'static str,
    /// Its functions, in the order of the table of contents.
    pub functions: Vec<Function>,
    /// The events that it emits.
    pub events: Vec<EventType>,
    /// The collections that it owns.
    pub collections: Vec<Collection>,
    /// The operations of other domains that it calls.
    pub calls: Vec<&'static str>,
    /// What it needs of the platform beyond its own documents and events.
    pub needs: Vec<Need>,
    /// Whose turn it is at its documents, of those who have lost a race here.
    turns: Arc<Turns>,
}

/// Something of the platform that a domain must be let in to. What isn't
/// declared, its account in the cloud may not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To sign access tokens.
    Signing,
    /// To hand mail to the provider.
    Mail,
    /// To keep files that people upload.
    Files,
}

impl Need {
    /// Its name in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Mail => "mail",
            Self::Files => "files",
        }
    }
}

/// A function: one deployable unit.
pub struct Function {
    /// Its id: `domain.name`.
    pub id: String,
    /// Who may call it.
    pub access: Access,
    /// What runs it.
    pub trigger: Trigger,
}

/// What runs a function, and how.
pub enum Trigger {
    /// A request.
    Http(Operation),
    /// An event of this type.
    Event(Subscription),
    /// The clock.
    Schedule(Schedule),
}

/// An event, as the documents describe it.
pub struct EventType {
    /// Its type: `domain.fact.vN`.
    pub kind: &'static str,
    /// Its schema.
    pub schema: Shape,
}

/// A function that requests run.
pub struct Operation {
    /// Where it is.
    pub route: Route,
    /// What it may refuse.
    pub problems: &'static [Problem],
    /// What an `Idempotency-Key` does.
    pub idempotency: Idempotency,
    /// How often one may ask.
    pub rate: Rate,
    /// What the body of a request is.
    pub body: Body,
    /// The fields that are read from a header, each with its header.
    pub headers: &'static [(&'static str, &'static str)],
    /// The media type of the answer.
    pub answers: &'static str,
    /// The request's schema.
    pub request: Shape,
    /// The response's schema.
    pub response: Shape,
    /// Whether it answers with nothing.
    pub answers_nothing: bool,
    pub(crate) run: Arc<RunOperation>,
}

/// A function that events run.
pub struct Subscription {
    /// The event's type.
    pub kind: &'static str,
    pub(crate) run: Arc<RunSubscriber>,
}

/// A function that the clock runs.
pub struct Schedule {
    /// When, as a cron expression in UTC; a laptop runs every job each second.
    pub cron: &'static str,
    /// Whether it's the platform's own, which relays what was left in the
    /// outbox: a bus that carries in the background needs none.
    pub is_relay: bool,
    pub(crate) run: Arc<RunJob>,
}

/// Something that is done at certain times.
pub trait Job: Default + Send + 'static {
    /// The function's id: `domain.verb`.
    const NAME: &'static str;
    /// When, as a cron expression, in UTC.
    const SCHEDULE: &'static str;
}

/// A request as it arrives, its caller known.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The fields of the path, and `etag` if there's an `If-Match`.
    pub bound: Vec<(Cow<'static, str>, String)>,
    /// The query, still encoded.
    pub query: String,
    /// The body.
    pub body: Bytes,
    /// Where it comes from.
    pub origin: Origin,
    /// What sent it.
    pub sender: Sender,
    /// The language to answer in.
    pub language: Language,
    /// The trace that it belongs to.
    pub trace: Trace,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The content; empty if there's nothing to say.
    pub body: Bytes,
    /// The media type of an answer; a refusal has its own.
    pub media_type: &'static str,
    /// Whether it's an earlier answer, given again.
    pub replayed: bool,
    /// In how many seconds it may work.
    pub retry_after: Option<u32>,
    /// The problem's name, if it's a refusal.
    pub problem: Option<&'static str>,
}

impl Reply {
    pub(crate) const fn new(status: u16, body: Bytes) -> Self {
        let (replayed, retry_after, problem) = (false, None, None);
        Self { status, body, media_type: JSON, replayed, retry_after, problem }
    }

    /// What an operation has answered.
    pub(crate) fn of<E: Endpoint>(response: &E::Response) -> Result<Self> {
        match (response as &dyn Any).downcast_ref::<Content>() {
            Some(content) => {
                let body = content.as_bytes().to_vec().into();
                Ok(Self { media_type: E::ANSWERS, ..Self::new(E::ROUTE.status, body) })
            }
            None => Self::json(E::ROUTE.status, response),
        }
    }

    /// An answer.
    pub(crate) fn json(status: u16, response: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(response).context("answers are JSON")?;
        // `()` is null, and null is nothing.
        let body = if body == b"null" { Vec::new() } else { body };
        Ok(Self::new(status, body.into()))
    }

    /// A refusal.
    pub fn refused(refusal: Refusal, language: Language, trace: &Trace) -> Self {
        let (retry_after, problem) = (refusal.retry_after_seconds(), Some(refusal.problem.reason));
        let details = refusal.into_details(language, &trace.trace_id);
        let body = serde_json::to_vec(&details).expect("problems are JSON");
        Self { retry_after, problem, ..Self::new(details.status, body.into()) }
    }
}

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type RunOperation = dyn Fn(Arc<Ports>, Incoming) -> Boxed<Result<Reply>> + Send + Sync;
pub(crate) type RunSubscriber =
    dyn Fn(Arc<Ports>, Arc<Envelope>) -> Boxed<Result<()>> + Send + Sync;
pub(crate) type RunJob = dyn Fn(Arc<Ports>, Trace) -> Boxed<Result<()>> + Send + Sync;

/// Reads an event, and knows then what is done about it.
type ReadEvent = dyn Fn(&Envelope) -> Result<Box<Step>> + Send + Sync;

/// What a subscriber or a job does.
type Step = dyn Fn(Context<System>) -> Boxed<Result<()>> + Send + Sync;

/// The longest name that a Cloud Run service may have.
const NAME_MOST: usize = 49;

/// How often a function is run until it wins the race for its documents.
pub(crate) const ATTEMPTS: u32 = 12;

impl Domain {
    /// A domain with nothing in it but what every domain has: outbox, inbox,
    /// the answers that were given, and the events that were parked.
    pub fn new(name: &'static str) -> Self {
        let own = [
            Collection::of::<Envelope>(),
            Collection::of::<Handled>(),
            idempotency::COLLECTION,
            Collection::of::<Parked>(),
        ];
        Self {
            name,
            functions: Vec::new(),
            events: Vec::new(),
            collections: own.to_vec(),
            calls: Vec::new(),
            needs: Vec::new(),
            turns: Arc::default(),
        }
    }

    /// Adds a collection.
    #[must_use]
    pub fn collection<D: Document>(mut self) -> Self {
        self.collections.push(Collection::of::<D>());
        self
    }

    /// Adds an event that the domain emits; with the first one comes the job
    /// `<domain>.relay`, which publishes what a request couldn't.
    #[must_use]
    pub fn event<E: Event>(mut self) -> Self {
        if self.events.is_empty() {
            self.functions.push(relay(self.name));
        }
        self.events.push(EventType { kind: E::TYPE, schema: Shape::of::<E>() });
        self
    }

    /// Adds an operation of another domain that this one calls; in the cloud
    /// nobody may call it who hasn't said so.
    #[must_use]
    pub fn calls<E: Endpoint>(mut self) -> Self {
        self.calls.push(E::OPERATION);
        self
    }

    /// Adds something of the platform that it needs.
    #[must_use]
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// Adds an operation. With the first public one the domain calls identity, to have
    /// the second issuer's tokens exchanged.
    #[must_use]
    pub fn operation<C, E, F, Fut>(self, run: F) -> Self
    where
        C: Caller,
        E: Endpoint,
        F: Fn(Context<C>, E) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<E::Response>> + Send + 'static,
    {
        let read = move |incoming: &Incoming| -> Result<Box<Attempt>> {
            let caller = C::admit(&incoming.origin)?;
            let request: E = decode(incoming.parts())?;
            let language = incoming.language;
            Ok(Box::new(move |now, of| {
                let context = Context { caller: caller.clone(), now, language, run: of };
                let response = run(context, request.clone());
                Box::pin(async move { Reply::of::<E>(&response.await?) })
            }))
        };
        let answering = Arc::new(Answering {
            domain: self.name,
            declared: Declared::of::<C, E>(),
            read: Box::new(read),
            running: Arc::default(),
            turns: self.turns.clone(),
        });
        let run = move |ports, incoming| -> Boxed<Result<Reply>> {
            Box::pin(answering.clone().answer(ports, incoming))
        };
        self.add::<C, E>(Arc::new(run))
    }

    /// Adds an operation whose requests are decided together with those that
    /// would fight with them for the same documents.
    #[must_use]
    pub fn batch<C, E, F, Fut>(self, run: F) -> Self
    where
        C: Caller,
        E: Batched,
        F: Fn(Context<System>, Vec<Call<C, E>>) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome<E::Response>>> + Send + 'static,
    {
        let running = Arc::new(Running::default());
        let decide = Box::new(move |context, calls| -> Boxed<_> { Box::pin(run(context, calls)) });
        let declared = Declared::of::<C, E>();
        let lanes = Arc::new(Lanes::<C, E>::new(self.name, declared, decide, self.turns.clone()));
        let run = move |ports: Arc<Ports>, incoming: Incoming| -> Boxed<Result<Reply>> {
            let (running, lanes) = (running.clone(), lanes.clone());
            Box::pin(async move {
                let caller = C::admit(&incoming.origin)?;
                let request: E = decode(incoming.parts())?;
                let keyed = if request.is_dry_run() {
                    None
                } else {
                    Keyed::of(&declared, &incoming, &ports.secret)?
                };
                let keyed = keyed.map(Arc::new);
                let entered = keyed.as_ref().map(|keyed| running.enter(keyed)).transpose()?;
                lanes.join(ports, Call { caller, request }, incoming, keyed, entered).await
            })
        };
        self.add::<C, E>(Arc::new(run))
    }

    /// Says that the answers of the operation before are made of documents of
    /// this kind alone, and of what was asked: not of the time, the language or
    /// other domains. To strangers they're given again while none of them has changed.
    #[must_use]
    pub fn made_of<D: Document>(mut self) -> Self {
        let before = self.functions.last_mut().map(|function| &mut function.trigger);
        let Some(Trigger::Http(operation)) = before else {
            panic!("{}: `made_of` stands after an operation", self.name)
        };
        let remembered = Arc::new(Remembered::new(D::COLLECTION, operation.run.clone()));
        operation.run = Arc::new(move |ports, incoming| remembered.answer(ports, incoming));
        self
    }

    fn add<C: Caller, E: Endpoint>(mut self, run: Arc<RunOperation>) -> Self {
        // Whoever asks from outside may show a token that identity has to exchange.
        let exchange = ExchangeToken::OPERATION;
        let is_its_own = exchange.split('.').next() == Some(self.name);
        if !E::ROUTE.is_internal() && !is_its_own && !self.calls.contains(&exchange) {
            self.calls.push(exchange);
        }
        let (domain, _) = E::OPERATION.split_once('.').expect("an operation's id is domain.verb");
        assert_eq!(domain, self.name, "{} is declared by {}", E::OPERATION, self.name);
        let is_content = TypeId::of::<E::Response>() == TypeId::of::<Content>();
        assert_eq!(is_content, E::ANSWERS != JSON, "{} answers content or JSON", E::OPERATION);
        // What is kept of an answer for its key is JSON.
        let is_keyed = E::ROUTE.method == Method::Post && E::IDEMPOTENCY != Idempotency::Off;
        assert!(!(is_content && is_keyed), "{} answers content, and takes no key", E::OPERATION);
        self.functions.push(Function {
            id: E::OPERATION.to_owned(),
            access: C::ACCESS,
            trigger: Trigger::Http(Operation {
                route: E::ROUTE,
                problems: E::PROBLEMS,
                idempotency: E::IDEMPOTENCY,
                rate: E::RATE,
                body: E::BODY,
                headers: E::HEADERS,
                answers: E::ANSWERS,
                request: Shape::of::<E>(),
                response: Shape::of::<E::Response>(),
                answers_nothing: TypeId::of::<E::Response>() == TypeId::of::<()>(),
                run,
            }),
        });
        self
    }

    /// Adds a subscriber. Its commit marks the event as handled, so that being
    /// sent it twice changes nothing.
    #[must_use]
    pub fn subscriber<E, F, Fut>(mut self, run: F) -> Self
    where
        E: Event,
        F: Fn(Context<System>, E) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (fact, _version) = E::TYPE.rsplit_once('.').expect("an event is domain.fact.vN");
        let (domain, id) = (self.name, format!("{}.on_{}", self.name, fact.replace('.', "_")));
        let read = move |envelope: &Envelope| -> Result<Box<Step>> {
            let event: E = serde_json::from_str(envelope.data.get())
                .map_err(|it| anyhow::Error::new(Unreadable { kind: E::TYPE, at: it.column() }))?;
            Ok(Box::new(move |context| Box::pin(run(context, event.clone()))))
        };
        let (function, turns) = (id.clone(), self.turns.clone());
        let handling = Arc::new(Handling { domain, function, turns, read: Box::new(read) });
        let run = move |ports, envelope| -> Boxed<Result<()>> {
            Box::pin(handling.clone().handle(ports, envelope))
        };
        let trigger = Trigger::Event(Subscription { kind: E::TYPE, run: Arc::new(run) });
        self.functions.push(Function { id, access: Access::System, trigger });
        self
    }

    /// Adds a job.
    #[must_use]
    pub fn job<J, F, Fut>(mut self, run: F) -> Self
    where
        J: Job,
        F: Fn(Context<System>, J) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (domain, turns) = (self.name, self.turns.clone());
        let step: Arc<Step> = Arc::new(move |context| Box::pin(run(context, J::default())));
        let run = move |ports, trace| -> Boxed<Result<()>> {
            Box::pin(work(domain, turns.clone(), ports, trace, step.clone()))
        };
        let schedule = Schedule { cron: J::SCHEDULE, is_relay: false, run: Arc::new(run) };
        let trigger = Trigger::Schedule(schedule);
        self.functions.push(Function { id: J::NAME.to_owned(), access: Access::System, trigger });
        self
    }
}

/// The Cloud Run service of a function: `courses.list_sections` is `courses-list-sections`.
pub fn service_name(id: &str) -> String {
    let name = id.replace(['.', '_'], "-");
    assert!(name.len() <= NAME_MOST, "{name} is too long for a service's name");
    name
}

/// A subscriber that handles one event after the other.
struct Handling {
    domain: &'static str,
    function: String,
    turns: Arc<Turns>,
    read: Box<ReadEvent>,
}

impl Handling {
    async fn handle(self: Arc<Self>, ports: Arc<Ports>, envelope: Arc<Envelope>) -> Result<()> {
        let step = (self.read)(&envelope)?;
        let trace = Trace::going_on(Some(&envelope.traceparent), &*ports.random);
        let attempt = |attempt| {
            let cause = Cause {
                function: self.function.clone(),
                event_id: envelope.id.clone(),
                correlation_id: envelope.correlation_id.clone(),
            };
            step(background(self.domain, &ports, trace.clone(), Some(cause), attempt - 1))
        };
        match trace.clone().within(until_it_wins(&self.turns, &ports, attempt)).await {
            Err(Error::Repeated) => Ok(()),
            other => other,
        }
    }
}

/// Does a job.
async fn work(
    domain: &'static str,
    turns: Arc<Turns>,
    ports: Arc<Ports>,
    trace: Trace,
    step: Arc<Step>,
) -> Result<()> {
    let attempt = |it| step(background(domain, &ports, trace.clone(), None, it - 1));
    trace.clone().within(until_it_wins(&turns, &ports, attempt)).await
}

/// The job that publishes what waits in a domain's outbox, and first tells for
/// how long: an alert is made of that.
fn relay(domain: &'static str) -> Function {
    let run = move |ports: Arc<Ports>, trace: Trace| -> Boxed<Result<()>> {
        Box::pin(trace.within(async move {
            if let Some(oldest) = crate::outbox::oldest(&*ports.store).await? {
                let outbox_age_seconds = ports.clock.now().as_seconds() - oldest.as_seconds();
                tracing::info!(domain, outbox_age_seconds, "events waited in the outbox");
            }
            crate::relay(&*ports.store, &*ports.bus).await?;
            Ok(())
        }))
    };
    let schedule = Schedule { cron: "* * * * *", is_relay: true, run: Arc::new(run) };
    let (id, trigger) = (format!("{domain}.relay"), Trigger::Schedule(schedule));
    Function { id, access: Access::System, trigger }
}

impl Context<System> {
    /// The context of something that the platform itself does in a domain, and
    /// that is no function of it: a look at its documents, say.
    pub fn of_platform(domain: &'static str, ports: &Arc<Ports>) -> Self {
        background(domain, ports, Trace::continued(None, &*ports.random), None, 0)
    }
}

impl Incoming {
    fn parts(&self) -> Parts<'_> {
        Parts { bound: &self.bound, query: &self.query, body: &self.body }
    }
}

/// The context of a function that no caller runs.
fn background(
    domain: &'static str,
    ports: &Arc<Ports>,
    trace: Trace,
    cause: Option<Cause>,
    losses: u32,
) -> Context<System> {
    let run = ContextRun {
        ports: ports.clone(),
        domain,
        trace,
        keyed: None,
        status: 204,
        cause,
        sender: Sender::default(),
        losses,
    };
    Context {
        caller: System::new(),
        now: ports.clock.now(),
        language: Language::default(),
        run: Arc::new(run),
    }
}

/// Runs something again while it loses races, in its turn. That is safe because
/// nothing happens before the commit.
pub(crate) async fn until_it_wins<T, Fut>(
    turns: &Arc<Turns>,
    ports: &Ports,
    run: impl Fn(u32) -> Fut,
) -> Result<T>
where
    Fut: Future<Output = Result<T>>,
{
    let (mut attempt, mut turn) = (1, None);
    loop {
        match run(attempt).await {
            Err(Error::Stale(key)) if attempt < ATTEMPTS => {
                turn = turns.after_losing(key.clone(), turn).await;
                if turn.is_none() {
                    return Err(Error::Stale(key));
                }
                pause(attempt, ports).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Waits a random while that grows with each lost race, so that rivals spread.
pub(crate) async fn pause(attempt: u32, ports: &Ports) {
    ports.clock.begins_anew(attempt);
    if attempt < 2 {
        return;
    }
    let mut bytes = [0; 2];
    ports.random.fill(&mut bytes);
    let most_millis = 1_u64 << attempt.min(6);
    let millis = u64::from(u16::from_le_bytes(bytes)) % most_millis;
    ports.clock.sleep(Duration::from_millis(millis)).await;
}
