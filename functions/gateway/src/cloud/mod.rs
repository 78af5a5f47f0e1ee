//! The cloud on one machine: every function a process of its own on Google's
//! emulators, and a gateway in front, as API Gateway and Cloud Run are.
//!
//! What the engines leave out is stood in for: the metadata server, which makes
//! ID tokens (`issuer`, `standin`), Pub/Sub's signed push, the scheduler, and a
//! provider of mail whose letters are at `/local/inbox`. Everything is forgotten
//! when it stops; `cargo run` needs none of it and starts at once.

mod emulators;
mod fleet;
mod front;
mod issuer;
mod layout;
mod mail;
pub(crate) mod programs;
mod pubsub;
mod routes;
mod scheduler;
mod service;
mod settings;
mod standin;
mod stats;
mod survey;
mod wire;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{Json, Router, routing::get};
use clap::Args;
use embedded::{Inbox, SystemClock, SystemRandom, store::Database};
use runtime::{Clock, Domain, Ports, Random, RsaKey, token::Verifier};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::Command,
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{
    emulators::Emulators,
    fleet::Fleet,
    front::{Asking, Front, Jwks, Services},
    issuer::{Issuer, account},
    layout::{Manifest, Per, free_addresses},
    programs::Programs,
    routes::Routes,
    service::Service,
    settings::Settings,
    standin::Callers,
    stats::Stats,
};
use crate::{
    command, domains,
    generated::TITLE,
    log, pages,
    platform::{self, survey::ServiceKind},
    serve,
};

/// How the cloud on one machine is set up.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// What has a process of its own.
    #[arg(long, env = "AULA_PROCESS_PER", value_enum, default_value_t)]
    per: Per,
    /// A Firestore emulator that runs already; without it one is started.
    #[arg(long = "firestore", env = "FIRESTORE_EMULATOR_HOST", value_name = "HOST:PORT")]
    firestore: Option<String>,
    /// A Pub/Sub emulator that runs already; without it one is started.
    #[arg(long = "pubsub", env = "PUBSUB_EMULATOR_HOST", value_name = "HOST:PORT")]
    pubsub: Option<String>,
    /// Take the domains' programs as they are, however old.
    #[arg(long, env = "AULA_NO_BUILD")]
    no_build: bool,
    /// The file of the key that signs access tokens, an RSA key as PKCS#8 in PEM; without it
    /// a new one is made.
    #[arg(long, env = "AULA_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

impl Options {
    /// The key that signs access tokens.
    fn signing_key(&self) -> anyhow::Result<String> {
        let Some(file) = &self.signing_key else { return RsaKey::generate()?.to_pem() };
        let told = || file.display().to_string();
        let key = fs::read_to_string(file).with_context(told)?;
        RsaKey::of_pem(&key).with_context(told)?;
        Ok(key)
    }
}

/// How long all processes together may take to start.
const START_WITHIN: Duration = Duration::from_mins(2);

