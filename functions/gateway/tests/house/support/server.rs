//! The built server, as a process.

use std::{
    fs,
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use super::{ADMIN_EMAIL, Client, Said, until};

/// How a server is started; otherwise as if nothing were said.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder; a new one if none is said. It stays when the server is dropped.
    pub data: Option<PathBuf>,
    /// Keep the limits on how often one may ask.
    pub rate_limits: bool,
    /// The address; a free port of this machine if none is said.
    pub listen: Option<SocketAddr>,
    /// More words on the command line.
    pub more: Vec<String>,
}

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    client: Client,
    data: PathBuf,
    said: Said,
    /// Whether the folder is ours to remove.
    is_scratch: bool,
}

impl Deref for Server {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// Starts one and waits until it listens.
    pub fn start(options: Options) -> Self {
        let is_scratch = options.data.is_none();
        let data = options.data.unwrap_or_else(new_folder);
        let listen = options.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut command = command(&data);
        command.arg("--listen").arg(listen.to_string()).args(["--admin-email", ADMIN_EMAIL]);
        if !options.rate_limits {
            command.arg("--no-rate-limits");
        }
        command.args(options.more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let (said, address) = Said::by(&mut child);
        let address = address.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the server doesn't listen; it said: {:#?}", said.lines())
        });
        Self { child, client: Client::to(address), data, said, is_scratch }
    }

    /// Starts one on a folder that may have been used before.
    pub fn on(data: &Path) -> Self {
        Self::start(Options { data: Some(data.to_owned()), ..Options::default() })
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// All that it has said so far; once it was waited for, all that it ever said.
    pub fn said(&self) -> Vec<String> {
        self.said.lines()
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would, and gives back its folder.
    pub fn kill(mut self) -> PathBuf {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
        self.is_scratch = false;
        self.data.clone()
    }

    /// Asks it to end, and gives back its folder.
    pub fn stop(mut self) -> PathBuf {
        assert!(self.terminate().success(), "{:#?}", self.said());
        self.is_scratch = false;
        self.data.clone()
    }

    /// Asks it to end, and waits.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait()
    }

    /// Asks it to end.
    pub fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
        assert!(asked.success());
    }

    /// Waits until it has ended, and all that it said is heard.
    pub fn wait(&mut self) -> ExitStatus {
        let status = until("the server to end", || self.child.try_wait().expect("it can be asked"));
        self.said.wait_for_the_end();
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let (state, said) = (self.child.try_wait(), self.said());
            let last = &said[said.len().saturating_sub(20)..];
            eprintln!("the server ({state:?}) said last: {last:#?}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.is_scratch && !thread::panicking() {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

/// The built program on a folder, with nothing of this environment.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env_clear().stdin(Stdio::null()).arg("--data").arg(data);
    command
}

/// Runs the built program on a folder to its end: `audit`, say.
pub fn run(data: &Path, words: &[&str]) -> Output {
    command(data).args(words).output().expect("it runs")
}

/// A folder of this test's own, which isn't there yet.
pub fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("aula-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}
