//! What a project of Google Cloud has given up: dead letters in Pub/Sub, and what
//! is parked in the domains' databases.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use async_trait::async_trait;
use google::{DeadLetter, DeadLetters, firestore::DomainStore, parked_event};
use runtime::{
    Document as _, Key, Parked, Query, Store as _, Stored, Trigger, Version, Write, service_name,
};

use super::{GivenUp, Keeps};
use crate::{domains, operator::Target};

/// A project.
pub(super) struct Project {
    dead_letters: DeadLetters,
    /// The domains that take events.
    domains: Vec<(&'static str, Arc<DomainStore>)>,
    /// The types of events that subscribers take, by their functions' ids.
    subscribers: BTreeMap<String, &'static str>,
}

impl Project {
    /// A project; nothing is asked before it's needed.
    pub fn open(target: &Target, project: &str) -> anyhow::Result<Self> {
        let (mut stores, mut subscribers) = (Vec::new(), BTreeMap::new());
        for domain in domains() {
            let before = subscribers.len();
            for function in &domain.functions {
                if let Trigger::Event(subscription) = &function.trigger {
                    subscribers.insert(function.id.clone(), subscription.kind);
                }
            }
            if subscribers.len() > before {
                stores.push((domain.name, target.documents(project, &domain)?));
            }
        }
        let dead_letters = target.dead_letters(project)?;
        Ok(Self { dead_letters, domains: stores, subscribers })
    }

    /// The function that a service serves.
    fn function(&self, service: &str) -> String {
        let found = self.subscribers.keys().find(|it| service_name(it) == service);
        found.map_or(service, String::as_str).to_owned()
    }

    fn dead(&self, letter: DeadLetter) -> GivenUp {
        let (event, because) = match letter.event {
            Ok(event) => (Some(event.kind), None),
            Err(because) => (None, Some(because)),
        };
        GivenUp {
            id: letter.id,
            subscriber: self.function(&letter.service),
            event,
            attempts: Some(letter.attempts.unwrap_or_default()),
            at: None,
            because,
        }
    }

    /// What a domain has parked, newest first, with the versions.
    async fn parked(store: &DomainStore, most: u32) -> anyhow::Result<Vec<(Parked, Version)>> {
        const PAGE: u32 = 100;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let query = Query::descending::<Parked>("parked_at").limit(PAGE).after(after.take());
            let rows = store.query(&query).await?;
            for record in rows.records {
                let version = record.version.clone();
                all.push((Stored::<Parked>::read(record)?.into_inner(), version));
            }
            after = rows.next;
            if after.is_none() || all.len() >= most as usize {
                return Ok(all);
            }
        }
    }

    /// Replays what was parked, and parks it no more.
    async fn replay_parked(
        &self,
        store: &DomainStore,
        parked: &Parked,
        version: Version,
    ) -> anyhow::Result<()> {
        let function = &parked.subscriber;
        let kind = self.subscribers.get(function);
        let kind = kind.with_context(|| format!("there is no subscriber {function}"))?;
        self.dead_letters.replay_parked(parked, kind).await?;
        // Only now: a crash in between replays it twice, and that is allowed.
        let delete = Write::Delete(Key::of::<Parked>(parked.key()), version);
        let _gone_already = store.commit(vec![delete]).await?;
        Ok(())
    }
}

#[async_trait]
impl Keeps for Project {
    async fn given_up(&self, most: u32) -> anyhow::Result<Vec<GivenUp>> {
        let letters = self.dead_letters.list(most as usize).await.context("the dead letters")?;
        let mut all: Vec<_> = letters.into_iter().map(|it| self.dead(it)).collect();
        for (domain, store) in &self.domains {
            let parked = Self::parked(store, most).await;
            let parked = parked.with_context(|| format!("what {domain} has parked"))?;
            all.extend(parked.into_iter().map(|(parked, _)| GivenUp::from(parked)));
        }
        Ok(all)
    }

    async fn replay(&self, wanted: &[GivenUp]) -> anyhow::Result<usize> {
        let dead = |it: &&GivenUp| it.attempts.is_some();
        let ids: Vec<_> = wanted.iter().filter(dead).map(|it| it.id.as_str()).collect();
        let mut replayed = 0;
        if !ids.is_empty() {
            let is_wanted = |letter: &DeadLetter| ids.contains(&letter.id.as_str());
            // What came meanwhile may stand before them.
            replayed += self.dead_letters.replay(ids.len().max(1_000), is_wanted).await?;
        }
        for (domain, store) in &self.domains {
            let own = |it: &&GivenUp| it.subscriber.split('.').next() == Some(*domain);
            let parked = wanted.iter().filter(|it| it.attempts.is_none()).filter(own);
            let ids: Vec<_> = parked.map(|it| it.id.as_str()).collect();
            if ids.is_empty() {
                continue;
            }
            for (parked, version) in Self::parked(store, u32::MAX).await? {
                if !ids.contains(&parked.id.as_str()) {
                    continue;
                }
                match self.replay_parked(store, &parked, version).await {
                    Ok(()) => replayed += 1,
                    // The others needn't wait for it.
                    Err(error) => eprintln!("{} can't be replayed: {error:#}", parked.id),
                }
            }
        }
        Ok(replayed)
    }
}

impl From<Parked> for GivenUp {
    fn from(parked: Parked) -> Self {
        let event = parked_event(&parked).ok().map(|event| event.kind);
        Self {
            id: parked.id,
            subscriber: parked.subscriber,
            event,
            attempts: None,
            at: Some(parked.parked_at),
            because: Some(parked.because),
        }
    }
}
