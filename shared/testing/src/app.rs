//! One domain, served.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use contracts::{Endpoint, Event, Problem, Timestamp, identity::Role};
use embedded::{
    FileKeyring, LocalFiles,
    store::{Database, DomainStore},
};
use http::header;
use http_body_util::BodyExt as _;
use runtime::{
    Bytes, Context, Domain, Envelope, Error, Files, Front, Host, IdentityProvider, Keyring, Need,
    Ports, Random, Record, Result, SecondIssuer, Secret, Settings, System,
    files::{DomainFiles, Link, NoFiles},
    mail::{MailError, Message},
    token::{ACCESS_TOKEN_SECONDS, Claims, Verifier},
};
use tower::ServiceExt as _;

use crate::{
    As,
    bus::{self, Courier, Failed, Told},
    mailbox::Mailbox,
    peers::Peers,
    store::Counted,
    world::{SeededRandom, StandingClock},
};

/// One domain, served: on an empty store, with a clock that stands until it's
/// moved, with the same randomness in each run, and with nothing in the
/// background, so that a test sees each step.
pub struct App {
    domain: &'static str,
    router: Router,
    host: Host,
    ports: Arc<Ports>,
    /// The same ports on a store that doesn't count.
    beside: Arc<Ports>,
    peers: Arc<Peers>,
    clock: Arc<StandingClock>,
    mailbox: Arc<Mailbox>,
    told: Arc<Told>,
    store: Arc<Counted>,
    documents: Arc<DomainStore>,
    collections: Vec<&'static str>,
    courier: Arc<Courier>,
    delivered: Mutex<Option<Arc<Envelope>>>,
    tokens: Mutex<HashMap<String, (Timestamp, String)>>,
    keys: AtomicUsize,
}

/// When each test begins: 2026-03-02T12:00:00Z, a Monday.
const BEGINNING_SECONDS: i64 = 1_772_452_800;

impl App {
    /// Where people reach the platform, in tests.
    pub const PUBLIC_URL: &'static str = "https://aula.example";

    /// Who registers with this address becomes an admin, in tests.
    pub const ADMIN_EMAIL: &'static str = "root@aula.example";

    /// The mail providers that may tell what became of a mail, in tests.
    pub const MAIL_PROVIDERS: &'static str = "post:a-secret-of-the-tests";

    /// Serves a domain on an empty store, at noon on a Monday in March.
    pub fn of(domain: fn() -> Domain) -> Self {
        Self::with_providers(domain, Vec::new())
    }

    /// The same, where people may sign in with others' accounts.
    pub fn with_providers(
        domain: fn() -> Domain,
        identity_providers: Vec<IdentityProvider>,
    ) -> Self {
        Self::set_up(domain, |settings| settings.identity_providers = identity_providers)
    }

    /// The same, where a second issuer's tokens are taken too.
    pub fn with_second_issuer(domain: fn() -> Domain, second_issuer: SecondIssuer) -> Self {
        Self::set_up(domain, |settings| settings.second_issuer = Some(second_issuer))
    }

    /// The same, where a large section's seats go into blocks of so many.
    pub fn with_seats_in_blocks(domain: fn() -> Domain, each: u32) -> Self {
        Self::set_up(domain, |settings| settings.seats_in_block = each)
    }

