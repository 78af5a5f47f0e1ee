//! The server under test as the kernel sees it: its start, its processor time and its memory.

use std::{
    collections::BTreeMap,
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

/// What the emulators run on; all else that a server starts is its own.
const ENGINE: &str = "java";

/// How it's known that a server serves.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// The path that answers 200.
    pub path: &'static str,
    /// How long that may take.
    pub within: Duration,
}

/// A running server; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Whether the processes that it has started do its work.
    has_children: bool,
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
        health: &'static str,
        complaints: &Path,
    ) -> Result<Self> {
        command.stdout(Stdio::null());
        let health = Health { path: health, within: START_DEADLINE };
        Self::with_stdout(command, address, health, complaints)
    }

    /// The same, where what it says on stdout goes where the command says.
    pub fn with_stdout(
        command: &mut Command,
        address: SocketAddr,
        health: Health,
        complaints: &Path,
    ) -> Result<Self> {
        let stderr =
            File::create(complaints).context("creating the file for the server's stderr")?;
        command.stdin(Stdio::null()).stderr(stderr);
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let (start, start_cpu) = (Duration::ZERO, Duration::ZERO);
        let mut server = Self { child, has_children: false, address, start, start_cpu };
        while !answers(address, health.path) {
            if let Some(status) = server.child.try_wait()? {
                let said = fs::read_to_string(complaints).unwrap_or_default();
                bail!("the server ended with {status}: {}", said.trim());
            }
            ensure!(begin.elapsed() < health.within, "the server did not start");
            thread::sleep(Duration::from_micros(200));
        }
        server.start = begin.elapsed();
        server.start_cpu = server.cpu()?.since(&CpuTime::default());
        Ok(server)
    }

    /// The same server, whose work is done by the processes that it has started, too.
    #[must_use]
    pub fn with_children(mut self) -> Self {
        self.has_children = true;
        self
    }

    /// The processor time used so far.
    pub fn cpu(&self) -> Result<CpuTime> {
        let (own, _) = self.processes()?;
        CpuTime::of(&own)
    }

    /// The processor time of the process that was started, without those that it started.
    pub fn first_cpu(&self) -> Result<CpuTime> {
        CpuTime::of(&[self.child.id()])
    }

    /// The processor time of the emulators that it has started.
    pub fn engines_cpu(&self) -> Result<CpuTime> {
        let (_, engines) = self.processes()?;
        CpuTime::of(&engines)
    }

    /// The memory that is the server's own, with its share of what it shares, in KiB.
    pub fn memory(&self) -> Result<u32> {
        let (own, _) = self.processes()?;
        own.into_iter().map(memory).sum()
    }

    /// Its processes, and the emulators.
    fn processes(&self) -> Result<(Vec<u32>, Vec<u32>)> {
        let first = self.child.id();
        if !self.has_children {
            return Ok((vec![first], Vec::new()));
        }
        let all = family(first, &parents()?);
        Ok(all.into_iter().partition(|&process| name(process) != ENGINE))
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

/// The memory of a process, in KiB.
fn memory(process: u32) -> Result<u32> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // A process that has ended, and that nobody has buried yet, has none.
    if text.is_empty() {
        return Ok(0);
    }
    text.lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .with_context(|| format!("no Pss in {path}"))
}

/// What a process is called; nothing when it has ended.
fn name(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// Every process of the machine with its parent.
fn parents() -> Result<BTreeMap<u32, u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("listing the processes")? {
        let Some(process) = entry?.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // It may end between the listing and the reading.
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        parents.extend(parent(&stat).map(|parent| (process, parent)));
    }
    Ok(parents)
}

/// A process and all that descend from it.
fn family(first: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut family = vec![first];
    let mut known = 0;
    while let Some(&process) = family.get(known) {
        known += 1;
        family.extend(parents.iter().filter(|(_, parent)| **parent == process).map(|(it, _)| *it));
    }
    family
}

