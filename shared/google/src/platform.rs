//! A domain on Google's engines: its ports, and what serves it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{from_fn_with_state, map_request},
    routing::get,
};
use runtime::{
    Client, Clock, Domain, Files, Front, Host, Mail, Ports, Random, Secret, Settings, Store,
    SystemClock, SystemRandom,
    files::NoFiles,
    mail::{MailError, Message, Taken},
    token::Verifier,
};

use crate::{
    CloudKeyring, Environment, GoogleTokens, Http, Metadata, Names, PubSubBus, RemoteKeys,
    ServiceClient,
    events::{self, Receiver},
    figures::{Counted, Figures},
    firestore::{self, Firestore},
    identity::{Callers, bears_googles},
    spans::{self, Calls, Commits, Spans},
};

/// A domain on Google's engines. Nothing is connected before it's needed.
pub struct Platform {
    host: Host,
    front: Front,
    tokens: Arc<GoogleTokens>,
    spans: Option<Arc<Spans>>,
    /// What is counted on emulators.
    figures: Option<Arc<Figures>>,
    environment: Environment,
    draining: Arc<AtomicBool>,
}

impl Platform {
    /// A domain, set up as the environment says.
    pub fn new(environment: Environment, domain: Domain) -> anyhow::Result<Self> {
        let settings = firestore::Settings::of(&environment.project);
        let settings = match &environment.firestore_emulator {
            Some(emulator) => settings.at(emulator),
            None => settings,
        };
        let way_out = WayOut::of(&environment);
        let firestore = Firestore::new(settings, Arc::new(SystemClock), Arc::new(SystemRandom))
            .asked_by(way_out.metadata.clone());
        let database = environment.database.as_deref().unwrap_or(domain.name);
        let store = firestore.domain(database, &domain.collections)?;
        Ok(Self::put_together(environment, domain, store, way_out))
    }

    /// The same, on a store.
    pub fn on(environment: Environment, domain: Domain, store: Arc<dyn Store>) -> Self {
        let way_out = WayOut::of(&environment);
        Self::put_together(environment, domain, store, way_out)
    }

    fn put_together(
        environment: Environment,
        domain: Domain,
        store: Arc<dyn Store>,
        WayOut { http, metadata }: WayOut,
    ) -> Self {
        let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::new(SystemClock), Arc::new(SystemRandom));
        let mut instance = [0; 4];
        random.fill(&mut instance);
        let keys_at = |url: &str| RemoteKeys::at(url.to_owned(), http.clone(), clock.clone());
        let keyring = match environment.signing_key.clone() {
            Some(key) => {
                let (way_out, own) =
                    ((http.clone(), metadata.clone()), (clock.clone(), random.clone()));
                CloudKeyring::signing(key, &environment.kms_url, way_out, own)
            }
            None => CloudKeyring::checking(keys_at(&environment.jwks_url)),
        };
        let keyring = Arc::new(keyring);
        let tokens = Arc::new(GoogleTokens::new(
            keys_at(&environment.google_jwks_url),
            clock.clone(),
            environment.audiences.clone(),
            environment.behind_iam,
        ));
        let names = Names::new(&environment.project, &environment.topics_prefix);
        let peers = environment.peers.clone();
        let spans = Spans::of(&environment, &http, &metadata, &clock, &random);
        let figures = environment.firestore_emulator.as_ref().map(|_| Arc::<Figures>::default());
        let store = counted(store, figures.as_ref());
        let emulator = environment.pubsub_emulator.as_deref();
        let bus = PubSubBus::new(names, emulator, http.clone(), metadata.clone(), store.clone());
        let bus = bus.watched_by(spans.clone()).counted_in(figures.clone());
        let files = files(&environment, &domain, &http, &metadata, (&clock, &random));
        let client = ServiceClient::new(peers, http, metadata, clock.clone(), random.clone());
        let (store, client) = watched(store, Arc::new(client), spans.as_ref());
        let mail = mail(&environment, &clock);
        let ports = Arc::new(Ports {
            store,
            files,
            client,
            bus: Arc::new(bus),
            mail,
            verifier: Arc::new(Verifier::new(keyring.clone(), &environment.public_url)),
            keyring,
            clock,
            random,
            secret: Arc::new(Secret::new(&environment.secret.0)),
            settings: Arc::new(Settings {
                public_url: environment.public_url.clone(),
                admin_email: environment.admin_email.clone(),
                identity_providers: environment.identity_providers.clone(),
                second_issuer: environment.second_issuer.clone(),
                mail_providers: environment.mail_providers.clone(),
                seats_in_block: environment.seats_in_block,
                instance: u32::from_le_bytes(instance),
            }),
        });
        let host = Host::new(vec![(domain, ports.clone())], environment.target.as_deref());
        // How often one may ask, no instance of many can count.
        let front = Front { limits: None, ports };
        Self { host, front, tokens, spans, figures, environment, draining: Arc::default() }
    }

    /// The functions.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What answers a container's requests.
    pub fn router(&self) -> Router {
        let environment = &self.environment;
        let gate = |accounts: Vec<String>| Callers::new(self.tokens.clone(), accounts);
        let domains = Arc::new(gate(environment.callers.clone()));
        let open = environment.unsigned_push;
        let subscriptions = gate(environment.push_account.iter().cloned().collect());
        let scheduler = gate(environment.scheduler_account.iter().cloned().collect());
        let receiver = Receiver {
            host: self.host.clone(),
            subscriptions: Arc::new(subscriptions.or_anyone(open)),
            scheduler: Arc::new(scheduler.or_anyone(open)),
            spans: self.spans.clone(),
        };
        let proxies = environment.proxies;
        let public = runtime::router(&self.host, &self.front)
            .layer(map_request(async |request| without_googles_token(request)))
            .layer(map_request(move |request| std::future::ready(with_client(request, proxies))));
        let api = public.merge(runtime::internal_router(&self.host, &self.front, domains));
        let api = runtime::with_front(api, &self.front);
        let api = match &self.spans {
            Some(spans) => api.layer(from_fn_with_state(spans.clone(), spans::around)),
            None => api,
        };
        let api = api
            .merge(events::router(receiver))
            .layer(map_request(async |request| with_traceparent(request)))
            .merge(health(self.draining.clone()));
        match &self.figures {
            Some(figures) => api.merge(figures.clone().router()),
            None => api,
        }
    }

    /// From now on it isn't ready for more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// A store and a way to the others, whose commits and calls are steps where