/// Serves until the process is told to stop.
pub(crate) fn run(options: &command::Options, cloud: &Options) -> anyhow::Result<()> {
    serve::runtime()?.block_on(async {
        let mut stop = std::pin::pin!(serve::told_to_stop()?);
        let listener = TcpListener::bind(options.listen).await.with_context(|| {
            format!("{} can't be listened on; --listen takes another", options.listen)
        })?;
        let address = listener.local_addr()?;
        let Cloud { router, services, emulators, fleet, project, mut tasks } = tokio::select! {
            started = Cloud::start(options, cloud, address) => started?,
            () = &mut stop => return Ok(()),
        };
        tell(address, cloud.per, &services, &emulators, &project);
        runtime::listen(listener, router, stop).await;
        tasks.shutdown().await;
        fleet.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The cloud on one machine, as it runs. All of it ends with this.
struct Cloud {
    /// What answers those outside.
    router: Router,
    services: Vec<Arc<Service>>,
    emulators: Emulators,
    fleet: Fleet,
    /// The project that it stands for.
    project: String,
    /// What this process does beside.
    tasks: JoinSet<()>,
}

impl Cloud {
    /// Starts everything, and waits until all of it is well.
    async fn start(
        options: &command::Options,
        cloud: &Options,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let public_url = serve::public_url(options, address);
        // What can't be read is told here, and not by each process that couldn't start.
        options.identity_providers()?;
        let second_issuer = serve::second_issuer(options, &public_url)?;
        let domains = domains();
        let manifest = Manifest::of(&domains)?;
        let names: Vec<_> = domains.iter().map(|it| it.name).collect();
        let programs = Programs::of(&names, !cloud.no_build).await?;
        let emulators = Emulators::find(cloud).await?;

        let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::new(SystemClock), Arc::new(SystemRandom));
        let project = format!("aula-{}", random.id());
        let issuer = Arc::new(Issuer::new(clock.clone())?);
        let running = placed(&manifest, cloud.per)?;
        let by_function = |it: &Arc<Service>| {
            let its = |function: &String| (function.clone(), it.clone());
            it.place.functions.iter().map(its).collect::<Vec<_>>()
        };
        let services: Services = running.iter().flat_map(by_function).collect();

        let mut tasks = JoinSet::new();
        let database = Database::in_memory()?.domain("local", Inbox::COLLECTIONS)?;
        let inbox = Arc::new(Inbox::new(database, clock.clone()));
        let mail = local().await?;
        let own_mail = format!("smtp://{}", mail.local_addr()?);
        tasks.spawn(mail::serve(mail, inbox.clone()));
        let mut metadata = BTreeMap::new();
        for &name in &names {
            let router = standin::metadata(issuer.clone(), account(name, &project));
            metadata.insert(name.to_owned(), listen(&mut tasks, router).await?);
        }
        let callers = Arc::new(Callers {
            manifest,
            services: services.clone(),
            issuer: issuer.clone(),
            push: account("push", &project),
            scheduler: account("scheduler", &project),
            taken: Arc::default(),
        });
        let manifest = &callers.manifest;
        let stand_in = listen(&mut tasks, callers.clone().router()).await?;
        let pushed_to = |name: &str| format!("http://{stand_in}/push/{name}");
        pubsub::lay_out(&emulators.pubsub, &project, manifest, pushed_to).await?;

        let settings = Settings {
            project: project.clone(),
            public_url: public_url.clone(),
            secret: settings::secret(&*random),
            signing_key: cloud.signing_key()?,
            smtp_url: options.smtp_url.clone().unwrap_or(own_mail),
            admin_email: options.admin_email.clone(),
            identity_providers: options.identity_providers_json()?,
            mail_providers: options.mail_providers.clone(),
            seats_in_block: options.seats_in_block,
            second_issuer: second_issuer.clone(),
            firestore: emulators.firestore.clone(),
            pubsub: emulators.pubsub.clone(),
            google_keys: format!("http://{stand_in}/certs"),
            metadata,
        };
        let mut fleet = Fleet::new()?;
        for service in &running {
            let mut command = Command::new(programs.of_domain(&service.place.domain));
            command.env_clear().envs(settings.environment(service, manifest, &services));
            fleet.keep(service.clone(), command)?;
            tasks.spawn(service.clone().watch(clock.clone()));
        }
        let keys = Arc::new(Jwks(services[settings::JWKS].clone()));
        let asking = Asking {
            service: services[settings::EXCHANGE].clone(),
            issuer: issuer.clone(),
            account: account("courses", &project),
        };
        let of_itself = runtime::Settings {
            public_url: public_url.clone(),
            second_issuer: second_issuer.clone(),
            ..runtime::Settings::default()
        };
        let checks = (keys.clone(), asking);
        let of_platform = of_platform(of_itself, checks, &domains, &services, &emulators)?;
        let front = Front {
            routes: Routes::of(runtime::openapi::gateway(TITLE, &domains), manifest)?,
            verifier: Verifier::new(keys, &public_url),
            second_issuer,
            services,
            issuer,
            account: account("gateway", &project),
            clock,
            random,
        };
        all_well(&running).await?;
        scheduler::begin(&callers, &mut tasks);
        let stats = Stats::of(&callers, running.clone(), (&emulators.firestore, &project), names);
        let router = of_processes(&running, stats.await?)
            .merge(pages::inbox_router(inbox, &public_url))
            .route_service("/v1/health", of_platform.clone().into_service())
            .route_service("/v1/services", of_platform.into_service())
            .merge(front.router());
        Ok(Self { router, services: running, emulators, fleet, project, tasks })
    }
}

/// What there is to know of the processes.
fn of_processes(services: &[Arc<Service>], stats: Stats) -> Router {
    let (processes, stats) = (services.to_vec(), Arc::new(stats));
    Router::new()
        .route("/local/stats", get(async move || stats.answer().await))
        .route("/local/functions", get(async move || Json(told(&processes))))
}

/// What the platform tells of itself, which no function of it does.
fn of_platform(
    settings: runtime::Settings,
    (keys, asking): (Arc<Jwks>, Asking),
    domains: &[Domain],
    services: &Services,
    emulators: &Emulators,
) -> anyhow::Result<Router> {
    let options = embedded::Options { keyring: Some(keys), ..embedded::Options::new(settings) };
    // It has no functions: it's here for the ports, of which tokens are checked with one.
    let none = embedded::Platform::start(options, Vec::new())?;
    let ports = none.front(None).ports;
    let ports = Ports { client: Arc::new(asking), ..(*ports).clone() };
    let front = runtime::Front { limits: None, ports: Arc::new(ports) };
    let functions = domains.iter().flat_map(|domain| &domain.functions);
    let surveyor = survey::Surveyor {
        _own: none,
        services: services.clone(),
        functions: functions
            .map(|it| (runtime::service_name(&it.id), (it.id.clone(), ServiceKind::of(it))))
            .collect(),
        emulators: vec![
            ("firestore", emulators.firestore.clone()),
            ("pubsub", emulators.pubsub.clone()),
        ],
    };
    Ok(runtime::with_front(platform::router(&front, Arc::new(surveyor)), &front))
}

/// The services that are to be, each with an address.
fn placed(manifest: &Manifest, per: Per) -> anyhow::Result<Vec<Arc<Service>>> {
    let places = manifest.places(per);
    let addresses = free_addresses(places.len())?;
    let service = |(place, address)| Arc::new(Service::new(place, address));
    Ok(places.into_iter().zip(addresses).map(service).collect())
}

/// Listens beside the gateway, for this machine alone.
async fn listen(tasks: &mut JoinSet<()>, router: Router) -> anyhow::Result<SocketAddr> {
    let listener = local().await?;
    let address = listener.local_addr()?;
    tasks.spawn(runtime::listen(listener, router, std::future::pending()));
    Ok(address)
}

async fn local() -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?)
}