/// The processor time of some processes, by their ids.
#[derive(Clone, Debug, Default)]
pub struct CpuTime(BTreeMap<u32, ProcessTime>);

impl CpuTime {
    fn of(processes: &[u32]) -> Result<Self> {
        let time = |&process: &u32| Ok((process, ProcessTime::of(process)?));
        processes.iter().map(time).collect::<Result<_>>().map(Self)
    }

    /// Whether there are no processes.
    pub fn is_of_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// The time used since `earlier`, when some of the processes may not have been there yet.
    pub fn since(&self, earlier: &Self) -> Duration {
        let then = |process| earlier.0.get(process).copied().unwrap_or_default();
        self.0.iter().map(|(process, now)| now.since(then(process))).sum()
    }
}

/// The processor time of a process, as the kernel tells it in two ways.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessTime {
    /// Exact, but without the threads that have ended.
    threads: Duration,
    /// With every thread that ever ran, but in ticks.
    ticks: Duration,
}

impl ProcessTime {
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
    fn since(self, earlier: Self) -> Duration {
        let threads = self.threads.saturating_sub(earlier.threads);
        let ticks = self.ticks.saturating_sub(earlier.ticks);
        // User and system time are each rounded down to a tick, so the two may differ by that much.
        if threads + TICK * 2 < ticks { ticks } else { threads }
    }
}

/// The parent out of `/proc/PID/stat`: its 4th field.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
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
        assert_eq!((ticks(stat), parent(stat)), (Some(59), Some(1)));
    }

    #[test]
    fn ticks_count_when_threads_have_ended() {
        let time = |threads, ticks| ProcessTime {
            threads: Duration::from_millis(threads),
            ticks: Duration::from_millis(ticks),
        };
        assert_eq!(time(105, 100).since(time(0, 0)), Duration::from_millis(105));
        assert_eq!(time(40, 500).since(time(300, 300)), Duration::from_millis(200));
    }

    #[test]
    fn this_process_has_used_processor_time_and_memory() {
        let own = std::process::id();
        let spent = CpuTime::of(&[own]).expect("procfs");
        assert!(spent.since(&CpuTime::default()) < Duration::from_mins(1));
        assert!(memory(own).expect("procfs") > 0);
    }

    #[test]
    fn a_family_is_whoever_descends_from_the_first() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 2), (5, 4), (6, 1), (7, 6)]);
        assert_eq!(family(2, &parents), [2, 3, 4, 5]);
        assert_eq!(family(7, &parents), [7]);
    }

    #[test]
    fn the_time_of_several_is_the_sum_and_one_that_came_later_counts_whole() {
        let time = |threads| ProcessTime {
            threads: Duration::from_millis(threads),
            ticks: Duration::ZERO,
        };
        let then = CpuTime(BTreeMap::from([(1, time(100)), (2, time(50))]));
        let now = CpuTime(BTreeMap::from([(1, time(130)), (2, time(50)), (3, time(7))]));
        assert_eq!(now.since(&then), Duration::from_millis(37));
    }

    #[test]
    fn children_count_where_they_do_the_work_and_emulators_do_not() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & wait"]);
        let child = command.spawn().expect("a shell");
        let (address, time) = (([127, 0, 0, 1], 1).into(), Duration::ZERO);
        let server = Server { child, has_children: false, address, start: time, start_cpu: time };
        assert_eq!(server.processes().expect("procfs").0.len(), 1);
        let server = server.with_children();
        let begin = Instant::now();
        while server.processes().expect("procfs").0.len() < 2 {
            assert!(begin.elapsed() < START_DEADLINE);
            thread::yield_now();
        }
        let (own, engines) = server.processes().expect("procfs");
        assert_eq!((own.len(), engines.len()), (2, 0));
        assert!(server.engines_cpu().expect("procfs").is_of_nobody());
        let sleeper = own[1].to_string();
        Command::new("kill").args(["-KILL", &sleeper]).status().expect("kill is there");
    }
}
