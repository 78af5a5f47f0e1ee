//! The load: many kept connections, driven by a few threads so that the client leaves the
//! processor to the server.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::http::Connection;

/// Up to this many connections get a thread each; more of them share [`SHARED_THREADS`].
const OWN_THREADS: usize = 8;
const SHARED_THREADS: usize = 2;

/// When a load is over.
#[derive(Clone, Copy, Debug)]
enum Length {
    /// When every request was sent once.
    Once,
    /// When the time is up; the requests are sent over and over.
    For(Duration),
}

/// Requests to send over a number of connections, each of which has one request under way at
/// any time.
#[derive(Debug)]
pub struct Load<'a> {
    requests: &'a [Vec<u8>],
    connections: usize,
    length: Length,
    keep_bodies: bool,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answers {
    /// From the first request sent to the last answer read.
    pub elapsed: Duration,
    /// How long each answer took, shortest first.
    pub latencies: Vec<Duration>,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, usize>,
    /// The bodies, when they were to be kept: the request's number, the status, the body.
    pub bodies: Vec<(usize, u16, Vec<u8>)>,
}

impl Answers {
    /// How many answers there were.
    pub fn count(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        f64::from(self.count()) / self.elapsed.as_secs_f64()
    }

    /// The latency that this many of a thousand answers did not exceed.
    pub fn per_mille(&self, share: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * share / 1000).copied().unwrap_or_default()
    }

    /// How many answers were not a success.
    pub fn failures(&self) -> usize {
        self.statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, count)| count)
            .sum()
    }

    fn read(&mut self, sent: &mut Sent, keep_body: bool) -> Result<()> {
        let answer = sent.connection.receive()?;
        self.latencies.push(sent.at.elapsed());
        *self.statuses.entry(answer.status).or_default() += 1;
        if keep_body {
            self.bodies.push((sent.number, answer.status, answer.body().into_owned()));
        }
        Ok(())
    }

    fn join(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.bodies.extend(other.bodies);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }
}

/// A request under way.
struct Sent<'a> {
    connection: &'a mut Connection,
    number: usize,
    at: Instant,
}

impl<'a> Load<'a> {
    /// Sends every request once, in their order.
    pub fn once(requests: &'a [Vec<u8>], connections: usize) -> Self {
        Self { requests, connections, length: Length::Once, keep_bodies: false }
    }

    /// Sends the requests over and over until the time is up.
    pub fn lasting(time: Duration, requests: &'a [Vec<u8>], connections: usize) -> Self {
        Self { requests, connections, length: Length::For(time), keep_bodies: false }
    }

    /// Keeps the bodies of the answers.
    #[must_use]
    pub fn keeping_bodies(self) -> Self {
        Self { keep_bodies: true, ..self }
    }

    /// Opens the connections; they stay open until the caller drops them, so that neither is
    /// measured.
    pub fn connect(&self, address: SocketAddr) -> Result<Vec<Connection>> {
        (0..self.connections).map(|_| Connection::open(address)).collect()
    }

    /// Sends the requests and waits for every answer.
    pub fn run(&self, connections: &mut [Connection]) -> Result<Answers> {
        let lanes = connections.chunks_mut(lane_length(connections.len()));
        let barrier = Barrier::new(lanes.len() + 1);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let threads: Vec<_> =
                lanes.map(|lane| scope.spawn(|| self.drive(lane, &next, &barrier))).collect();
            barrier.wait();
            let start = Instant::now();
            let mut answers = Answers::default();
            for thread in threads {
                answers.join(thread.join().map_err(|_| anyhow!("a thread of the load panicked"))??);
            }
            answers.elapsed = start.elapsed();
            answers.latencies.sort_unstable();
            answers.bodies.sort_unstable_by_key(|(number, ..)| *number);
            Ok(answers)
        })
    }

    /// Opens the connections and sends the requests, for a load that isn't measured.
    pub fn send(&self, address: SocketAddr) -> Result<Answers> {
        self.run(&mut self.connect(address)?)
    }

    /// One thread's part: it reads the oldest answer that is due and sends the next request on
    /// the same connection.
    ///
    /// A server that answers in the order of the requests is timed exactly. An answer that
    /// overtakes an older one waits here until that one is read, and looks slower than it was;
    /// never faster.
    fn drive(
        &self,
        lane: &mut [Connection],
        next: &AtomicUsize,
        barrier: &Barrier,
    ) -> Result<Answers> {
        let mut answers = Answers::default();
        let mut under_way = VecDeque::with_capacity(lane.len());
        barrier.wait();
        let start = Instant::now();
        for connection in lane {
            under_way.extend(self.send_next(connection, next, start)?);
        }
        while let Some(mut sent) = under_way.pop_front() {
            answers
                .read(&mut sent, self.keep_bodies)
                .with_context(|| format!("the answer to request {}", sent.number))?;
            under_way.extend(self.send_next(sent.connection, next, start)?);
        }
        Ok(answers)
    }

    /// Sends the next request, unless the load is over.
    fn send_next<'c>(
        &self,
        connection: &'c mut Connection,
        next: &AtomicUsize,
        start: Instant,
    ) -> Result<Option<Sent<'c>>> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let request = match self.length {
            Length::Once => self.requests.get(number),
            Length::For(time) if start.elapsed() >= time => None,
            Length::For(_) => self.requests.get(number % self.requests.len().max(1)),
        };
        let Some(request) = request else { return Ok(None) };
        let at = Instant::now();
        connection.send(request)?;
        Ok(Some(Sent { connection, number, at }))
    }
}

/// How many connections a thread drives.
fn lane_length(connections: usize) -> usize {
    if connections <= OWN_THREADS { 1 } else { connections.div_ceil(SHARED_THREADS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_latencies() {
        let latencies = (1..=101).map(Duration::from_millis).collect();
        let answers = Answers { latencies, ..Answers::default() };
        assert_eq!(answers.per_mille(500), Duration::from_millis(51));
        assert_eq!(answers.per_mille(990), Duration::from_millis(100));
        assert_eq!(answers.per_mille(1000), Duration::from_millis(101));
        assert_eq!(Answers::default().per_mille(500), Duration::ZERO);
    }

    #[test]
    fn only_what_is_not_a_success_counts_as_a_failure() {
        let statuses = BTreeMap::from([(200, 3), (201, 4), (409, 5), (503, 1)]);
        assert_eq!(Answers { statuses, ..Answers::default() }.failures(), 6);
    }
}
