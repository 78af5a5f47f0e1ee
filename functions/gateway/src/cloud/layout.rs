//! What the platform consists of, and which process has which part of it. It is
//! read from the manifest, as Terraform reads it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Deserialize;

/// What has a process of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Per {
    /// Every function, as in the cloud.
    #[default]
    Function,
    /// Every domain: fewer processes, for small machines.
    Domain,
}

/// The manifest.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub domains: BTreeMap<String, Domain>,
    /// By the names of their services.
    pub functions: BTreeMap<String, Function>,
    pub topics: BTreeMap<String, Topic>,
}

/// A topic, of one event.
#[derive(Debug, Deserialize)]
pub(super) struct Topic {
    /// Whose event it is.
    pub domain: String,
}

/// A domain.
#[derive(Debug, Deserialize)]
pub(super) struct Domain {
    /// The operations of others that it calls, each with its service.
    pub calls: BTreeMap<String, String>,
    needs: Vec<String>,
}

impl Domain {
    /// Whether it needs something that is handed to few.
    pub fn needs(&self, what: &str) -> bool {
        self.needs.iter().any(|it| it == what)
    }
}

/// A function.
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub domain: String,
    /// Its id, which is its process's `FUNCTION_TARGET`.
    pub target: String,
    pub invoker: Invoker,
    pub http: Option<Http>,
    pub topic: Option<String>,
    /// The domains that may call it.
    #[serde(default)]
    pub callers: Vec<String>,
}

/// Who runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Invoker {
    Gateway,
    Everyone,
    Domains,
    Push,
    Scheduler,
}

/// Where an operation is.
#[derive(Debug, Deserialize)]
pub(super) struct Http {
    pub method: String,
    pub path: String,
}

/// A process to be: a service of Cloud Run, here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub name: String,
    pub domain: String,
    /// The one function that it serves; without it, all of the domain.
    pub target: Option<String>,
    /// The functions that it serves, by the names of their services.
    pub functions: Vec<String>,
}

impl Manifest {
    /// The manifest of what is declared.
    pub fn of(domains: &[runtime::Domain]) -> anyhow::Result<Self> {
        let manifest = runtime::openapi::manifest(domains);
        serde_json::from_value(manifest).context("reading the manifest")
    }

    /// The processes.
    pub fn places(&self, per: Per) -> Vec<Place> {
        match per {
            Per::Function => self.functions.iter().map(|(name, it)| Place::of(name, it)).collect(),
            Per::Domain => self.domains.keys().map(|name| self.whole(name)).collect(),
        }
    }

    fn whole(&self, domain: &str) -> Place {
        let own = self.functions.iter().filter(|(_, it)| it.domain == domain);
        Place {
            name: domain.to_owned(),
            domain: domain.to_owned(),
            target: None,
            functions: own.map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl Place {
    fn of(name: &str, function: &Function) -> Self {
        Self {
            name: name.to_owned(),
            domain: function.domain.clone(),
            target: Some(function.target.clone()),
            functions: vec![name.to_owned()],
        }
    }
}

/// Where ports are looked for: below those that connections are made from, so that the port
/// of a process that has ended is still free when it's started again.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// So many addresses that nobody listens at.
pub(super) fn free_addresses(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    // Two platforms on one machine begin to look at different places.
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT))?;
    let ports = (0..COUNT).map(|it| FIRST + begin.wrapping_add(it) % COUNT);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let found: Vec<_> = ports.filter(is_free).map(address).take(count).collect();
    anyhow::ensure!(found.len() == count, "there aren't {count} free ports from {FIRST} on");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_function_is_in_one_process_whatever_has_its_own() {
        let manifest = Manifest::of(&crate::domains()).unwrap();
        let all: BTreeSet<_> = manifest.functions.keys().cloned().collect();
        assert!(all.len() > 50);
        for (per, count) in [(Per::Function, all.len()), (Per::Domain, manifest.domains.len())] {
            let places = manifest.places(per);
            assert_eq!(places.len(), count);
            let served: Vec<_> = places.into_iter().flat_map(|it| it.functions).collect();
            assert_eq!(served.len(), all.len());
            assert_eq!(served.into_iter().collect::<BTreeSet<_>>(), all);
        }
    }

    #[test]
    fn each_address_is_given_once() {
        let addresses = free_addresses(70).unwrap();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 70);
        assert!(addresses.iter().all(|it| it.ip().is_loopback() && it.port() != 0));
    }
}
