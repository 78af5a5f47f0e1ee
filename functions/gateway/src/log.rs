//! What the server says: for people in a terminal, and in the form of Google's
//! Cloud Logging (`tracing-stackdriver`) everywhere else.
//!
//! A line must cost next to nothing, for there is one for each request. So it
//! is put into a buffer, which a thread of its own writes out a moment later:
//! many lines in one write. What the buffer holds is written before the process
//! ends, a panic included.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tracing::{Event, Level, Metadata, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    fmt::{MakeWriter, time::FormatTime},
    layer::{Context, SubscriberExt as _},
    registry,
    util::SubscriberInitExt as _,
};

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(10);

/// The most bytes that wait; what doesn't fit is dropped, and counted.
const MOST: usize = 16 << 20;

/// The lines on their way to stdout.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Held while lines are written, so that they stay in their order.
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: usize,
}

/// Whether stdout is read by a person.
pub fn is_for_people() -> bool {
    io::stdout().is_terminal()
}

/// Begins to log to stdout. The lines must be flushed before the process ends.
pub fn start() -> anyhow::Result<Lines> {
    let lines = Lines::to(Box::new(io::stdout()));
    lines.clone().write_on_a_thread()?;
    let last = lines.clone();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        last.flush();
        tell(panic);
    }));
    if is_for_people() {
        let readable = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_timer(Clock)
            .with_writer(lines.clone())
            .with_filter(filter_fn(is_worth_it));
        registry().with(readable).try_init()?;
    } else {
        // The one line that is written all the time is put together by hand.
        let request = RequestLine(lines.clone()).with_filter(filter_fn(is_request));
        let others = tracing_stackdriver::layer()
            .with_source_location(false)
            .with_writer(lines.clone())
            .with_filter(filter_fn(|it| is_worth_it(it) && !is_request(it)));
        registry().with(request).with(others).try_init()?;
    }
    Ok(lines)
}

/// Whether it is said at all: other crates speak up only when something is wrong.
fn is_worth_it(line: &Metadata<'_>) -> bool {
    const OURS: [&str; 8] = [
        "request",
        "runtime",
        "embedded",
        "gateway",
        "identity",
        "courses",
        "enrollments",
        "notifications",
    ];
    let source = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::WARN || (*line.level() <= Level::INFO && OURS.contains(&source))
}

/// Whether it's the line of a request.
fn is_request(line: &Metadata<'_>) -> bool {
    line.target() == "request"
}

/// The time of day, which is all that a person at a terminal wants to know.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> fmt::Result {
        write!(writer, "{}", now().strftime("%H:%M:%S%.3f"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a line tells the machine's time, not the functions'"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

impl Lines {
    fn to(out: Box<dyn Write + Send>) -> Self {
        let (waiting, arrived) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { waiting, arrived, out: Mutex::new(out) }))
    }

    fn write_on_a_thread(self) -> io::Result<()> {
        let write = move || loop {
            let waiting = hold(&self.0.waiting);
            let nothing = |it: &mut Waiting| it.bytes.is_empty();
            drop(self.0.arrived.wait_while(waiting, nothing));
            thread::sleep(GATHER);
            self.flush();
        };
        thread::Builder::new().name("log".to_owned()).spawn(write).map(drop)
    }

    /// Writes what waits.
    pub fn flush(&self) {
        let mut out = hold(&self.0.out);
        let Waiting { bytes, dropped } = mem::take(&mut *hold(&self.0.waiting));
        // Where nobody listens any more there's nobody to tell.
        let _ = out.write_all(&bytes);
        if dropped > 0 {
            let _ =
                writeln!(out, r#"{{"severity":"ERROR","message":"{dropped} lines were dropped"}}"#);
        }
        let _ = out.flush();
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = hold(&self.0.waiting);
        if waiting.bytes.len() + line.len() > MOST {
            waiting.dropped += 1;
            return;
        }
        let is_first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.arrived.notify_one();
        }
    }
}

