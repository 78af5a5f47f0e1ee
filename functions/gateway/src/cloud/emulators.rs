//! Google's emulators of Firestore and Pub/Sub: those that are named, or new ones.

use anyhow::Context as _;
use testing::emulators::{Emulator, Engine, sdk};
use tokio::task::spawn_blocking;

use super::Options;

/// The emulators. Those that were started end with this.
pub(super) struct Emulators {
    /// Where Firestore is: a host and a port.
    pub firestore: String,
    /// Where Pub/Sub is.
    pub pubsub: String,
    _started: Vec<Emulator>,
}

impl Emulators {
    /// Those that the options name; what they don't name is started.
    pub async fn find(options: &Options) -> anyhow::Result<Self> {
        let wanted = [
            (Engine::Firestore, options.firestore.clone()),
            (Engine::PubSub, options.pubsub.clone()),
        ];
        let start = move || -> anyhow::Result<Self> {
            let (mut hosts, mut started) = (Vec::new(), Vec::new());
            for (engine, named) in wanted {
                if named.is_none() {
                    started.push(started_here(engine)?);
                }
                hosts.extend(named.or_else(|| started.last().map(Emulator::host)));
            }
            let [firestore, pubsub] = <[String; 2]>::try_from(hosts).expect("there are two");
            Ok(Self { firestore, pubsub, _started: started })
        };
        spawn_blocking(start).await?
    }
}

fn started_here(engine: Engine) -> anyhow::Result<Emulator> {
    let sdk = sdk().context(
        "the cloud on one machine needs Google's emulators: install a Cloud SDK with its \
        emulators, or name one that runs in FIRESTORE_EMULATOR_HOST and PUBSUB_EMULATOR_HOST",
    )?;
    tracing::info!(emulator = engine.name(), "starting");
    Emulator::start(engine, &sdk)
}