/// somebody takes spans.
fn watched(
    store: Arc<dyn Store>,
    client: Arc<dyn Client>,
    spans: Option<&Arc<Spans>>,
) -> (Arc<dyn Store>, Arc<dyn Client>) {
    match spans {
        None => (store, client),
        Some(spans) => (
            Arc::new(Commits { store, spans: spans.clone() }),
            Arc::new(Calls { client, spans: spans.clone() }),
        ),
    }
}

/// A store whose commits are counted, where somebody counts.
fn counted(store: Arc<dyn Store>, figures: Option<&Arc<Figures>>) -> Arc<dyn Store> {
    match figures {
        None => store,
        Some(figures) => Arc::new(Counted { store, figures: figures.clone() }),
    }
}

/// The one way out over HTTP, and who the container is there.
struct WayOut {
    http: Arc<Http>,
    metadata: Arc<Metadata>,
}

impl WayOut {
    fn of(environment: &Environment) -> Self {
        let http = Arc::<Http>::default();
        let clock = Arc::new(SystemClock);
        let metadata = Metadata::at(&environment.metadata_host, http.clone(), clock);
        Self { http, metadata: Arc::new(metadata) }
    }
}

/// What takes mail, where there's a server.
#[cfg(feature = "mail")]
fn mail(environment: &Environment, clock: &Arc<dyn Clock>) -> Arc<dyn Mail> {
    match environment.smtp_server.clone() {
        Some(server) => Arc::new(smtp::Smtp::new(server, &environment.public_url, clock.clone())),
        None => Arc::new(NoMail("no provider of mail is set up")),
    }
}

/// A container that was built without mail sends none.
#[cfg(not(feature = "mail"))]
fn mail(_: &Environment, _: &Arc<dyn Clock>) -> Arc<dyn Mail> {
    Arc::new(NoMail("this program was built without mail"))
}

/// The files of a domain, where it says that it needs any and there's a bucket.
#[cfg(feature = "files")]
fn files(
    environment: &Environment,
    domain: &Domain,
    http: &Arc<Http>,
    metadata: &Arc<Metadata>,
    (clock, random): (&Arc<dyn Clock>, &Arc<dyn Random>),
) -> Arc<dyn Files> {
    use crate::storage::{self, CloudFiles};

    if !domain.needs.contains(&runtime::Need::Files) {
        return Arc::new(NoFiles("the domain doesn't say that it needs files"));
    }
    let Some(bucket) = &environment.files_bucket else {
        return Arc::new(NoFiles("AULA_FILES_BUCKET isn't set"));
    };
    let settings = storage::Settings::of(bucket)
        .with_iam_at(&environment.iam_url)
        .with_metadata_at(&environment.metadata_host);
    let settings = match &environment.storage_emulator {
        Some(host) => settings.at(host),
        None => settings,
    };
    let (http, metadata) = (http.clone(), metadata.clone());
    let all = CloudFiles::new(settings, http, metadata, clock.clone(), random.clone());
    Arc::new(runtime::files::DomainFiles::new(Arc::new(all), domain.name))
}