/// Holds what is behind a lock, whether or not its last holder panicked: the
/// panic itself must still be told.
fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes the line of a request: the same as `tracing-stackdriver` would, in a
/// quarter of the time, and with its trace where Cloud Logging looks for it.
struct RequestLine(Lines);

impl<S: Subscriber> Layer<S> for RequestLine {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Written {
            text: String::with_capacity(384),
            request: String::with_capacity(160),
            severity: "INFO",
        };
        let _ = write!(line.text, r#"{{"time":"{}""#, now());
        event.record(&mut line);
        let Written { mut text, request, severity } = line;
        let _ = writeln!(text, r#","severity":"{severity}","httpRequest":{{{request}}}}}"#);
        self.0.add(text.as_bytes());
    }
}

/// The fields of a request's line, as they are met.
struct Written {
    text: String,
    request: String,
    severity: &'static str,
}

impl Written {
    /// Where a field goes, and what it is called there.
    fn place(&mut self, field: &Field) -> Option<&mut String> {
        let (name, into_request) = match field.name() {
            "http_request.request_method" => ("requestMethod", true),
            "http_request.request_url" => ("requestUrl", true),
            "http_request.status" => ("status", true),
            "http_request.latency" => ("latency", true),
            "trace_id" => ("logging.googleapis.com/trace", false),
            name @ ("message" | "function" | "problem") => (name, false),
            _ => return None,
        };
        let place = if into_request { &mut self.request } else { &mut self.text };
        if !place.is_empty() {
            place.push(',');
        }
        let _ = write!(place, r#""{name}":"#);
        Some(place)
    }
}

impl tracing::field::Visit for Written {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !value.is_empty()
            && let Some(place) = self.place(field)
        {
            quote(place, |place| place.push_str(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if value >= 500 {
            self.severity = "ERROR";
        }
        if let Some(place) = self.place(field) {
            let _ = write!(place, "{value}");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(place) = self.place(field) {
            quote(place, |place| {
                let _ = write!(place, "{value:?}");
            });
        }
    }
}

/// Adds a text as JSON, which nearly always is the text itself.
fn quote(place: &mut String, add: impl FnOnce(&mut String)) {
    let start = place.len();
    place.push('"');
    add(place);
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if place.bytes().skip(start + 1).all(is_plain) {
        place.push('"');
    } else {
        // A string is always JSON.
        let quoted = serde_json::to_string(&place[start + 1..]).unwrap_or_default();
        place.truncate(start);
        place.push_str(&quoted);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A place to write to that can be looked into.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Seen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_requests_line_is_what_cloud_logging_reads() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        let subscriber = registry().with(RequestLine(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                target: "request",
                function = "courses.get",
                http_request.request_method = "GET",
                http_request.request_url = "/v1/\"quoted\"",
                http_request.status = 503_u16,
                http_request.latency = format_args!("{:.6}s", 0.25),
                problem = "",
                trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                "request"
            );
        });
        assert_eq!(seen.text(), "", "a line is written a moment later");
        lines.flush();
        let mut line: Value = serde_json::from_str(&seen.text()).unwrap();
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'));
        assert_eq!(
            line,
            json!({
                "severity": "ERROR",
                "message": "request",
                "function": "courses.get",
                "logging.googleapis.com/trace": "4bf92f3577b34da6a3ce929d0e0e4736",
                "httpRequest": {
                    "requestMethod": "GET", "requestUrl": "/v1/\"quoted\"", "status": 503,
                    "latency": "0.250000s",
                },
            })
        );
    }

    #[test]
    fn when_nobody_reads_lines_are_dropped_and_counted() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        lines.add(&vec![b'x'; MOST]);
        lines.add(b"one\n");
        lines.add(b"two\n");
        lines.flush();
        let text = seen.text();
        assert!(text.ends_with("\"2 lines were dropped\"}\n") && !text.contains("one"));
    }
}
