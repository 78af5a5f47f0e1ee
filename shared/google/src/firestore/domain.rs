//! The store of one domain: its readings. What it writes is in `commit`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use async_trait::async_trait;
use gcloud_sdk::{
    google::firestore::v1::{
        BatchGetDocumentsRequest, BatchGetDocumentsResponse, Document, DocumentMask,
        RunAggregationQueryRequest, RunQueryRequest, StructuredQuery, batch_get_documents_response,
        run_aggregation_query_request, run_query_request, value::ValueType,
    },
    tonic::Streaming,
};
use runtime::{
    Clock, Collection, Collections, Conflict, Cursor, Key, Query, Random, Record, Rows, Store,
    Write,
};

use super::{
    Firestore,
    calls::Call,
    connection::Connection,
    patience::{Patience, Told, Tries},
    search, values,
    versions::Written,
};

/// The database of one domain.
pub struct DomainStore {
    pub(super) collections: Collections,
    pub(super) connection: Connection,
    pub(super) database: String,
    pub(super) random: Arc<dyn Random>,
    pub(super) documents: String,
    clock: Arc<dyn Clock>,
    patience: Patience,
    calls: AtomicU64,
}

impl DomainStore {
    pub(super) fn new(
        firestore: &Firestore,
        database: &str,
        collections: &[Collection],
    ) -> anyhow::Result<Self> {
        let Firestore { settings, metadata, clock, random } = firestore.clone();
        let patience = settings.patience;
        let connection = Connection::new(settings, database, metadata);
        let database_path = connection.database_path();
        Ok(Self {
            collections: Collections::of(database, collections)?,
            connection,
            documents: format!("{database_path}/documents"),
            database: database_path,
            random,
            clock,
            patience,
            calls: AtomicU64::new(0),
        })
    }

    /// How many calls it has made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Where a document is.
    pub(super) fn name(&self, key: &Key) -> String {
        format!("{}/{}/{}", self.documents, key.collection, key.id)
    }

    pub(super) fn tries(&self) -> Tries {
        Tries::new(self.patience, Arc::clone(&self.clock), Arc::clone(&self.random))
    }

    pub(super) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads until it's answered, or there's no use in going on.
    pub(super) async fn read<C: Call<Answer = Streaming<A>>, A: Send>(
        &self,
        call: C,
    ) -> anyhow::Result<Vec<A>> {
        let mut tries = self.tries();
        loop {
            self.count_call();
            let failed = match self.connection.stream(call.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let again = matches!(failed.told(), Told::Undone | Told::Nothing);
            if !again || !tries.another().await {
                return Err(failed.ends());
            }
            tracing::debug!(%failed, "reading again");
        }
    }

    /// Reads documents, or a part of them: what was found, in any order.
    pub(super) async fn documents(
        &self,
        names: Vec<String>,
        mask: Option<&str>,
    ) -> anyhow::Result<Vec<Document>> {
        let mask = mask.map(|field| DocumentMask { field_paths: vec![field.to_owned()] });
        let request = BatchGetDocumentsRequest {
            database: self.database.clone(),
            documents: names,
            mask,
            ..BatchGetDocumentsRequest::default()
        };
        let parts = self.read(request).await?;
        let found = |part: BatchGetDocumentsResponse| match part.result {
            Some(batch_get_documents_response::Result::Found(document)) => Some(document),
            _ => None,
        };
        Ok(parts.into_iter().filter_map(found).collect())
    }

    /// The query as Firestore is asked it; nothing, if nothing can be found.
    fn search(&self, query: &Query) -> anyhow::Result<Option<StructuredQuery>> {
        self.collections.check_query(query)?;
        let fields = self.collections.fields(query.collection)?;
        let path = format!("{}/{}", self.documents, query.collection);
        Ok(search::structured(query, fields, &path))
    }
}

#[async_trait]
impl Store for DomainStore {
    async fn get(&self, key: &Key) -> anyhow::Result<Option<Record>> {
        self.collections.fields(key.collection)?;
        if !key.is_possible() {
            return Ok(None);
        }
        let found = self.documents(vec![self.name(key)], None).await?;
        found.into_iter().next().map(record).transpose()
    }

    async fn get_all(&self, keys: &[Key]) -> anyhow::Result<Vec<Option<Record>>> {
        for key in keys {
            self.collections.fields(key.collection)?;
        }
        let names: BTreeSet<_> =
            keys.iter().filter(|key| key.is_possible()).map(|key| self.name(key)).collect();
        let found = match names.len() {
            0 => Vec::new(),
            _ => self.documents(names.into_iter().collect(), None).await?,
        };
        let found: HashMap<_, _> = found.into_iter().map(|it| (it.name.clone(), it)).collect();
        let its = |key: &Key| found.get(&self.name(key)).cloned().map(record).transpose();
        keys.iter().map(its).collect()
    }

    async fn query(&self, query: &Query) -> anyhow::Result<Rows> {
        let none = Rows { records: Vec::new(), next: None };
        let Some(mut asked) = self.search(query)? else { return Ok(none) };
        let limit = usize::try_from(query.limit)?;
        if limit == 0 {
            return Ok(none);
        }
        // One more than wanted, to know whether there is more.
        asked.limit = Some(i32::try_from(query.limit).unwrap_or(i32::MAX).saturating_add(1));
        let request = RunQueryRequest {
            parent: self.documents.clone(),
            query_type: Some(run_query_request::QueryType::StructuredQuery(asked)),
            ..RunQueryRequest::default()
        };
        let parts = self.read(request).await?;
        let mut documents: Vec<_> = parts.into_iter().filter_map(|part| part.document).collect();
        let more = documents.len() > limit;
        documents.truncate(limit);
        let next = match documents.last() {
            Some(last) if more => Some(place(last, query.order)?),
            _ => None,
        };
        let records = documents.into_iter().map(record).collect::<anyhow::Result<_>>()?;
        Ok(Rows { records, next })
    }

    async fn count(&self, query: &Query) -> anyhow::Result<u64> {
        let Some(asked) = self.search(query)? else { return Ok(0) };
        let asked = search::count(asked);
        let asked = run_aggregation_query_request::QueryType::StructuredAggregationQuery(asked);
        let request = RunAggregationQueryRequest {
            parent: self.documents.clone(),
            query_type: Some(asked),
            ..RunAggregationQueryRequest::default()
        };
        let parts = self.read(request).await?;
        let mut results = parts.into_iter().filter_map(|part| part.result);
        let mut result = results.next().context("a count has a result")?;
        match result.aggregate_fields.remove(search::COUNT).and_then(|it| it.value_type) {
            Some(ValueType::IntegerValue(count)) => Ok(u64::try_from(count)?),
            other => anyhow::bail!("a count is a number, not {other:?}"),
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        self.write(writes).await
    }
}

/// A document as it was found.
pub(super) fn record(document: Document) -> anyhow::Result<Record> {
    let id = id(&document)?;
    let version = Written::of(&document)?.version();
    let body = values::body(document.fields).with_context(|| format!("reading {id}"))?;
    Ok(Record { id, body, version })
}

/// The place of a document in an order.
fn place(document: &Document, order: &str) -> anyhow::Result<Cursor> {
    let value = document.fields.get(order).context("it has the field that sorts")?;
    Ok(Cursor { value: values::json(value.clone())?, id: id(document)? })
}

fn id(document: &Document) -> anyhow::Result<String> {
    let (_, id) = document.name.rsplit_once('/').context("a document has a name")?;
    Ok(id.to_owned())
}
