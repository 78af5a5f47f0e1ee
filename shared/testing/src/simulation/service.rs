//! A domain in a world: what it declares, what it has stored, and who serves it.

use std::{
    ops::Range,
    sync::{Arc, OnceLock, atomic::AtomicU64},
};

use embedded::FileKeyring;
use runtime::{Domain, Host, Keyring, Ports, Secret, Settings, Trigger, token::Verifier};

use super::{documents::Documents, process::Process};
use crate::App;

/// A domain to be simulated.
pub struct Service {
    pub(crate) domain: Box<dyn Fn() -> Domain>,
    pub(crate) instances: usize,
    pub(crate) ports: Box<dyn Fn(Ports) -> Ports>,
}

impl Service {
    /// A domain, served by one process.
    pub fn of(domain: impl Fn() -> Domain + 'static) -> Self {
        Self { domain: Box::new(domain), instances: 1, ports: Box::new(|ports| ports) }
    }

    /// Served by so many processes on the same store.
    #[must_use]
    pub const fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// With something between the functions and their ports.
    #[must_use]
    pub fn with_ports(mut self, ports: impl Fn(Ports) -> Ports + 'static) -> Self {
        self.ports = Box::new(ports);
        self
    }
}

/// A domain, what it has stored, and which processes serve it.
pub(crate) struct Served {
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    pub(crate) documents: Documents,
    pub(crate) processes: Range<usize>,
    pub(crate) operations: Vec<String>,
    pub(crate) jobs: Vec<String>,
    /// Its subscribers, each after the type of event that it subscribes to.
    pub(crate) subscribers: Vec<(&'static str, String)>,
}

impl Served {
    pub(crate) fn new(service: Service, first: usize) -> Self {
        let domain = (service.domain)();
        let (mut operations, mut jobs, mut subscribers) = (Vec::new(), Vec::new(), Vec::new());
        for function in domain.functions {
            match function.trigger {
                Trigger::Http(_) => operations.push(function.id),
                Trigger::Schedule(it) if it.is_relay => {} // The simulated bus relays by itself.
                Trigger::Schedule(_) => jobs.push(function.id),
                Trigger::Event(event) => subscribers.push((event.kind, function.id)),
            }
        }
        Self {
            name: domain.name,
            documents: Documents::new(domain.name, &domain.collections),
            processes: first..first + service.instances,
            service,
            operations,
            jobs,
            subscribers,
        }
    }
}

/// A process that lives, and what it serves.
pub(crate) struct Alive {
    pub(crate) name: String,
    /// The domain that it serves; nothing if it's somebody outside.
    pub(crate) service: Option<usize>,
    pub(crate) process: Process,
    pub(crate) host: Option<Host>,
    pub(crate) ports: Arc<Ports>,
    /// The step in which it has begun what it's doing.
    pub(crate) beginning: Arc<AtomicU64>,
}

/// The ports that are the same in every world, and lead nowhere.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) keyring: Arc<dyn Keyring>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) secret: Arc<Secret>,
    pub(crate) settings: Arc<Settings>,
}

impl Given {
    pub(crate) fn ports() -> Self {
        static GIVEN: OnceLock<Given> = OnceLock::new();
        GIVEN.get_or_init(Self::new).clone()
    }

    fn new() -> Self {
        let keyring = FileKeyring::of_pem(include_str!("../../data/key.pem"));
        let keyring: Arc<dyn Keyring> = Arc::new(keyring.expect("the test's key is one"));
        Self {
            verifier: Arc::new(Verifier::new(keyring.clone(), App::PUBLIC_URL)),
            keyring,
            secret: Arc::new(Secret::new(&[7; 32])),
            settings: Arc::new(Settings {
                public_url: App::PUBLIC_URL.to_owned(),
                admin_email: Some(App::ADMIN_EMAIL.to_owned()),
                ..Settings::default()
            }),
        }
    }
}
