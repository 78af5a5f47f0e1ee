//! A domain whose subscriber and job do as they are told, and another one to ask.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use runtime::{Clock, Domain, Keyring, Ports, Settings, prelude::*};
use tokio::time::Instant;

/// What a subscriber or a job is to do until things are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Act {
    Succeed,
    Fail,
    Panic,
    Hang,
    /// Fail twice, then succeed.
    FailTwice,
    /// Succeed, and tell of another thing.
    GoOn,
    /// Take three seconds and a half.
    Dawdle,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    pub id: String,
    pub act: Act,
}

impl Event for Told {
    const TYPE: &'static str = "things.told.v1";
    fn subject(&self) -> String {
        self.id.clone()
    }
}

/// How often something was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    id: String,
    pub done: u32,
}

impl Document for Count {
    const COLLECTION: &'static str = "counts";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Things are mended, or what the job is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    id: String,
    act: Act,
}

impl Document for Order {
    const COLLECTION: &'static str = "orders";
    fn key(&self) -> String {
        self.id.clone()
    }
}

async fn count(cx: &Context<System>, id: &str) -> Result<Stored<Count>> {
    let mut count =
        cx.get::<Count>(id).await?.unwrap_or(Stored::new(Count { id: id.to_owned(), done: 0 }));
    count.done += 1;
    Ok(count)
}

async fn act(cx: &Context<System>, act: Act, id: &str) -> Result<()> {
    match act {
        Act::Succeed | Act::GoOn => Ok(()),
        Act::Fail => Err(anyhow::anyhow!("{id} fails").into()),
        Act::Panic => panic!("{id} panics"),
        Act::Hang => std::future::pending().await,
        Act::FailTwice => {
            let tries = count(cx, &format!("tries-of-{id}")).await?;
            cx.commit_part(Changes::new().save(&tries)).await?;
            if tries.done <= 2 { Err(anyhow::anyhow!("{id} fails").into()) } else { Ok(()) }
        }
        // The work itself takes so long, by the tests' clock, which stands still till all wait.
        Act::Dawdle => {
            tokio::time::sleep(Duration::from_millis(3_500)).await;
            Ok(())
        }
    }
}

async fn on_told(cx: Context<System>, event: Told) -> Result<()> {
    if cx.get::<Order>("mended").await?.is_none() {
        act(&cx, event.act, &event.id).await?;
    }
    let mut changes = Changes::new().save(&count(&cx, &event.id).await?);
    if event.act == Act::GoOn {
        changes = changes.emit(&Told { id: format!("{}+", event.id), act: Act::Succeed });
    }
    cx.commit(changes).await
}

macro_rules! jobs {
    ($($job:ident $run:ident $name:literal;)+) => {$(
        #[derive(Default)]
        struct $job;

        impl Job for $job {
            const NAME: &'static str = $name;
            const SCHEDULE: &'static str = "* * * * *";
        }

        async fn $run(cx: Context<System>, _: $job) -> Result<()> {
            if let Some(order) = cx.get::<Order>($name).await? {
                act(&cx, order.act, $name).await?;
            }
            let count = count(&cx, $name).await?;
            cx.commit(Changes::new().save(&count)).await
        }
    )+};
}

jobs! {
    Tick tick "things.tick";
    Tock tock "things.tock";
}

pub const NOBODY: Problem = Problem::not_found("nobody", "Nobody.", "Nadie.");

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub id: String,
    pub act: Option<Act>,
}

impl Endpoint for Ask {
    const OPERATION: &'static str = "people.ask";
    const ROUTE: Route = Route::get("/internal/people/{id}");
    const PROBLEMS: &'static [Problem] = &[NOBODY];
    type Response = String;
}

async fn ask(cx: Context<System>, request: Ask) -> Result<String> {
    if let Some(order) = request.act {
        act(&cx, order, &request.id).await?;
    }
    if request.id == "nobody" { Err(NOBODY.into()) } else { Ok(format!("I am {}", request.id)) }
}

pub fn domains() -> Vec<Domain> {
    let things = Domain::new("things")
        .collection::<Count>()
        .collection::<Order>()
        .event::<Told>()
        .subscriber(on_told)
        .job(tick)
        .job(tock);
    vec![things, Domain::new("people").operation(ask)]
}

/// What a test does in the domain, beside its functions.
pub struct Beside(pub Context<System>);

impl Beside {
    pub fn new(ports: &Arc<Ports>) -> Self {
        Self(Context::of_platform("things", ports))
    }

    pub async fn tell(&self, id: &str, act: Act) {
        self.0.commit(Changes::new().emit(&Told { id: id.to_owned(), act })).await.unwrap();
    }

    pub async fn mend(&self) {
        self.order("mended", Act::Succeed).await;
    }

    pub async fn order(&self, job: &str, act: Act) {
        let order = Order { id: job.to_owned(), act };
        self.0.commit(Changes::new().create(&order)).await.unwrap();
    }

    pub async fn done(&self, id: &str) -> u32 {
        self.0.get::<Count>(id).await.unwrap().map_or(0, |count| count.done)
    }
}

/// A clock that goes as Tokio's does, which tests can stop.
pub struct TokioClock(Instant);

impl TokioClock {
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(1_772_452_800_000 + millis)
    }
}

pub fn settings() -> Settings {
    Settings { public_url: "https://aula.example".to_owned(), ..Settings::default() }
}

/// The key of all tests: making one takes long.
pub fn keyring() -> Arc<dyn Keyring> {
    let pem = include_str!("../../../testing/data/key.pem");
    Arc::new(embedded::FileKeyring::of_pem(pem).unwrap())
}

/// An empty folder that is gone after the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::SeqCst);
        let name = format!("ports-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl std::ops::Deref for Folder {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}
