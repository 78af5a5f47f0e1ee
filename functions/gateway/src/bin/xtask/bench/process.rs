//! The server under test as the kernel sees it: its start, its processor time and its memory.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::http::{Connection, Request};

const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// The kernel tells processor time in ticks of a hundredth of a second, on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first good answer.
    pub start: Duration,
    /// The processor time that this took.
    pub start_cpu: Duration,
}

impl Server {
    /// Starts `command` and waits until `health` answers 200. What it says on stdout is
    /// dropped; what it says on stderr goes into the file `complaints`, and is told when it
    /// doesn't start.
    pub fn start(
        command: &mut Command,
        address: SocketAddr,
        health: &str,
        complaints: &Path,
    ) -> Result<Self> {
        let stderr =
            File::create(complaints).context("creating the file for the server's stderr")?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut server = Self { child, address, start: Duration::ZERO, start_cpu: Duration::ZERO };
        while !answers(address, health) {
            if let Some(status) = server.child.try_wait()? {
                let said = fs::read_to_string(complaints).unwrap_or_default();
                bail!("the server ended with {status}: {}", said.trim());
            }
            ensure!(begin.elapsed() < START_DEADLINE, "the server did not start");
            thread::sleep(Duration::from_micros(200));
        }
        server.start = begin.elapsed();
        server.start_cpu = server.cpu()?.since(CpuTime::default());
        Ok(server)
    }

    /// The processor time used so far.
    pub fn cpu(&self) -> Result<CpuTime> {
        CpuTime::of(self.child.id())
    }

    /// The memory that is the server's own, with its share of what it shares, in KiB.
    pub fn memory(&self) -> Result<u32> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        text.lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
            .with_context(|| format!("no Pss in {path}"))
    }

    /// The memory once the server has had nothing to do for `time`.
    pub fn idle_memory(&self, time: Duration) -> Result<u32> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            thread::sleep(Duration::from_millis(20));
        }
        self.memory()
    }

    /// Asks the server to end and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .context("asking the server to end")?;
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begin.elapsed() < STOP_DEADLINE, "the server did not end when asked to");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when the server has ended already, which is all that is wanted here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the server answers 200. While it starts it refuses connections, which is no error and
/// must cost next to nothing: the server wants the processor.
fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(stream) = TcpStream::connect(address) else { return false };
    let status = || {
        let mut connection = Connection::over(stream)?;
        connection.send(&Request::get(path).bytes())?;
        Ok::<_, anyhow::Error>(connection.receive()?.status)
    };
    status().is_ok_and(|status| status == 200)
}

/// A loopback address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

/// The processor time of a process, as the kernel tells it in two ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// Exact, but without the threads that have ended.
    threads: Duration,
    /// With every thread that ever ran, but in ticks.
    ticks: Duration,
}

impl CpuTime {
    fn of(process: u32) -> Result<Self> {
        let path = format!("/proc/{process}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let ticks = ticks(&stat).with_context(|| format!("no processor time in {path}"))?;
        let mut threads = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end between the listing and the reading.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
            threads += Duration::from_nanos(nanoseconds.unwrap_or_default());
        }
        Ok(Self { threads, ticks: TICK * ticks })
    }

    /// The time used since `earlier`: exact, unless threads have ended meanwhile and took their
    /// time with them.
    pub fn since(self, earlier: Self) -> Duration {
        let threads = self.threads.saturating_sub(earlier.threads);
        let ticks = self.ticks.saturating_sub(earlier.ticks);
        // User and system time are each rounded down to a tick, so the two may differ by that much.
        if threads + TICK * 2 < ticks { ticks } else { threads }
    }
}

/// User and system time out of `/proc/PID/stat`: its 14th and 15th field. The 2nd, the name,
/// may hold anything, and ends at the last parenthesis.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194304 2854 6514 0 0 56 3 4 2 20 0 1 0 100739";
        assert_eq!(ticks(stat), Some(59));
    }

    #[test]
    fn ticks_count_when_threads_have_ended() {
        let time = |threads, ticks| CpuTime {
            threads: Duration::from_millis(threads),
            ticks: Duration::from_millis(ticks),
        };
        assert_eq!(time(105, 100).since(time(0, 0)), Duration::from_millis(105));
        assert_eq!(time(40, 500).since(time(300, 300)), Duration::from_millis(200));
    }

    #[test]
    fn this_process_has_used_processor_time_and_memory() {
        let spent = CpuTime::of(std::process::id()).expect("procfs");
        assert!(spent.since(CpuTime::default()) < Duration::from_mins(1));
    }
}
