//! `GET /local/stats`: what all processes have done, in numbers, as the server of
//! one process tells it; and what is still on its way between them.

use std::{
    collections::{BTreeMap, HashSet},
    ops::AddAssign,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, ensure};
use axum::{Json, body::Body, response::IntoResponse as _, response::Response};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{front::WAITS, layout::Manifest, service::Service, standin::Callers, wire::Wire};

/// The most that an answer may be, in bytes.
const LARGEST: usize = 1 << 20;

/// What tells it.
pub(super) struct Stats {
    services: Vec<Arc<Service>>,
    /// How many subscribers an event has, by its type.
    subscribers: BTreeMap<String, u64>,
    taken: Arc<Taken>,
    firestore: Wire,
    /// The project, and its databases.
    project: String,
    databases: Vec<&'static str>,
}

/// What subscribers have taken: each message once, however often it's pushed.
#[derive(Default)]
pub(super) struct Taken(Mutex<HashSet<(String, String)>>);

impl Taken {
    /// A subscriber has taken what was pushed to it.
    pub fn add(&self, service: &str, pushed: &[u8]) {
        #[derive(Deserialize)]
        struct Pushed {
            message: Message,
        }
        #[derive(Deserialize)]
        struct Message {
            #[serde(rename = "messageId")]
            id: String,
        }
        let Ok(Pushed { message }) = serde_json::from_slice(pushed) else { return };
        let mut taken = self.0.lock().expect("no holder panics");
        taken.insert((service.to_owned(), message.id));
    }

    fn count(&self) -> u64 {
        self.0.lock().expect("no holder panics").len() as u64
    }
}

/// The numbers of a process.
#[derive(Debug, Deserialize)]
struct Numbers {
    store: Outcomes,
    published: BTreeMap<String, u64>,
}

/// What became of commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Outcomes {
    /// Those that were made.
    commits: u64,
    /// Documents that they created, replaced or deleted.
    writes: u64,
    /// Those that were refused because a document had changed.
    conflicts: u64,
    failures: u64,
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.commits += other.commits;
        self.writes += other.writes;
        self.conflicts += other.conflicts;
        self.failures += other.failures;
    }
}

impl Stats {
    /// The numbers of these services, whose callers are these, in these databases.
    pub async fn of(
        callers: &Callers,
        services: Vec<Arc<Service>>,
        (firestore, project): (&str, &str),
        databases: Vec<&'static str>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            services,
            subscribers: Self::subscribers(&callers.manifest),
            taken: callers.taken.clone(),
            firestore: Wire::to_host(firestore).await?,
            project: project.to_owned(),
            databases,
        })
    }

    /// How many subscribers an event has.
    fn subscribers(manifest: &Manifest) -> BTreeMap<String, u64> {
        let mut subscribers = BTreeMap::new();
        for topic in manifest.functions.values().filter_map(|it| it.topic.as_ref()) {
            *subscribers.entry(topic.clone()).or_default() += 1;
        }
        subscribers
    }

    /// The answer.
    pub async fn answer(&self) -> Response {
        match self.told().await {
            Ok(told) => Json(told).into_response(),
            Err(error) => {
                let error = json!({ "error": format!("{error:#}") });
                (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response()
            }
        }
    }

    /// An event goes from an outbox to Pub/Sub and from there to its subscribers, who may have
    /// more to tell before they have taken it. It's looked for from the far end: if nothing
    /// was published until the last look but what had been taken at the first, and the
    /// outboxes were empty between the two, then nothing was on its way at that moment.
    async fn told(&self) -> anyhow::Result<Value> {
        let taken = self.taken.count();
        let mut waiting = 0;
        for database in &self.databases {
            waiting += self.outbox(database).await.with_context(|| (*database).to_owned())?;
        }
        let (mut all, mut pushes, mut services) = (Outcomes::default(), 0, BTreeMap::new());
        for service in &self.services {
            let name = &service.place.name;
            let request = Request::get("/local/stats").body(Body::empty())?;
            let numbers = read::<Numbers>(&service.wire, request).await;
            let numbers = numbers.with_context(|| name.clone())?;
            all += numbers.store;
            pushes += self.pushes(&numbers.published);
            services.insert(name, numbers.store);
        }
        let under_way = pushes.saturating_sub(taken);
        Ok(json!({ "store": all, "outbox": waiting + under_way, "services": services }))
    }

    /// How often these have to be taken.
    fn pushes(&self, published: &BTreeMap<String, u64>) -> u64 {
        let subscribers = |kind| self.subscribers.get(kind).copied().unwrap_or_default();
        published.iter().map(|(kind, count)| count * subscribers(kind)).sum()
    }

    /// How many events wait in a database.
    async fn outbox(&self, database: &str) -> anyhow::Result<u64> {
        let count = json!({
            "structuredAggregationQuery": {
                "structuredQuery": { "from": [{ "collectionId": "outbox" }] },
                "aggregations": [{ "alias": "count", "count": {} }],
            },
        });
        let documents = format!("/v1/projects/{}/databases/{database}/documents", self.project);
        let request = Request::post(format!("{documents}:runAggregationQuery"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(count.to_string()))?;
        counted(&read(&self.firestore, request).await?).context("a count has a result")
    }
}

/// What an aggregation has counted; a 64-bit number is a text in JSON.
fn counted(answer: &Value) -> Option<u64> {
    answer[0]["result"]["aggregateFields"]["count"]["integerValue"].as_str()?.parse().ok()
}

async fn read<T: DeserializeOwned>(wire: &Wire, request: Request<Body>) -> anyhow::Result<T> {
    let answer = timeout(WAITS, wire.send(request, WAITS)).await??;
    let status = answer.status();
    ensure!(status.is_success(), "it answered {status}");
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_again_is_taken_once_by_each() {
        let taken = Taken::default();
        let pushed = |id: &str| json!({ "message": { "messageId": id, "data": "" } }).to_string();
        for (service, id) in [("a", "1"), ("a", "1"), ("a", "2"), ("b", "1")] {
            taken.add(service, pushed(id).as_bytes());
        }
        taken.add("a", b"no push at all");
        assert_eq!(taken.count(), 3);
    }

    #[test]
    fn an_event_is_taken_by_each_of_its_subscribers() {
        let manifest = Manifest::of(&crate::domains()).unwrap();
        let subscribers = Stats::subscribers(&manifest);
        let stats = Stats {
            services: Vec::new(),
            subscribers: BTreeMap::from([("made".to_owned(), 2), ("lost".to_owned(), 1)]),
            taken: Arc::default(),
            firestore: Wire::to(([127, 0, 0, 1], 1).into()),
            project: "p".to_owned(),
            databases: Vec::new(),
        };
        let published = [("made", 5), ("lost", 3), ("heard by nobody", 7)];
        let published = published.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(stats.pushes(&published.into()), 13);
        let subscriptions = manifest.functions.values().filter(|it| it.topic.is_some()).count();
        assert_eq!(subscribers.values().sum::<u64>(), subscriptions as u64);
    }

    #[test]
    fn a_count_is_read_as_firestore_tells_it() {
        let result = json!({ "aggregateFields": { "count": { "integerValue": "12" } } });
        assert_eq!(counted(&json!([{ "result": result, "readTime": "…" }])), Some(12));
        assert_eq!(counted(&json!([])), None);
    }
}
