//! The store in Firestore: a database for each domain, a document for each of
//! its documents.
//!
//! A [`Firestore`] is what all domains have in common; a [`DomainStore`] is what
//! one of them sees. To make either opens nothing: sockets, certificates and
//! credentials wait for the first document (`connection`). A member of a
//! document is a field with a type (`values`); a query becomes one of
//! Firestore's (`search`); a commit is one `Commit` with preconditions, and what
//! became of one that wasn't answered is found out (`commit`, `versions`). How long to wait
//! and how often to try is decided in `patience`.
//!
//! An operation is one call: a reading `BatchGetDocuments`, of one document too
//! (which tells a missing document from a missing database, as `GetDocument`
//! doesn't), a query `RunQuery`, a count `RunAggregationQuery`. A commit of
//! several documents that finds a conflict takes a second one to learn whose it
//! is.

mod calls;
mod commit;
mod connection;
mod domain;
mod patience;
mod scan;
mod search;
mod values;
mod versions;

use std::sync::Arc;

use runtime::{Clock, Collection, Random};

use crate::Metadata;

pub use self::{domain::DomainStore, patience::Patience, scan::Moment};

/// Where Firestore is, and how it's treated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The project that the databases are in.
    pub project: String,
    /// The host and port of an emulator, as `FIRESTORE_EMULATOR_HOST` names it;
    /// none for the real one.
    pub emulator: Option<String>,
    /// How long to wait for it.
    pub patience: Patience,
}

impl Settings {
    /// The real Firestore, of a project.
    pub fn of(project: impl Into<String>) -> Self {
        Self { project: project.into(), emulator: None, patience: Patience::default() }
    }

    /// An emulator, at this host and port.
    #[must_use]
    pub fn at(mut self, emulator: impl Into<String>) -> Self {
        self.emulator = Some(emulator.into());
        self
    }

    /// With other patience.
    #[must_use]
    pub const fn with(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

/// The databases of a project.
#[derive(Clone)]
pub struct Firestore {
    settings: Settings,
    /// Who a container is; none for an emulator, and for who is signed in on this machine.
    metadata: Option<Arc<Metadata>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Firestore {
    /// What these settings name; nothing is opened.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { settings, metadata: None, clock, random }
    }

    /// The same databases, asked by a container's service account.
    #[must_use]
    pub fn asked_by(self, metadata: Arc<Metadata>) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    /// The same databases, seen from another host.
    #[must_use]
    pub fn at(&self, emulator: impl Into<String>) -> Self {
        Self { settings: self.settings.clone().at(emulator), ..self.clone() }
    }

    /// The store of a domain: the database with this name. Nothing is opened.
    pub fn domain(
        &self,
        database: &str,
        collections: &[Collection],
    ) -> anyhow::Result<Arc<DomainStore>> {
        Ok(Arc::new(DomainStore::new(self, database, collections)?))
    }
}
