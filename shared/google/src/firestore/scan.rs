//! All documents of a collection as they were at one moment: what an audit
//! reads. It needs no index but that of the ids, which Firestore always has.

use anyhow::Context as _;
use gcloud_sdk::{
    google::firestore::v1::{
        BatchGetDocumentsRequest, Cursor, RunQueryRequest, StructuredQuery, Value,
        run_query_request::{ConsistencySelector, QueryType},
        structured_query::{CollectionSelector, Direction, FieldReference, Order},
        value::ValueType,
    },
    prost_types,
};
use runtime::Record;

use super::domain::{DomainStore, record};

/// A moment of a database. What was then can be read for an hour.
#[derive(Clone, Copy, Debug)]
pub struct Moment(prost_types::Timestamp);

/// How many documents are read with one call.
const PAGE: i32 = 500;

impl DomainStore {
    /// The present moment.
    pub async fn moment(&self) -> anyhow::Result<Moment> {
        // Whatever is read is read at some time; nothing has to be there.
        let request = BatchGetDocumentsRequest {
            database: self.database.clone(),
            documents: vec![format!("{}/moments/now", self.documents)],
            ..BatchGetDocumentsRequest::default()
        };
        let parts = self.read(request).await?;
        let time = parts.into_iter().find_map(|part| part.read_time);
        Ok(Moment(time.context("a reading has a time")?))
    }

    /// Reads all documents that a collection had at a moment, in the order of their ids.
    pub async fn scan(&self, collection: &str, moment: Moment) -> anyhow::Result<Vec<Record>> {
        self.collections.fields(collection)?;
        let by_id = Order {
            field: Some(FieldReference { field_path: "__name__".to_owned() }),
            direction: Direction::Ascending.into(),
        };
        let mut query = StructuredQuery {
            from: vec![CollectionSelector {
                collection_id: collection.to_owned(),
                all_descendants: false,
            }],
            order_by: vec![by_id],
            limit: Some(PAGE),
            ..StructuredQuery::default()
        };
        let mut records = Vec::new();
        loop {
            let request = RunQueryRequest {
                parent: self.documents.clone(),
                query_type: Some(QueryType::StructuredQuery(query.clone())),
                consistency_selector: Some(ConsistencySelector::ReadTime(moment.0)),
                ..RunQueryRequest::default()
            };
            let parts = self.read(request).await?;
            let page: Vec<_> = parts.into_iter().filter_map(|part| part.document).collect();
            let Some(last) = page.last() else { return Ok(records) };
            let last = ValueType::ReferenceValue(last.name.clone());
            let values = vec![Value { value_type: Some(last) }];
            query.start_at = Some(Cursor { values, before: false });
            for document in page {
                records.push(record(document)?);
            }
        }
    }
}