/// A container that was built without files keeps none.
#[cfg(not(feature = "files"))]
fn files(
    _: &Environment,
    _: &Domain,
    _: &Arc<Http>,
    _: &Arc<Metadata>,
    _: (&Arc<dyn Clock>, &Arc<dyn Random>),
) -> Arc<dyn Files> {
    Arc::new(NoFiles("this program was built without files"))
}

/// `GET /health/live` and `GET /health/ready`, which depend on nothing: an
/// instance whose store can't be reached isn't mended by another one.
fn health(draining: Arc<AtomicBool>) -> Router {
    let ready = async |State(draining): State<Arc<AtomicBool>>| {
        if draining.load(Ordering::Relaxed) {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        }
    };
    Router::new()
        .route("/health/live", get(async || StatusCode::OK))
        .route("/health/ready", get(ready))
        .with_state(draining)
}

/// The address that a request came from, in place of the proxy's that passed it
/// on: so many proxies in front have written down whom they heard, each behind
/// those before. What stands further in front its sender may have made up.
fn with_client(mut request: Request, proxies: usize) -> Request {
    // Where there are several, the last is the one that those in front have written.
    let header = request.headers().get_all("x-forwarded-for").iter().next_back();
    let header = header.and_then(|it| it.to_str().ok());
    let heard = header.and_then(|it| it.rsplit(',').nth(proxies).or(it.split(',').next()));
    if let Some(client) = heard.and_then(|it| it.trim().parse::<IpAddr>().ok()) {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((client, 0))));
    }
    request
}

/// Takes Google's token out of a request for a public operation: whoever calls a
/// service behind IAM shows one, and API Gateway puts the user's own elsewhere.
fn without_googles_token(mut request: Request) -> Request {
    let headers = request.headers_mut();
    if !headers.contains_key("x-forwarded-authorization") && bears_googles(headers) {
        headers.remove(header::AUTHORIZATION);
    }
    request
}

/// Goes on with the trace of Google's front ends, where nobody told another.
fn with_traceparent(mut request: Request) -> Request {
    const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    let headers = request.headers_mut();
    if headers.contains_key(TRACEPARENT) {
        return request;
    }
    let context = headers.get("x-cloud-trace-context").and_then(|it| it.to_str().ok());
    if let Some(traceparent) = context.and_then(traceparent)
        && let Ok(traceparent) = HeaderValue::from_str(&traceparent)
    {
        headers.insert(TRACEPARENT, traceparent);
    }
    request
}

/// A `X-Cloud-Trace-Context`, `TRACE/SPAN;o=SAMPLED`, as a `traceparent`.
fn traceparent(context: &str) -> Option<String> {
    let (ids, options) = context.split_once(';').unwrap_or((context, ""));
    let (trace, span) = ids.split_once('/')?;
    let span: u64 = span.parse().ok()?;
    let sampled = u8::from(options == "o=1");
    Some(format!("00-{}-{span:016x}-{sampled:02x}", trace.to_ascii_lowercase()))
}

/// No mail is sent, and why.
struct NoMail(&'static str);

#[async_trait]
impl Mail for NoMail {
    async fn send(&self, _: &Message) -> Result<(), MailError> {
        Err(MailError::Unavailable(self.0.to_owned()))
    }

    async fn taken(&self, _: &str) -> anyhow::Result<Taken> {
        Ok(Taken::CannotTell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whom a request with these headers is taken to come from, behind so many proxies.
    fn client(headers: &[&str], proxies: usize) -> Option<String> {
        let mut request = Request::new(axum::body::Body::empty());
        for header in headers {
            let value = HeaderValue::from_str(header).unwrap();
            request.headers_mut().append("x-forwarded-for", value);
        }
        let request = with_client(request, proxies);
        let info = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        Some(info.0.ip().to_string())
    }

    #[test]
    fn a_client_is_who_the_proxies_have_heard_and_not_who_it_says_it_is() {
        let is = |headers: &[&str], proxies, address: &str| {
            assert_eq!(client(headers, proxies).as_deref(), Some(address), "{headers:?}");
        };
        is(&["192.0.2.1"], 0, "192.0.2.1");
        is(&["192.0.2.1, 198.51.100.7"], 1, "192.0.2.1");
        is(&["10.9.9.9, 192.0.2.1, 198.51.100.7"], 1, "192.0.2.1");
        is(&["10.9.9.9", "192.0.2.1, 198.51.100.7"], 1, "192.0.2.1");
        // Fewer hops than there should be: the first that somebody wrote.
        is(&["192.0.2.1"], 1, "192.0.2.1");
        assert_eq!(client(&["nobody"], 0), None);
        assert_eq!(client(&[], 1), None);
    }

    #[test]
    fn googles_trace_is_a_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let told = traceparent(&format!("{id}/67667974448284343;o=1")).unwrap();
        assert_eq!(told, format!("00-{id}-00f067aa0ba902b7-01"));
        assert_eq!(traceparent(id), None);
        assert_eq!(traceparent(&format!("{id}/x")), None);
    }
}
