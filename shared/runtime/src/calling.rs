//! Asking another domain with patience, and not with too much of it: another
//! try where that is safe, a rest for who fails, and a deadline for all of it.
//!
//! However a request travels, over a wire or within the process, what becomes
//! of it when nothing comes back is decided here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Bytes;
use contracts::{Language, Method, Timestamp};

use crate::{
    Client, Clock, Outgoing, Random, Refusal, Reply, Trace, deadline, problems::UNAVAILABLE,
};

/// How long an answer may take, all tries together: the caller's own deadline
/// is three times that, and counts if less of it is left.
const LONGEST: Duration = Duration::from_secs(10);

/// How long one try may take.
const TRY_WITHIN: Duration = Duration::from_secs(4);

/// How often it's tried.
const TRIES: u32 = 3;

/// The first pause and the longest, in milliseconds.
const PAUSES: (u64, u64) = (50, 1_000);

/// After so many failures in a row a service is left alone for so many milliseconds.
const BREAKS: (u32, i64) = (5, 5_000);

/// A way on which a request travels.
#[async_trait]
pub trait Way: Send + Sync + 'static {
    /// Who answers an operation: what has the same name fails together.
    fn peer(&self, operation: &'static str) -> anyhow::Result<String>;
    /// Sends a request once, and waits so long for the answer.
    async fn send_once(
        &self,
        peer: &str,
        request: &Outgoing,
        trace: &Trace,
        within: Duration,
    ) -> Sent;
}

/// What came of sending a request once.
#[derive(Clone, Debug)]
pub enum Sent {
    /// There's an answer: its status and its body.
    Answered(u16, Bytes),
    /// It certainly wasn't begun.
    NotBegun(String),
    /// It may have been.
    Unknown(String),
}

/// A client that tries again, gives up and lets rest.
pub struct Patient<W> {
    way: W,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    circuits: Mutex<HashMap<String, Circuit>>,
}

/// What is known of a peer that fails.
#[derive(Clone, Copy, Default)]
struct Circuit {
    failures: u32,
    /// When it was last tried though it fails.
    tried_at: Option<Timestamp>,
}

impl<W: Way> Patient<W> {
    /// A client that sends on some way.
    pub fn new(way: W, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { way, clock, random, circuits: Mutex::default() }
    }

    /// The way.
    pub fn way(&self) -> &W {
        &self.way
    }

