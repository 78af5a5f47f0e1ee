//! The built program, told to be the cloud.

use std::{
    env, fs,
    ops::Deref,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::Value;
use testing::emulators;

use crate::support::{ADMIN_EMAIL, Client, Said, until};

/// How long all processes may take to start, with much else going on.
const PATIENCE: Duration = Duration::from_secs(150);

/// A running cloud; it is ended when dropped.
pub struct Cloud {
    child: Child,
    client: Client,
    said: Said,
    /// There are many processes in one, so there's one at a time.
    _alone: MutexGuard<'static, ()>,
}

/// A process of the cloud.
#[derive(Clone, Debug)]
pub struct Process {
    pub service: String,
    pub id: Option<u32>,
    pub is_well: bool,
}

impl Deref for Cloud {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Cloud {
    /// Starts one; none, if this machine has no emulators.
    pub fn start(words: &[&str]) -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (firestore, pubsub) = (emulators::firestore()?, emulators::pubsub()?);
        LazyLock::force(&BUILT);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.env_clear().env("PATH", path()).args(["cloud", "--no-build"]).args(words);
        command.args(["--listen", "127.0.0.1:0", "--admin-email", ADMIN_EMAIL]);
        command.args(["--firestore", &firestore.host(), "--pubsub", &pubsub.host()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the cloud starts");
        let (said, address) = Said::by(&mut child);
        let address = address.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _it_has_ended = child.kill();
            panic!("the cloud doesn't listen; it said: {:#?}", said.lines())
        });
        Some(Self { child, client: Client::to(address), said, _alone: alone })
    }

    /// Its processes.
    pub fn processes(&self) -> Vec<Process> {
        let told = self.get("/local/functions", "").ok();
        let process = |told: &Value| Process {
            service: told["service"].as_str().expect("a name").to_owned(),
            id: told["process"].as_u64().and_then(|it| u32::try_from(it).ok()),
            is_well: told["state"] == "ok",
        };
        told.as_array().expect("a list").iter().map(process).collect()
    }

    /// The process of a service.
    pub fn process(&self, service: &str) -> Process {
        let found = self.processes().into_iter().find(|it| it.service == service);
        found.unwrap_or_else(|| panic!("there's no {service}"))
    }

    /// Notes what its processes were told by their settings, and nobody else may know.
    pub fn note_settings(&self) {
        for process in self.processes().iter().filter_map(|it| it.id) {
            let settings = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            let settings = String::from_utf8_lossy(&settings);
            for setting in settings.split('\0').filter_map(|it| it.split_once('=')) {
                if ["AULA_SECRET", "AULA_SIGNING_KEY"].contains(&setting.0) {
                    setting.1.lines().for_each(|line| self.secrets.note(line));
                }
            }
        }
    }

    /// All that it and its processes have said so far; once it was stopped, all that they
    /// ever said.
    pub fn said(&self) -> Vec<String> {
        self.said.lines()
    }

    /// Ends the gateway as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    /// Asks the gateway to end, and waits; whether it ended well.
    pub fn stop(&mut self) -> bool {
        signal("-TERM", self.child.id());
        let status = until("the cloud to end", || self.child.try_wait().expect("it can be asked"));
        self.said.wait_for_the_end();
        status.success()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if thread::panicking() {
            let said = self.said();
            let told = |it: &&String| !it.contains(r#""severity":"INFO""#);
            let last: Vec<_> = said.iter().filter(told).collect();
            eprintln!("the cloud said last: {:#?}", &last[last.len().saturating_sub(20)..]);
        }
        let _it_has_ended = self.child.kill();
        let _it_has_ended = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn signal(signal: &str, process: u32) {
    let mut kill = Command::new("kill");
    kill.args([signal, &process.to_string()]).stderr(Stdio::null());
    let _it_may_have_ended = kill.status().expect("kill is there");
}

/// Whether a process is there, and isn't only its parent's to bury.
pub fn lives(process: u32) -> bool {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = told.rsplit(") ").next().and_then(|it| it.chars().next());
    state.is_some_and(|it| it != 'Z' && it != 'X')
}

/// The domains' programs and the operator's, made from what is there now.
static BUILT: LazyLock<()> = LazyLock::new(|| {
    let names: Vec<_> = gateway::domains().iter().map(|domain| domain.name).collect();
    let folder = Path::new(env!("CARGO_BIN_EXE_gateway")).parent().expect("a folder");
    let profile = match folder.file_name().and_then(|it| it.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let packages = || names.iter().copied().chain(["gateway"]);
    let features: Vec<_> = packages().map(|it| format!("{it}/cloud")).collect();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--profile", profile, "--features", &features.join(",")]);
    cargo.args(packages().flat_map(|name| ["--package", name]));
    // Not the gateway itself: it's there, and others are running it.
    cargo.args(names.iter().copied().chain(["operator"]).flat_map(|name| ["--bin", name]));
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(built.success(), "the domains' programs can't be built");
});

#[expect(clippy::disallowed_methods, reason = "the shell and its commands are found by it")]
fn path() -> std::ffi::OsString {
    env::var_os("PATH").unwrap_or_default()
}
