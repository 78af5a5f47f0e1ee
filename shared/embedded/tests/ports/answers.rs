//! A repeated request gets the answer of the first, though the first was still under way.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use contracts::Language;
use embedded::store::{Database, Options};
use runtime::{
    Domain, Host, Incoming, Origin, Ports, Sender, Trace,
    prelude::*,
    token::{ACCESS_TOKEN_SECONDS, Claims},
};
use tokio::sync::Notify;

use crate::{
    process::{Disk, Process},
    things::TokioClock,
};

/// Something that can be finished once.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Work {
    id: String,
}

impl Document for Work {
    const COLLECTION: &'static str = "works";
    fn key(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finish {
    id: String,
}

const FINISHED: Problem = Problem::conflict("finished", "It's finished.", "Ya está.");

impl Endpoint for Finish {
    const OPERATION: &'static str = "works.finish";
    const ROUTE: Route = Route::act("/v1/works/{id}/finish");
    const PROBLEMS: &'static [Problem] = &[FINISHED];
    type Response = String;
}

/// Who comes first waits before it looks, until the other is done.
static OTHER_IS_DONE: Notify = Notify::const_new();
static COMES_FIRST: AtomicBool = AtomicBool::new(true);
static FIRST_WAITS: Notify = Notify::const_new();

async fn finish(cx: Context<User>, request: Finish) -> Result<String> {
    if COMES_FIRST.swap(false, SeqCst) {
        FIRST_WAITS.notify_one();
        OTHER_IS_DONE.notified().await;
    }
    if cx.get::<Work>(&request.id).await?.is_some() {
        return Err(FINISHED.into());
    }
    let work = Work { id: request.id.clone() };
    cx.answer(Changes::new().create(&work), request.id).await
}

fn works() -> Domain {
    Domain::new("works").collection::<Work>().operation(finish)
}

/// On a file, where a refusal is noted and doesn't meet what stands there.
#[tokio::test]
async fn who_is_refused_what_their_own_request_has_done_gets_its_answer() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("answers");
    let _nothing_was_there = fs::remove_dir_all(&folder);
    let database = Database::open(&folder, Options::default()).unwrap();
    let store = database.domain("works", &works().collections).unwrap();
    let process = Process::start(&Disk::new(), Arc::new(TokioClock::new()), 1);
    let ports = Arc::new(Ports { store, ..Ports::clone(&process.ports) });
    // Two processes: one doesn't know what runs in the other.
    let hosts = [(); 2].map(|()| Host::new(vec![(works(), ports.clone())], None));
    let ask = |host: Host| {
        let now = ports.clock.now().as_seconds();
        let claims = Claims {
            iss: "https://aula.example".to_owned(),
            aud: "https://aula.example".to_owned(),
            sub: "ada".into(),
            roles: Vec::new(),
            sid: "s1".to_owned(),
            iat: now,
            exp: now + ACCESS_TOKEN_SECONDS,
        };
        let incoming = Incoming {
            bound: vec![("id".into(), "w1".to_owned())],
            query: String::new(),
            body: "{}".into(),
            origin: Origin::Bearer(Arc::new(claims)),
            sender: Sender::default(),
            language: Language::En,
            trace: Trace::continued(None, &*ports.random),
            idempotency_key: Some("k1".to_owned()),
        };
        async move { host.request("works.finish", incoming).await }
    };
    let [one, other] = hosts;
    let sooner = async {
        FIRST_WAITS.notified().await;
        let done = ask(other).await;
        OTHER_IS_DONE.notify_one();
        done
    };
    let (late, done) = tokio::join!(ask(one), sooner);
    assert_eq!((done.status, done.replayed), (200, false));
    assert_eq!((late.status, late.replayed, late.body), (200, true, done.body));
    drop((ports, database));
    fs::remove_dir_all(&folder).unwrap();
}
