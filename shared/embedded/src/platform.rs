//! The platform in one process: some domains on the ports of this crate.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use runtime::{
    Clock, Domain, Files, Front, Host, Keyring, Mail, Need, Ports, Random, Secret, Settings, Store,
    files::{DomainFiles, NoFiles},
    limits::Limits,
    token::Verifier,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    Clockwork, FileKeyring, Inbox, LocalBus, LocalClient, LocalFiles, Smtp, SystemClock,
    SystemRandom,
    keyring::new_secret,
    store::{self, Database, DomainStore},
};

/// How the platform is set up.
pub struct Options {
    /// The folder that everything is kept in; nothing: it's gone with the process.
    pub folder: Option<PathBuf>,
    /// The server that takes mail, as `smtp://host:port`; nothing: mail goes to
    /// the local inbox alone.
    pub smtp_url: Option<String>,
    /// What functions must know.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What signs access tokens; nothing: a key in the folder.
    pub keyring: Option<Arc<dyn Keyring>>,
}

impl Options {
    /// The machine's time and randomness, nothing kept, mail to the local inbox.
    pub fn new(settings: Settings) -> Self {
        Self {
            folder: None,
            smtp_url: None,
            settings,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            keyring: None,
        }
    }
}

/// The platform in one process.
pub struct Platform {
    host: Host,
    database: Arc<Database>,
    inbox: Arc<Inbox>,
    files: Arc<LocalFiles>,
    bus: Arc<LocalBus>,
    ports: BTreeMap<&'static str, Arc<Ports>>,
    /// The ports of the platform itself.
    own: Arc<Ports>,
    limits: Arc<OnceLock<Arc<Limits>>>,
    clockwork: Arc<Clockwork>,
    jobs: Background,
    relay: Background,
}

/// How long the jobs may take to finish when the platform stops.
const JOBS_WITHIN: Duration = Duration::from_secs(3);

/// How long the bus may: it gives up a little earlier by itself.
const BUS_WITHIN: Duration = Duration::from_secs(6);

/// How many expired documents are dropped at once.
const DROPPED: u32 = 500;

impl Platform {
    /// Starts the domains, within a Tokio runtime. What takes long is done when
    /// it's needed, or after.
    pub fn start(options: Options, domains: Vec<Domain>) -> anyhow::Result<Self> {
        let Options { folder, smtp_url, settings, clock, random, keyring } = options;
        let database = match &folder {
            Some(folder) => Database::open(folder, store::Options::default())?,
            None => Database::in_memory()?,
        };
        let keys = folder.as_ref().map(|folder| folder.join("keys"));
        let secret = if let Some(keys) = &keys {
            crate::secret(keys, &*random).context("the platform's secret")?
        } else {
            Secret::new(&new_secret(&*random))
        };
        let secret = Arc::new(secret);
        let (of_files, url) =
            ((secret.clone(), clock.clone(), random.clone()), &settings.public_url);
        let files = match (&folder, of_files) {
            (Some(folder), (secret, clock, random)) => {
                LocalFiles::open(&folder.join("files"), url, secret, clock, random)
            }
            (None, (secret, clock, random)) => LocalFiles::temporary(url, secret, clock, random),
        };
        let files = Arc::new(files);
        let keyring = keyring.unwrap_or_else(|| {
            let keyring =
                Arc::new(keys.map_or_else(FileKeyring::in_memory, |keys| FileKeyring::open(&keys)));
            prepare(keyring.clone());
            keyring
        });

        let own = database.domain("local", Inbox::COLLECTIONS)?;
        let mut stores = vec![own.clone()];
        let inbox = Arc::new(Inbox::new(own.clone(), clock.clone()));
        let mail: Arc<dyn Mail> = match smtp_url {
            Some(url) => {
                let smtp = Smtp::new(&url, &settings.public_url, clock.clone(), inbox.clone())?;
                Arc::new(smtp)
            }
            None => inbox.clone(),
        };
        let events = database.domain("bus", LocalBus::COLLECTIONS)?;
        stores.push(events.clone());
        let bus = Arc::new(LocalBus::new(events.clone(), clock.clone(), random.clone()));
        let client = Arc::new(LocalClient::new(random.clone()));
        let own = Arc::new(Ports {
            store: own,
            files: Arc::new(NoFiles("the platform itself keeps no files")),
            client: client.clone(),
            bus: bus.clone(),
            mail,
            clock: clock.clone(),
            random,
            verifier: Arc::new(Verifier::new(keyring.clone(), &settings.public_url)),
            keyring,
            secret,
            settings: Arc::new(settings),
        });

        let (mut ports, mut outboxes, mut hosted) = (BTreeMap::new(), Vec::new(), Vec::new());
        for domain in domains {
            let store = database.domain(domain.name, &domain.collections)?;
            let files = files_of(&domain, &files);
            let of_domain = Arc::new(Ports { store: store.clone(), files, ..Ports::clone(&own) });
            ports.insert(domain.name, of_domain.clone());
            stores.push(store.clone());
            outboxes.push((domain.name, store as Arc<dyn Store>));
            hosted.push((domain, of_domain));
        }
        let host = Host::new(hosted, None);
        client.lead_to(host.clone());
        bus.connect(host.clone(), outboxes);

        let (database, limits) = (Arc::new(database), Arc::<OnceLock<Arc<Limits>>>::default());
        let clockwork = Clockwork::new(host.clone())
            .each_minute("drop_expired", drop_expired(stores, clock))
            .each_minute("finish_erasing", finish_erasing(bus.clone(), database.clone()))
            .each_minute("forget_idle", forget_idle(limits.clone()));
        let (clockwork, carrier) = (Arc::new(clockwork), bus.clone());
        let works = clockwork.clone();
        let jobs = Background::begin(async move |stop| works.run(stop).await);
        let relay = Background::begin(async move |stop| carrier.carry(stop).await);
        Ok(Self { host, database, inbox, files, bus, ports, own, limits, clockwork, jobs, relay })
    }

