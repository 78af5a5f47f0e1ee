//! The store of one domain.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use contracts::Timestamp;
use runtime::{
    Collection, Collections, Conflict, Direction, Key, Query, Record, Rows, Store, Version, Write,
};

use super::{
    cell,
    connections::Connections,
    search::Search,
    statistics::Counters,
    table::Table,
    writer::{Change, Outcome},
};

/// The part of a database that belongs to one domain; it reaches no other.
pub struct DomainStore {
    collections: Collections,
    tables: BTreeMap<&'static str, Arc<Table>>,
    connections: Arc<Connections>,
    counters: Arc<Counters>,
}

impl DomainStore {
    /// Opens the collections of a domain.
    pub(super) fn open(
        domain: &str,
        collections: &[Collection],
        connections: Arc<Connections>,
        counters: Arc<Counters>,
    ) -> anyhow::Result<Self> {
        ensure!(runtime::is_plain(domain), "{domain:?} can't name a domain");
        let declared = Collections::of(domain, collections)?;
        let mut tables = BTreeMap::new();
        for collection in collections {
            tables.insert(collection.name, Arc::new(Table::new(domain, *collection)?));
        }
        connections.shape(&tables.values().cloned().collect::<Vec<_>>())?;
        Ok(Self { collections: declared, tables, connections, counters })
    }

    /// Reads all documents of a collection, in the order of their ids. They are
    /// read a batch at a time, so a change meanwhile may or may not be seen;
    /// [`Database::open_read_only`](super::Database::open_read_only) shows one moment.
    pub fn scan(
        &self,
        collection: &str,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Record>> + use<'_>> {
        const BATCH: u32 = 256;
        let table = Arc::clone(self.table(collection)?);
        // No id is empty, so all come after this.
        let (mut after, mut more) = (String::new(), true);
        let mut batch = Vec::new().into_iter();
        Ok(std::iter::from_fn(move || {
            if batch.len() == 0 && more {
                match self.connections.read(|it| Ok(table.scan(it, &after, BATCH)?)) {
                    Ok(records) => {
                        more = !records.is_empty();
                        after = records.last().map(|last| last.id.clone()).unwrap_or_default();
                        batch = records.into_iter();
                    }
                    Err(error) => {
                        more = false;
                        return Some(Err(error));
                    }
                }
            }
            batch.next().map(Ok)
        }))
    }

    /// Drops documents whose time is over, at most so many, and says how many.
    /// Firestore does that by itself.
    pub async fn drop_expired(&self, now: Timestamp, limit: u32) -> anyhow::Result<u32> {
        const BATCH: u32 = 400;
        let mut dropped = 0;
        for table in self.tables.values() {
            let Some(listing) = table.expiring() else { continue };
            let mut query = Query {
                collection: table.collection.name,
                equals: Vec::new(),
                contains: None,
                order: listing.index.order,
                direction: Direction::Ascending,
                at_most: Some(now.to_string().into()),
                at_least: None,
                limit: BATCH,
                after: None,
            };
            while dropped < limit {
                query.limit = BATCH.min(limit - dropped);
                let search = Search::along(table, listing, &query)?;
                let rows = self.connections.read(|connection| search.rows(connection))?;
                dropped += self.drop_unchanged(query.collection, rows.records).await?;
                query.after = rows.next;
                if query.after.is_none() {
                    break;
                }
            }
        }
        Ok(dropped)
    }

    /// Deletes those documents that are still as they were read: one that has
    /// changed may have been given more time.
    async fn drop_unchanged(
        &self,
        collection: &'static str,
        records: Vec<Record>,
    ) -> anyhow::Result<u32> {
        let delete = |it: Record| Write::Delete(Key { collection, id: it.id }, it.version);
        let mut deletes: Vec<Write> = records.into_iter().map(delete).collect();
        while let Err(Conflict(changed)) = self.commit(deletes.clone()).await? {
            deletes.retain(|delete| *delete.key() != changed);
        }
        Ok(u32::try_from(deletes.len())?)
    }

    fn table(&self, collection: &str) -> anyhow::Result<&Arc<Table>> {
        let table = self.tables.get(collection);
        table.with_context(|| {
            format!("{} has no collection {collection}", self.collections.domain())
        })
    }

    /// A document that is noted, and not in the file yet.
    fn noted(&self, table: &Table, key: &Key) -> Option<Record> {
        let body = self.connections.notes()?.find(&table.name, &key.id)?;
        // It was never read from the file, so nobody can have a version to write it by.
        Some(Record { id: key.id.clone(), body, version: Version("noted".to_owned()) })
    }

