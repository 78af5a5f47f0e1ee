//! Google's emulators on this machine: the Firestore and Pub/Sub engines of an
//! installed Cloud SDK, started when they are needed and gone with the process
//! that started them.
//!
//! Java is started directly, as the `gcloud` command leaves it behind when it is
//! stopped. Between it and us stands a shell that waits for its input to end:
//! that happens when the [`Emulator`] is dropped, and also when this process
//! dies, however it dies; then the shell ends Java.
//!
//! Nothing is kept: an emulator begins empty. A test takes a project of its own
//! ([`Emulator::project`]), which no other test sees.

use std::{
    collections::VecDeque,
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

/// An engine of which there is an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Documents.
    Firestore,
    /// Topics and their subscriptions.
    PubSub,
}

impl Engine {
    /// Its name, as Google writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firestore => "Firestore",
            Self::PubSub => "Pub/Sub",
        }
    }

    /// What Java is told to run it.
    fn program(self, sdk: &Path) -> anyhow::Result<Vec<OsString>> {
        let platform = sdk.join("platform");
        Ok(match self {
            // Its archive doesn't say where it begins.
            Self::Firestore => {
                let archive =
                    platform.join("cloud-firestore-emulator/cloud-firestore-emulator.jar");
                ensure!(archive.is_file(), "there is no {}", archive.display());
                let begin = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";
                vec!["-cp".into(), archive.into(), begin.into(), "start".into()]
            }
            Self::PubSub => {
                let folder = platform.join("pubsub-emulator/lib");
                let is_it = |name: &str| {
                    name.starts_with("cloud-pubsub-emulator-") && name.ends_with("-all.jar")
                };
                let archive = fs::read_dir(&folder)
                    .with_context(|| format!("reading {}", folder.display()))?
                    .filter_map(|file| Some(file.ok()?.path()))
                    .find(|file| file.file_name().and_then(|it| it.to_str()).is_some_and(is_it));
                let archive =
                    archive.with_context(|| format!("no emulator is in {}", folder.display()))?;
                vec!["-jar".into(), archive.into()]
            }
        })
    }
}

/// An emulator that runs, until this is dropped or the process ends.
pub struct Emulator {
    engine: Engine,
    address: SocketAddr,
    shell: Child,
    /// What keeps it alive: when this is closed, the shell ends Java.
    leash: Option<ChildStdin>,
    projects: AtomicU32,
}

/// How long an emulator may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs what it's told to, until that ends or its own input does. It keeps nothing of its
/// output open, so that whoever reads it sees where it ends.
const LEASH: &str = r#"
    "$@" </dev/null 2>&1 &
    java=$!
    exec >/dev/null 2>&1
    read -r _
    kill -KILL "$java"
    wait "$java"
"#;

impl Emulator {
    /// Starts an emulator of an SDK at a port of its choice, and waits until it answers.
    pub fn start(engine: Engine, sdk: &Path) -> anyhow::Result<Self> {
        // Between finding a port and using it another program may take it.
        let mut last = None;
        for _ in 0..3 {
            match Self::start_at(engine, sdk, free_port()?) {
                Ok(emulator) => return Ok(emulator),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("it was tried"))
    }

    /// Starts an emulator of an SDK at this port, and waits until it answers.
    pub fn start_at(engine: Engine, sdk: &Path, port: u16) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let starting = || format!("starting the {} emulator", engine.name());
        let mut shell = Command::new("sh")
            .args(["-c", LEASH, "sh", "java", "-Xmx512m", "-XX:+UseSerialGC"])
            .args(["-XX:TieredStopAtLevel=1", "-Duser.language=en"])
            .args(engine.program(sdk).with_context(starting)?)
            .args(["--host=127.0.0.1".to_owned(), format!("--port={port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(starting)?;
        let leash = shell.stdin.take();
        let said = Said::by(shell.stdout.take().expect("it's piped"));
        let emulator = Self { engine, address, shell, leash, projects: AtomicU32::new(0) };
        emulator.wait(&said).with_context(starting)?;
        Ok(emulator)
    }

    /// Waits until it answers, or has ended.
    fn wait(&self, said: &Said) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !answers(self.address) {
            let ended = said.ended.recv_timeout(Duration::from_millis(20)).is_ok();
            if ended || begun.elapsed() > PATIENCE {
                let what = if ended { "it ended" } else { "it doesn't answer" };
                bail!("{what}; it said:\n{}", said.last_lines());
            }
        }
        Ok(())
    }

    /// What it emulates.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Where it answers, as a host and a port: what is said in `FIRESTORE_EMULATOR_HOST` and
    /// `PUBSUB_EMULATOR_HOST`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Where it answers.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A project that nobody else has been given: what is in it no other test sees.
    pub fn project(&self) -> String {
        format!("aula-test-{}", self.projects.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ended = self.shell.wait();
    }
}

/// What an emulator has said: the last of it, for the case that it doesn't start.
struct Said {
    lines: Arc<Mutex<VecDeque<String>>>,
    ended: mpsc::Receiver<()>,
}

impl Said {
    fn by(output: std::process::ChildStdout) -> Self {
        const MOST: usize = 40;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, ended) = mpsc::channel();
        let kept = Arc::clone(&lines);
        // It reads as long as the emulator writes, so that this never waits for us.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut kept = kept.lock().expect("nobody panics here");
                kept.push_back(line);
                if kept.len() > MOST {
                    kept.pop_front();
                }
            }
            let _nobody_waits = sender.send(());
        });
        Self { lines, ended }
    }

    fn last_lines(&self) -> String {
        let lines = self.lines.lock().expect("nobody panics here");
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// A port that nobody uses at the moment.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether an emulator answers there: both say `Ok` when they are ready.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut begin = [0; 15];
        stream.read_exact(&mut begin)?;
        Ok(String::from_utf8_lossy(&begin).into_owned())
    };
    ask().is_ok_and(|begin| begin == "HTTP/1.1 200 OK")
}

