//! The calls that are made, each with the answer that it gets.

use gcloud_sdk::{
    GoogleAuthMiddleware,
    google::firestore::v1::{
        BatchGetDocumentsRequest, BatchGetDocumentsResponse, CommitRequest, CommitResponse,
        RunAggregationQueryRequest, RunAggregationQueryResponse, RunQueryRequest, RunQueryResponse,
        firestore_client::FirestoreClient,
    },
    tonic::{Request, Response, Status, Streaming},
};

/// What calls are made with.
pub(super) type Client = FirestoreClient<GoogleAuthMiddleware>;

/// A call that can be made, again and again.
pub(super) trait Call: Clone + Send + Sync + 'static {
    /// What it is answered with.
    type Answer: Send;

    /// Makes it.
    fn send(
        client: Client,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

impl Call for CommitRequest {
    type Answer = CommitResponse;

    async fn send(
        mut client: Client,
        request: Request<Self>,
    ) -> Result<Response<Self::Answer>, Status> {
        client.commit(request).await
    }
}

impl Call for BatchGetDocumentsRequest {
    type Answer = Streaming<BatchGetDocumentsResponse>;

    async fn send(
        mut client: Client,
        request: Request<Self>,
    ) -> Result<Response<Self::Answer>, Status> {
        client.batch_get_documents(request).await
    }
}

impl Call for RunQueryRequest {
    type Answer = Streaming<RunQueryResponse>;

    async fn send(
        mut client: Client,
        request: Request<Self>,
    ) -> Result<Response<Self::Answer>, Status> {
        client.run_query(request).await
    }
}

impl Call for RunAggregationQueryRequest {
    type Answer = Streaming<RunAggregationQueryResponse>;

    async fn send(
        mut client: Client,
        request: Request<Self>,
    ) -> Result<Response<Self::Answer>, Status> {
        client.run_aggregation_query(request).await
    }
}
