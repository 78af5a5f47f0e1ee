//! The connection to a domain's database: made when it's first needed, and
//! again when nobody answers on it any more.

use std::sync::{Arc, Mutex, PoisonError};

use firestore::{FirestoreDb, FirestoreDbOptions};
use gcloud_sdk::{
    RequestTimeouts,
    tonic::{Request, Response, Streaming},
};
use google_cloud_auth::credentials::{self, Credentials};
use tokio::sync::OnceCell;

use super::{
    Settings,
    calls::{Call, Client},
    patience::Failed,
};
use crate::Metadata;

/// The connection to a database.
pub(super) struct Connection {
    settings: Settings,
    database: String,
    metadata: Option<Arc<Metadata>>,
    current: Mutex<Slot>,
}

/// Where a connection is, once it's made.
type Slot = Arc<OnceCell<FirestoreDb>>;

/// The rights to read and write documents, and to do nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";

impl Connection {
    /// A connection that isn't made yet.
    pub fn new(settings: Settings, database: &str, metadata: Option<Arc<Metadata>>) -> Self {
        Self { settings, database: database.to_owned(), metadata, current: Mutex::default() }
    }

    /// The database's path.
    pub fn database_path(&self) -> String {
        format!("projects/{}/databases/{}", self.settings.project, self.database)
    }

    /// Makes a call, which has to be over in time.
    pub async fn call<C: Call>(&self, call: C) -> Result<C::Answer, Failed> {
        let slot = self.slot();
        self.call_on(&slot, call).await
    }

    /// Makes a call whose answer comes in parts, which all have to be there in time.
    pub async fn stream<C: Call<Answer = Streaming<A>>, A: Send>(
        &self,
        call: C,
    ) -> Result<Vec<A>, Failed> {
        let slot = self.slot();
        let mut parts = self.call_on(&slot, call).await?;
        let mut all = Vec::new();
        loop {
            match self.watch(&slot, parts.message().await.map_err(Failed::from))? {
                Some(part) => all.push(part),
                None => return Ok(all),
            }
        }
    }

    async fn call_on<C: Call>(&self, slot: &Slot, call: C) -> Result<C::Answer, Failed> {
        let mut request = Request::new(call);
        let limit = RequestTimeouts::new().with_total(self.settings.patience.call);
        request.extensions_mut().insert(limit);
        let client = self.client(slot).await?;
        let answer = C::send(client, request).await.map_err(Failed::from);
        self.watch(slot, answer.map(Response::into_inner))
    }

    async fn client(&self, slot: &Slot) -> Result<Client, Failed> {
        let connecting = slot.get_or_try_init(|| self.connect());
        // A connection that isn't made in time is no call that was made.
        let made = tokio::time::timeout(self.settings.patience.call, connecting).await;
        let late = |late| Failed::unsent(format!("connecting: {late}"));
        let database = made.map_err(late)??;
        Ok(database.client().get())
    }

    async fn connect(&self) -> Result<FirestoreDb, Failed> {
        let (url, credentials) = match &self.settings.emulator {
            Some(host) => (format!("http://{host}"), anonymous()),
            None => ("https://firestore.googleapis.com".to_owned(), self.credentials()?),
        };
        // The address is given, so that none is taken from the environment.
        let options = FirestoreDbOptions::new(self.settings.project.clone())
            .with_database_id(self.database.clone())
            .with_firebase_api_url(url);
        FirestoreDb::with_options_auth(options, credentials).await.map_err(Failed::unsent)
    }

    fn credentials(&self) -> Result<Credentials, Failed> {
        match &self.metadata {
            Some(metadata) => Ok(metadata.credentials(Some(SCOPE))),
            None => of_the_operator(),
        }
    }

    fn slot(&self) -> Slot {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets go of a connection on which nobody answers; the next call makes another. Keeping
    /// it alive would tell as well, but only after two minutes.
    fn watch<T>(&self, slot: &Slot, answer: Result<T, Failed>) -> Result<T, Failed> {
        if answer.as_ref().is_err_and(Failed::is_silence) {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&current, slot) {
                *current = Arc::default();
            }
        }
        answer
    }
}

/// An emulator asks for none.
fn anonymous() -> Credentials {
    credentials::anonymous::Builder::new().build()
}

/// Those of who is signed in on this machine.
#[cfg(feature = "tools")]
fn of_the_operator() -> Result<Credentials, Failed> {
    credentials::Builder::default().with_scopes([SCOPE]).build().map_err(Failed::unsent)
}

/// Nobody signs in to a container.
#[cfg(not(feature = "tools"))]
fn of_the_operator() -> Result<Credentials, Failed> {
    Err(Failed::unsent("this program was built without an operator's tools"))
}