/// The folder of the Cloud SDK: what `AULA_EMULATORS` says, or where the
/// `gcloud` command is at home.
#[expect(clippy::disallowed_methods, reason = "this is a setting of the machine that tests")]
pub fn sdk() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("AULA_EMULATORS") {
        return Ok(folder.into());
    }
    // The command is mostly a link into the SDK; to ask it takes two seconds.
    let paths = env::var_os("PATH").unwrap_or_default();
    let command = env::split_paths(&paths).find_map(|it| it.join("gcloud").canonicalize().ok());
    let Some(command) = command else {
        bail!("there's no gcloud command here, and AULA_EMULATORS names no Cloud SDK");
    };
    let home = command.parent().and_then(Path::parent).filter(|it| it.join("platform").is_dir());
    if let Some(home) = home {
        return Ok(home.to_owned());
    }
    let mut ask = Command::new(&command);
    let said = ask.args(["info", "--format=value(installation.sdk_root)"]).output()?;
    ensure!(said.status.success(), "gcloud info: {}", String::from_utf8_lossy(&said.stderr));
    Ok(PathBuf::from(String::from_utf8(said.stdout)?.trim()))
}

/// Whether both emulators can be started on this machine; if not, why.
pub fn found() -> anyhow::Result<()> {
    let sdk = sdk()?;
    for engine in [Engine::Firestore, Engine::PubSub] {
        engine.program(&sdk)?;
    }
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    ensure!(java.is_ok_and(|it| it.success()), "they need Java, and there's none");
    Ok(())
}

/// The Firestore emulator that the tests of this process share; none if this
/// machine has none, which is said aloud and a failure where
/// `AULA_REQUIRE_EMULATORS` is 1.
pub fn firestore() -> Option<&'static Emulator> {
    static SHARED: LazyLock<Option<Emulator>> = LazyLock::new(|| shared(Engine::Firestore));
    SHARED.as_ref()
}

/// The Pub/Sub emulator that the tests of this process share; see [`firestore`].
pub fn pubsub() -> Option<&'static Emulator> {
    static SHARED: LazyLock<Option<Emulator>> = LazyLock::new(|| shared(Engine::PubSub));
    SHARED.as_ref()
}

#[expect(clippy::disallowed_methods, reason = "this is a setting of the machine that tests")]
fn shared(engine: Engine) -> Option<Emulator> {
    let sdk = match sdk().and_then(|sdk| engine.program(&sdk).map(|_| sdk)) {
        // What can be started and doesn't start is no machine without emulators.
        Ok(sdk) => return Some(Emulator::start(engine, &sdk).expect("an emulator starts")),
        Err(none) => none,
    };
    let name = engine.name();
    let required = env::var_os("AULA_REQUIRE_EMULATORS").is_some_and(|it| it == "1");
    assert!(!required, "the {name} emulator is required, and there is none: {sdk:#}");
    // Written past the harness, which would keep it to itself when a test passes.
    let told = format!(
        "\n!!! NOT TESTED: there is no {name} emulator on this machine ({sdk:#}).\n\
         !!! Install a Cloud SDK with its emulators, or say where one is in AULA_EMULATORS.\n\n"
    );
    let _told = std::io::stderr().write_all(told.as_bytes());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_is_gone_when_it_is_dropped() {
        let Ok(sdk) = sdk() else { return };
        for engine in [Engine::Firestore, Engine::PubSub] {
            if engine.program(&sdk).is_err() {
                continue;
            }
            let emulator = Emulator::start(engine, &sdk).unwrap();
            let address = emulator.address();
            assert!(answers(address));
            assert_ne!(emulator.project(), emulator.project());
            drop(emulator);
            assert!(TcpStream::connect(address).is_err());
        }
    }

    #[test]
    fn an_emulator_that_cannot_start_says_why() {
        let Ok(_java) = Command::new("java").arg("-version").output() else { return };
        let sdk = env::temp_dir().join(format!("aula-no-sdk-{}", std::process::id()));
        let folder = sdk.join("platform/cloud-firestore-emulator");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cloud-firestore-emulator.jar"), "no archive").unwrap();
        let error = Emulator::start(Engine::Firestore, &sdk).err().unwrap();
        fs::remove_dir_all(&sdk).unwrap();
        let error = format!("{error:#}");
        assert!(error.starts_with("starting the Firestore emulator: it ended"), "{error}");
        assert!(error.contains("CloudFirestore"), "{error}");
    }

    #[test]
    fn a_folder_without_emulators_is_none() {
        let nowhere = Path::new("/nonexistent");
        for engine in [Engine::Firestore, Engine::PubSub] {
            assert!(engine.program(nowhere).is_err());
        }
    }
}