    async fn send_to(
        &self,
        peer: &str,
        request: &Outgoing,
        trace: &Trace,
    ) -> Result<(u16, Bytes), String> {
        let is_safe = request.route.method == Method::Get;
        let mut failure = "it isn't asked for a while".to_owned();
        for attempt in 1..=TRIES {
            if attempt > 1 {
                self.clock.sleep(self.pause(attempt)).await;
            }
            if !self.may_try(peer) {
                break;
            }
            let within = deadline::left().map_or(TRY_WITHIN, |left| left.min(TRY_WITHIN));
            if within.is_zero() {
                break;
            }
            match self.way.send_once(peer, request, trace, within).await {
                Sent::Answered(status @ (502..=504), body) => {
                    self.note(peer, false);
                    // It may be the function's own word, or somebody's on the way to it.
                    if !is_safe || attempt == TRIES {
                        return Ok((status, body));
                    }
                    failure = format!("it answered {status}");
                }
                Sent::Answered(status, body) => {
                    self.note(peer, true);
                    return Ok((status, body));
                }
                Sent::NotBegun(error) => {
                    self.note(peer, false);
                    failure = error;
                }
                Sent::Unknown(error) => {
                    self.note(peer, false);
                    failure = error;
                    if !is_safe {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }

    /// Whether a peer is to be asked: one that fails is, now and then.
    fn may_try(&self, peer: &str) -> bool {
        let (most, millis) = BREAKS;
        let now = self.clock.now();
        let mut circuits = self.circuits.lock().expect("no holder panics");
        let Some(circuit) = circuits.get_mut(peer).filter(|it| it.failures >= most) else {
            return true;
        };
        let is_over = |then: Timestamp| now.as_millis() >= then.as_millis().saturating_add(millis);
        let may = circuit.tried_at.is_none_or(is_over);
        if may {
            circuit.tried_at = Some(now);
        }
        may
    }

    fn note(&self, peer: &str, well: bool) {
        let mut circuits = self.circuits.lock().expect("no holder panics");
        if well {
            circuits.remove(peer);
        } else {
            let circuit = circuits.entry(peer.to_owned()).or_default();
            circuit.failures = circuit.failures.saturating_add(1);
            circuit.tried_at = Some(self.clock.now());
        }
    }

    /// A random while that grows with each try.
    fn pause(&self, attempt: u32) -> Duration {
        let (first, longest) = PAUSES;
        let most = first.saturating_mul(1 << attempt.min(10)).min(longest);
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        Duration::from_millis(u64::from(u32::from_le_bytes(bytes)) % most)
    }
}

#[async_trait]
impl<W: Way> Client for Patient<W> {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let operation = request.operation;
        let peer = self.way.peer(operation)?;
        let within = deadline::left().map_or(LONGEST, |left| left.min(LONGEST));
        let sent = deadline::within(within, self.send_to(&peer, &request, trace));
        let error = match tokio::time::timeout(within, sent).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_elapsed) => format!("it took more than {} ms", within.as_millis()),
        };
        tracing::warn!(operation, error, "another domain doesn't answer");
        let reply = Reply::refused(Refusal::of(UNAVAILABLE), Language::En, trace);
        Ok((reply.status, reply.body))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use contracts::Route;

    use super::*;

    /// A way that tells what it was asked, and answers as it's told to.
    struct Told {
        answers: Mutex<Vec<Sent>>,
        asked: Mutex<Vec<Duration>>,
    }

    #[async_trait]
    impl Way for Arc<Told> {
        fn peer(&self, operation: &'static str) -> anyhow::Result<String> {
            Ok(operation.to_owned())
        }
        async fn send_once(&self, _: &str, _: &Outgoing, _: &Trace, within: Duration) -> Sent {
            self.asked.lock().unwrap().push(within);
            let answer = self.answers.lock().unwrap().pop();
            let Some(answer) = answer else {
                tokio::time::sleep(within).await;
                return Sent::Unknown("it took too long".to_owned());
            };
            answer
        }
    }

    #[derive(Default)]
    struct Now(AtomicI64);

    impl Clock for Now {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    type Asked = (Patient<Arc<Told>>, Arc<Told>, Arc<Now>);

    /// A client whose way answers this, the last one first, and then not at all.
    fn client(answers: Vec<Sent>) -> Asked {
        let told = Arc::new(Told { answers: Mutex::new(answers), asked: Mutex::default() });
        let clock = Arc::<Now>::default();
        (Patient::new(told.clone(), clock.clone(), Arc::new(Zeros)), told, clock)
    }

    const GET: Route = Route::get("/internal/things");
    const POST: Route = Route::act("/internal/things");

    async fn ask(client: &Patient<Arc<Told>>, route: Route) -> u16 {
        let (path, query, body) = (Vec::new(), String::new(), Bytes::new());
        let request = Outgoing { operation: "things.ask", route, path, query, body };
        client.send(request, &Trace::continued(None, &Zeros)).await.unwrap().0
    }

    fn times(told: &Told) -> usize {
        told.asked.lock().unwrap().len()
    }

    fn answered(status: u16) -> Sent {
        Sent::Answered(status, Bytes::new())
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_reads_is_tried_again_and_what_changes_only_if_it_was_not_begun() {
        let unknown = || Sent::Unknown("gone".to_owned());
        let (reading, told, _) = client(vec![answered(200), answered(503), unknown()]);
        assert_eq!((ask(&reading, GET).await, times(&told)), (200, 3));
        let (changing, told, _) = client(vec![answered(200), unknown()]);
        assert_eq!((ask(&changing, POST).await, times(&told)), (503, 1));
        let (changing, told, _) = client(vec![answered(200), Sent::NotBegun("no".to_owned())]);
        assert_eq!((ask(&changing, POST).await, times(&told)), (200, 2));
        let (refused, told, _) = client(vec![answered(200), answered(409)]);
        assert_eq!((ask(&refused, GET).await, times(&told)), (409, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_is_left_alone_for_a_while_and_asked_now_and_then() {
        let (client, told, clock) = client([vec![answered(200)], vec![answered(503); 5]].concat());
        for _ in 0..9 {
            assert_eq!(ask(&client, POST).await, 503);
        }
        assert_eq!(times(&told), 5);
        clock.0.fetch_add(5_000, Ordering::SeqCst);
        assert_eq!((ask(&client, POST).await, times(&told)), (200, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_their_own_caller_does() {
        let (client, told, _) = client(Vec::new());
        let began = tokio::time::Instant::now();
        assert_eq!(ask(&client, GET).await, 503);
        assert_eq!(began.elapsed().as_secs(), LONGEST.as_secs());
        let began = tokio::time::Instant::now();
        let asked = deadline::within(Duration::from_millis(700), ask(&client, GET));
        assert_eq!(asked.await, 503);
        assert_eq!(began.elapsed().as_millis(), 700);
        assert_eq!(told.asked.lock().unwrap().last(), Some(&Duration::from_millis(700)));
    }
}
