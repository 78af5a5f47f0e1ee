//! The processes of the services: started, started again when they end, and all
//! ended with this one.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{ChildStdout, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::service::Service;
use crate::log;

/// Waits for a word, and asks its group of processes to end; waits for more, which never
/// comes, and ends them. Its input ends with the process that has the other end, however
/// that dies: so no process of the group outlives it.
const LEASH: &str = "trap '' TERM INT; read -r _ && { kill -TERM 0; read -r _; }; kill -KILL 0";

/// How long processes may take to finish what they do.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait before a process is started again that didn't live long.
const PAUSE: Duration = Duration::from_millis(500);

/// What is a short life.
const SHORT: Duration = Duration::from_secs(2);

/// The processes.
pub(super) struct Fleet {
    leash: Leash,
    keepers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// A shell that leads the group of processes.
struct Leash {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Leash {
    fn new() -> anyhow::Result<Self> {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", LEASH]).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().context("starting a shell")?;
        let input = shell.stdin.take();
        Ok(Self { shell, input })
    }

    /// Asks all processes to end.
    fn pull(&mut self) {
        if let Some(input) = &mut self.input {
            let _it_has_ended = input.write_all(b"stop\n");
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.shell.wait();
    }
}

impl Fleet {
    /// No processes yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { leash: Leash::new()?, keepers: JoinSet::new(), stop: watch::channel(false).0 })
    }

    /// Keeps the process of a service running.
    pub fn keep(&mut self, service: Arc<Service>, mut command: Command) -> anyhow::Result<()> {
        command.process_group(i32::try_from(self.leash.shell.id())?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let stop = self.stop.subscribe();
        self.keepers.spawn(keep(service, command, stop));
        Ok(())
    }

    /// Ends all processes: what they do is finished.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.leash.pull();
        let all = async { while self.keepers.join_next().await.is_some() {} };
        if timeout(FINISH_WITHIN, all).await.is_err() {
            tracing::warn!("some functions were still running when the platform stopped");
        }
    }
}

async fn keep(service: Arc<Service>, mut command: Command, stop: watch::Receiver<bool>) {
    let name = &service.place.name;
    loop {
        let began = Instant::now();
        let ended = match command.spawn() {
            Ok(mut process) => {
                *service.process.lock().expect("no holder panics") = process.id();
                let output = process.stdout.take().expect("it's piped");
                pass_on(name, output).await;
                process.wait().await
            }
            Err(error) => Err(error),
        };
        *service.process.lock().expect("no holder panics") = None;
        if *stop.borrow() {
            return;
        }
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::warn!(service = name, how, "a process has ended and is started again");
        if began.elapsed() < SHORT {
            sleep(PAUSE).await;
        }
    }
}

/// Tells what a process tells, until it ends: everything where machines read it, and what
/// isn't well to people.
async fn pass_on(name: &str, output: ChildStdout) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if !log::is_for_people() {
            println!("{line}");
        } else if !line.contains(r#""severity":"INFO""#) && !line.contains(r#""severity":"DEBUG""#)
        {
            eprintln!("{name}: {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cloud::layout::Place;

    fn service() -> Arc<Service> {
        let place = Place {
            name: "x".to_owned(),
            domain: "x".to_owned(),
            target: None,
            functions: Vec::new(),
        };
        Arc::new(Service::new(place, ([127, 0, 0, 1], 1).into()))
    }

    async fn process(service: &Service, not: Option<u32>) -> u32 {
        loop {
            let now = *service.process.lock().unwrap();
            match now.filter(|it| Some(*it) != not) {
                Some(process) => return process,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn lives(process: u32) -> bool {
        Path::new(&format!("/proc/{process}")).exists()
    }

    #[tokio::test]
    async fn a_process_that_ends_is_started_again_and_all_end_with_the_fleet() {
        let (mut fleet, service) = (Fleet::new().unwrap(), service());
        let mut command = Command::new("sleep");
        command.arg("600");
        fleet.keep(service.clone(), command).unwrap();
        let first = process(&service, None).await;
        let killed =
            std::process::Command::new("kill").args(["-KILL", &first.to_string()]).status();
        assert!(killed.unwrap().success());
        let second = process(&service, Some(first)).await;
        assert!(!lives(first) && lives(second));
        fleet.stop().await;
        assert!(!lives(second));
    }
}