    /// What a write changes: its text is read here, where it's made, and not where the
    /// commits of others wait behind it.
    fn change(&self, write: Write) -> anyhow::Result<Change> {
        let (key, before, after) = match write {
            Write::Create(key, body) => (key, None, Some(body)),
            Write::Replace(key, body, version) => (key, Some(version), Some(body)),
            Write::Delete(key, version) => (key, Some(version), None),
        };
        let table = Arc::clone(self.table(key.collection)?);
        let told = || format!("{}/{} can't be written", key.collection, key.id);
        let number = |version: Version| version.0.parse().context("its version isn't of here");
        let before = before.map(number).transpose().with_context(told)?;
        let read = |body: String| cell::cells(&body, &table.fields).map(|cells| (body, cells));
        let after = after.map(read).transpose().with_context(told)?;
        Ok(Change { table, key, before, after })
    }
}

#[async_trait]
impl Store for DomainStore {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        let table = self.table(key.collection)?;
        self.counters.reads.one();
        // Before the file: what is noted goes there, and never comes back. But where
        // something stands there already, that stays.
        let noted = self.noted(table, key);
        let found = self.connections.read(|connection| Ok(table.get(connection, &key.id)?))?;
        Ok(found.or(noted))
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        let tables = keys.iter().map(|key| self.table(key.collection));
        let tables = tables.collect::<anyhow::Result<Vec<_>>>()?;
        self.counters.reads.many(keys.len());
        let noted = keys.iter().zip(&tables).map(|(key, table)| self.noted(table, key));
        let noted: Vec<_> = noted.collect();
        self.connections.read(|connection| {
            // One transaction for all; what is read at one moment anyway is in one already.
            let alone = connection.is_autocommit();
            let transaction = alone.then(|| connection.unchecked_transaction()).transpose()?;
            let get = |((key, table), noted): ((&Key, &Arc<Table>), Option<Record>)| {
                Ok(table.get(connection, &key.id)?.or(noted))
            };
            let records = keys.iter().zip(tables).zip(noted).map(get);
            let records = records.collect::<rusqlite::Result<_>>()?;
            transaction.map_or(Ok(()), rusqlite::Transaction::commit)?;
            Ok(records)
        })
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        self.collections.check_query(query)?;
        let search = Search::new(self.table(query.collection)?, query)?;
        self.counters.queries.one();
        let rows = self.connections.read(|connection| search.rows(connection))?;
        self.counters.found.many(rows.records.len());
        Ok(rows)
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        self.collections.check_query(query)?;
        let search = Search::new(self.table(query.collection)?, query)?;
        self.counters.queries.one();
        self.connections.read(|connection| search.count(connection))
    }

    async fn commit(&self, writes: Vec<Write>) -> Outcome {
        if writes.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(conflict) = self.collections.check(&writes)? {
            return Ok(Err(conflict));
        }
        let changes = writes.into_iter().map(|write| self.change(write));
        self.connections.commit(changes.collect::<anyhow::Result<_>>()?).await
    }

    async fn note(&self, creates: Vec<Write>) -> Outcome {
        if creates.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(conflict) = self.collections.check(&creates)? {
            return Ok(Err(conflict));
        }
        let changes = creates.into_iter().map(|write| self.change(write));
        self.connections.note(changes.collect::<anyhow::Result<_>>()?).await
    }

    fn edition(&self, collection: &str) -> Option<u64> {
        self.tables.get(collection)?.edition.now()
    }
}

#[cfg(test)]
mod tests {
    use runtime::conformance::COLLECTIONS;
    use serde_json::json;

    use super::*;
    use crate::store::Database;

    #[tokio::test]
    async fn what_is_given_more_time_at_the_last_moment_is_not_dropped() {
        let store = Database::in_memory().unwrap().domain("first", COLLECTIONS).unwrap();
        let key = |id: &str| Key { collection: "visitors", id: id.to_owned() };
        let until = |time: i64| {
            json!({ "leaves_at": Timestamp::UNIX_EPOCH.plus_seconds(time) }).to_string()
        };
        for id in ["leaves", "stays"] {
            store.commit(vec![Write::Create(key(id), until(1))]).await.unwrap().unwrap();
        }
        let expired: Vec<_> = store.scan("visitors").unwrap().map(Result::unwrap).collect();
        let stays = Write::Replace(key("stays"), until(100), expired[1].version.clone());
        store.commit(vec![stays]).await.unwrap().unwrap();

        assert_eq!(store.drop_unchanged("visitors", expired).await.unwrap(), 1);
        assert!(store.get(&key("leaves")).await.unwrap().is_none());
        assert!(store.get(&key("stays")).await.unwrap().is_some());
    }
}