/// Waits until every service is well.
async fn all_well(services: &[Arc<Service>]) -> anyhow::Result<()> {
    let give_up = Instant::now() + START_WITHIN;
    loop {
        let ill = services.iter().filter(|it| !it.is_well());
        let ill: Vec<_> = ill.map(|it| it.place.name.as_str()).collect();
        if ill.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < give_up, "these don't start: {}", ill.join(", "));
        sleep(Duration::from_millis(50)).await;
    }
}

/// What runs where.
fn told(services: &[Arc<Service>]) -> Value {
    let told = |it: &Arc<Service>| {
        json!({
            "service": it.place.name,
            "address": it.address.to_string(),
            "process": *it.process.lock().expect("no holder panics"),
            "state": if it.is_well() { "ok" } else { "failing" },
        })
    };
    services.iter().map(told).collect()
}

/// Tells where everything is.
fn tell(
    address: SocketAddr,
    per: Per,
    services: &[Arc<Service>],
    emulators: &Emulators,
    project: &str,
) {
    let here = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        _ => address,
    };
    let per = match per {
        Per::Function => "function",
        Per::Domain => "domain",
    };
    let Emulators { firestore, pubsub, .. } = emulators;
    if log::is_for_people() {
        println!(
            "\n  Aula is at     http://{here}/\n  its processes  http://{here}/local/functions \
            ({}, one a {per})\n  its mail       http://{here}/local/inbox\n  \
            its project    {project}\n  Firestore      {firestore}\n  Pub/Sub        {pubsub}\n  \
            its jobs       run every second\n\n  Ctrl-C stops it, and all is forgotten.\n",
            services.len(),
        );
        for service in services {
            println!("  {}  {}", service.address, service.place.name);
        }
    } else {
        tracing::info!(
            address = %address,
            inbox = %format_args!("http://{here}/local/inbox"),
            processes = services.len(),
            per,
            project,
            firestore,
            pubsub,
            "listening"
        );
    }
}