    fn set_up(domain: fn() -> Domain, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            public_url: Self::PUBLIC_URL.to_owned(),
            admin_email: Some(Self::ADMIN_EMAIL.to_owned()),
            mail_providers: Self::MAIL_PROVIDERS.parse().expect("the test's providers are some"),
            ..Settings::default()
        };
        set(&mut settings);
        let domain = domain();
        let name = domain.name;
        let database = Database::in_memory().expect("SQLite opens in memory");
        let uncounted = database.domain(name, &domain.collections);
        let uncounted = uncounted.expect("SQLite takes the collections");
        let (documents, collections) =
            (uncounted.clone(), domain.collections.iter().map(|it| it.name).collect());
        let store = Arc::new(Counted::new(uncounted.clone()));
        let clock = Arc::new(StandingClock::at(Timestamp::from_millis(BEGINNING_SECONDS * 1000)));
        let keyring = FileKeyring::of_pem(include_str!("../data/key.pem"));
        let keyring: Arc<dyn Keyring> = Arc::new(keyring.expect("the test's key is one"));
        let (peers, mailbox) = (Arc::new(Peers::of(&domain)), Arc::<Mailbox>::default());
        let told = Arc::<Told>::default();
        let random: Arc<dyn Random> = Arc::new(SeededRandom::of(1));
        let secret = Arc::new(Secret::new(&[7; 32]));
        let kept = LocalFiles::temporary(
            Self::PUBLIC_URL,
            secret.clone(),
            clock.clone(),
            Arc::new(SeededRandom::of(2)),
        );
        let kept = Arc::new(kept);
        let links = kept.router();
        let files: Arc<dyn Files> = if domain.needs.contains(&Need::Files) {
            Arc::new(DomainFiles::new(kept, name))
        } else {
            Arc::new(NoFiles("the domain doesn't say that it needs files"))
        };
        let ports = Arc::new(Ports {
            store: store.clone(),
            files,
            client: peers.clone(),
            bus: told.clone(),
            mail: mailbox.clone(),
            clock: clock.clone(),
            random,
            verifier: Arc::new(Verifier::new(keyring.clone(), Self::PUBLIC_URL)),
            keyring,
            secret,
            settings: Arc::new(settings),
        });
        let beside = Arc::new(Ports { store: uncounted, ..Ports::clone(&ports) });
        let host = Host::new(vec![(domain, ports.clone())], None);
        let front = Front { limits: None, ports: ports.clone() };
        let router = runtime::with_front(runtime::router(&host, &front), &front).merge(links);
        let courier = Arc::new(Courier { host: host.clone(), failed: Mutex::default() });
        Self {
            domain: name,
            router,
            host,
            ports,
            beside,
            peers,
            clock,
            mailbox,
            told,
            store,
            documents,
            collections,
            courier,
            delivered: Mutex::default(),
            tokens: Mutex::default(),
            keys: AtomicUsize::new(0),
        }
    }

    /// Plays an operation of another domain.
    #[must_use]
    pub fn answering<E: Endpoint>(
        self,
        answer: impl Fn(E) -> Result<E::Response, Problem> + Send + Sync + 'static,
    ) -> Self {
        self.now_answering(answer);
        self
    }

    /// Plays an operation of another domain from now on.
    pub fn now_answering<E: Endpoint>(
        &self,
        answer: impl Fn(E) -> Result<E::Response, Problem> + Send + Sync + 'static,
    ) {
        self.peers.play(answer);
    }

    /// A caller who is signed in, and learns.
    pub fn user(&self, id: &str) -> As<'_> {
        As::person(self, id, &[Role::Student])
    }

    /// A caller who is signed in, and teaches.
    pub fn instructor(&self, id: &str) -> As<'_> {
        As::person(self, id, &[Role::Student, Role::Instructor])
    }

    /// A caller who is signed in, and runs the platform.
    pub fn admin(&self, id: &str) -> As<'_> {
        As::person(self, id, &[Role::Student, Role::Admin])
    }

    /// A caller who isn't signed in.
    pub fn anyone(&self) -> As<'_> {
        As::nobody(self)
    }

    /// A caller with this access token, good or not.
    pub fn bearer(&self, token: &str) -> As<'_> {
        As::bearer(self, token)
    }

    /// The platform itself, which alone may call what is internal.
    pub fn platform(&self) -> As<'_> {
        As::platform(self)
    }

    /// The events of a kind that were emitted so far, in the order of their
    /// commits, relayed or not.
    #[expect(clippy::unused_async, reason = "who asks shouldn't have to know that nothing is read")]
    pub async fn emitted<E: Event>(&self) -> Vec<E> {
        let events = self.told.events();
        let read = |event: &Envelope| serde_json::from_str(event.data.get());
        let events = events.iter().filter(|event| event.kind == E::TYPE).map(read);
        events.collect::<Result<_, _>>().expect("an event can be read as its type")
    }

    /// Every event that was emitted so far, as it goes to the bus.
    pub fn envelopes(&self) -> Vec<Envelope> {
        self.told.events()
    }

    /// Hands an event, which has just happened elsewhere, to the domain's own
    /// subscriber, which must succeed.
    #[track_caller]
    pub fn deliver<E: Event>(&self, event: &E) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let delivered = self.try_deliver(event);
        async move {
            if let Err(error) = delivered.await {
                panic!("{}, delivered at {caller}: {}", E::TYPE, chain(error));
            }
        }
    }

    /// Hands an event, which has just happened elsewhere, to the domain's own subscriber.
    pub async fn try_deliver<E: Event>(&self, event: &E) -> Result<()> {
        let event = Arc::new(bus::envelope(event, &self.ports));
        *self.delivered.lock().expect("no holder panics") = Some(event.clone());
        self.hand_over(event).await
    }

    /// Hands the last delivered event over once more, as a bus may, to a
    /// subscriber that must succeed.
    pub async fn deliver_again(&self) {
        let event = self.delivered.lock().expect("no holder panics").clone();
        if let Err(error) = self.hand_over(event.expect("an event was delivered before")).await {
            panic!("delivered again: {}", chain(error));
        }
    }

    async fn hand_over(&self, event: Arc<Envelope>) -> Result<()> {
        let kind = event.kind.clone();
        let subscribers: Vec<_> = self.host.subscribers(&kind).collect();
        assert!(!subscribers.is_empty(), "{} has no subscriber of {kind}", self.domain);
        for subscriber in subscribers {
            self.host.deliver(subscriber, event.clone()).await?;
        }
        Ok(())
    }

    /// Runs a job once, which must succeed.
    pub async fn run_job(&self, job: &str) {
        if let Err(error) = self.try_run_job(job).await {
            panic!("{job}: {}", chain(error));
        }
    }

    /// Runs a job once.
    pub async fn try_run_job(&self, job: &str) -> Result<()> {
        self.host.run_job(job).await
    }

    /// Relays the outbox to the domain's own subscribers until it's empty; they
    /// must succeed. What nobody here subscribes to is gone, as it would be.
    pub async fn settle(&self) {
        if let Err(because) = self.try_settle().await {
            panic!("{because}");
        }
    }

    /// Relays the outbox to the domain's own subscribers until it's empty. What
    /// fails is told, and delivered again when things are settled next.
    pub async fn try_settle(&self) -> Result<(), String> {
        let failed = std::mem::take(&mut *self.courier.failed.lock().expect("no holder panics"));
        for Failed { subscriber, event, .. } in failed {
            self.courier.hand_over(subscriber, event).await;
        }
        let relayed = runtime::relay(&*self.beside.store, &*self.courier).await;
        relayed.expect("the outbox can be relayed");
        let failed = self.courier.failed.lock().expect("no holder panics");
        let say = |it: &Failed| format!("{} of {}: {}", it.subscriber, it.event.kind, it.because);
        if failed.is_empty() { Ok(()) } else { Err(failed.iter().map(say).collect()) }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Moves the clock on.
    pub fn advance_minutes(&self, minutes: i64) {
        self.clock.advance(minutes * 60);
    }

    /// Moves the clock on.
    pub fn advance_seconds(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// The mail that was taken, oldest first.
    pub fn mail(&self) -> Vec<Message> {
        self.mailbox.messages()
    }

    /// Plays the mail provider from now on. Of a message that it answers with
    /// `Unknown` it can't tell later whether it has it.
    pub fn mail_answers(
        &self,
        answer: impl Fn(&Message) -> Result<(), MailError> + Send + Sync + 'static,
    ) {
        self.mailbox.answers(answer);
    }

    /// A look at the domain's documents from beside its functions; it isn't
    /// counted among their commits and reads.
    pub fn context(&self) -> Context<System> {
        Context::of_platform(self.domain, &self.beside)
    }

    /// Sends a content to a link that a function has answered, as its client does.
    /// Gives back the status.
    pub async fn send_file(&self, link: &Link, content: impl Into<Bytes>) -> u16 {
        let content: Bytes = content.into();
        let mut request = http::Request::builder().method(link.method.as_str()).uri(&link.url);
        for (name, value) in &link.headers {
            request = request.header(name, value);
        }
        let request = request.header(header::CONTENT_LENGTH, content.len());
        let request = request.body(Body::from(content)).expect("a link is HTTP");
        let response = self.router().oneshot(request).await.expect("routers answer");
        response.status().as_u16()
    }

    /// Fetches what a link leads to; nothing, if it's refused.
    pub async fn fetch_file(&self, link: &Link) -> Option<Bytes> {
        let request = http::Request::get(&link.url).body(Body::empty()).expect("a link is HTTP");
        let response = self.router().oneshot(request).await.expect("routers answer");
        let is_there = response.status().is_success();
        let content = response.into_body().collect().await.expect("bodies end").to_bytes();
        is_there.then_some(content)
    }

    /// Every document of the domain as it's stored, to look for what mustn't be there.
    pub fn everything(&self) -> String {
        let mut everything = String::new();
        for name in &self.collections {
            let documents = self.documents.scan(name).expect("the collection is declared");
            for document in documents {
                let Record { id, body, .. } = document.expect("SQLite reads");
                everything.extend([name, "/", &id, " ", &body, "\n"]);
            }
        }
        everything
    }

    /// Drops what has expired, as a store does by itself sooner or later.
    pub async fn drop_expired(&self) {
        let dropped = self.documents.drop_expired(self.now(), u32::MAX).await;
        dropped.expect("SQLite drops");
    }

    /// How many commits the functions have made so far.
    pub fn commits(&self) -> usize {
        self.store.commits()
    }

    /// How often the functions have read so far: a document, or a list at once.
    pub fn reads(&self) -> usize {
        self.store.reads()
    }

    /// The functions.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The ports of the functions.
    pub fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    /// An access token for someone.
    pub async fn token(&self, id: &str, roles: &[Role], session_id: &str) -> String {
        let (now, who) = (self.now(), format!("{id} {roles:?} {session_id}"));
        let known = self.tokens.lock().expect("no holder panics").get(&who).cloned();
        if let Some((expires_at, token)) = known
            && expires_at > now
        {
            return token;
        }
        let expires_at = now.plus_seconds(ACCESS_TOKEN_SECONDS);
        let claims = Claims {
            iss: Self::PUBLIC_URL.to_owned(),
            aud: Self::PUBLIC_URL.to_owned(),
            sub: id.into(),
            roles: roles.to_vec(),
            sid: session_id.to_owned(),
            iat: now.as_seconds(),
            exp: expires_at.as_seconds(),
        };
        let token = runtime::token::sign(&*self.ports.keyring, &claims).await;
        let token = token.expect("the test's key signs");
        let known = (expires_at, token.clone());
        self.tokens.lock().expect("no holder panics").insert(who, known);
        token
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    pub(crate) fn fresh_key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::SeqCst))
    }

    /// Prints the faults that functions have just run into.
    pub(crate) fn tell_failures(&self) {
        for served in self.host.functions() {
            if let Some(failure) = served.recent_failure(self.now(), Duration::from_secs(1)) {
                eprintln!("{} failed: {}", served.function.id, failure.message);
            }
        }
    }
}

/// An error with its chain of causes.
pub(crate) fn chain(error: Error) -> String {
    match error {
        Error::Internal(error) => format!("{error:#}"),
        other => other.to_string(),
    }
}