    /// The functions.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The documents of all domains.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// The mail that was sent.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// What answers the links to files. It stands beside what limits bodies and
    /// how long a request may take.
    pub fn files_router(&self) -> Router {
        self.files.router()
    }

    /// What carries events.
    pub fn bus(&self) -> &Arc<LocalBus> {
        &self.bus
    }

    /// The ports of a domain.
    pub fn ports(&self, domain: &str) -> Option<&Arc<Ports>> {
        self.ports.get(domain)
    }

    /// What a server adds to the functions; limits that nobody needs any more
    /// are forgotten from now on.
    pub fn front(&self, limits: Option<Arc<Limits>>) -> Front {
        if let Some(limits) = &limits {
            let _first_one_counts = self.limits.set(limits.clone());
        }
        Front { limits, ports: self.own.clone() }
    }

    /// Tidies now, and not only when the next minute is over: what has expired is
    /// dropped, and who was erased is gone from the file, too.
    pub async fn tidy(&self) -> runtime::Result<()> {
        self.clockwork.tidy().await
    }

    /// Stops: the jobs first, then the bus when it has carried what is left, or
    /// after some seconds; then the store is closed.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        self.jobs.end("the jobs", JOBS_WITHIN).await;
        self.relay.end("the bus", BUS_WITHIN).await;
        self.database.close().await
    }
}

/// The files of a domain: as in the cloud, where its account may touch none
/// unless it says that it needs them.
fn files_of(domain: &Domain, all: &Arc<LocalFiles>) -> Arc<dyn Files> {
    if domain.needs.contains(&Need::Files) {
        Arc::new(DomainFiles::new(all.clone(), domain.name))
    } else {
        Arc::new(NoFiles("the domain doesn't say that it needs files"))
    }
}

/// Makes the key that signs tokens, before the first one signs in.
fn prepare(keyring: Arc<FileKeyring>) {
    runtime::spawn(async move {
        if let Err(error) = keyring.prepare().await {
            tracing::error!(error = format!("{error:#}"), "there's no key to sign tokens");
        }
    });
}

/// Drops the documents whose time is over.
fn drop_expired(stores: Vec<Arc<DomainStore>>, clock: Arc<dyn Clock>) -> impl Fn() -> Chore {
    move || {
        let (stores, clock) = (stores.clone(), clock.clone());
        Box::pin(async move {
            for store in stores {
                while store.drop_expired(clock.now(), DROPPED).await? >= DROPPED {}
            }
            Ok(())
        })
    }
}

/// Sees to it that nothing of who was erased is left in the file.
fn finish_erasing(bus: Arc<LocalBus>, database: Arc<Database>) -> impl Fn() -> Chore {
    move || {
        let (bus, database) = (bus.clone(), database.clone());
        Box::pin(async move {
            if bus.finish_erasing(&database).await? {
                tracing::info!("somebody was erased: the file was written anew");
            }
            Ok(())
        })
    }
}

/// Forgets limits that nobody needs any more.
fn forget_idle(limits: Arc<OnceLock<Arc<Limits>>>) -> impl Fn() -> Chore {
    move || {
        let limits = limits.clone();
        Box::pin(async move {
            if let Some(limits) = limits.get() {
                limits.forget_idle();
            }
            Ok(())
        })
    }
}

/// What is done each minute.
type Chore = Pin<Box<dyn Future<Output = runtime::Result<()>> + Send>>;

/// Something that runs beside the requests until it's told to stop.
struct Background {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    fn begin<F>(run: impl FnOnce(watch::Receiver<bool>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let task = runtime::spawn(run(stopped));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Tells it to stop, and waits for it a while.
    async fn end(&self, name: &str, within: Duration) {
        let task = self.task.lock().expect("no holder panics").take();
        let Some(mut task) = task else { return };
        self.stop.send_replace(true);
        match timeout(within, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "{name} ended badly"),
            Err(_elapsed) => {
                tracing::warn!("{name} didn't finish in time");
                task.abort();
            }
        }
    }
}
