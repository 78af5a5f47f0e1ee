//! What a process says, in the form that Google's Cloud Logging reads: a line of
//! JSON for each event, with its severity and its trace.
//!
//! A line must cost next to nothing, for there is one for each request. Where
//! the process may go on after an answer, lines gather in a buffer, which a
//! thread of its own writes out a moment later: many lines in one write. Where
//! it may not, as on Cloud Run, each is written at once.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use tracing::{Event, Level, Metadata, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
};

use crate::{Clock as _, SystemClock, Trace};

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(10);

/// The most bytes that wait; what doesn't fit is dropped, and counted.
const MOST: usize = 16 << 20;

/// The lines on their way out.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Held while lines are written, so that they stay in their order.
    out: Mutex<Box<dyn Write + Send>>,
    /// Whether lines gather, for a thread to write.
    gathers: bool,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: usize,
}

impl Lines {
    /// Lines that are written at once.
    pub fn at_once(out: Box<dyn Write + Send>) -> Self {
        Self::new(out, false)
    }

    /// Lines that gather, and are written by a thread of their own. They must
    /// be flushed before the process ends.
    pub fn gathered(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let lines = Self::new(out, true);
        lines.clone().write_on_a_thread()?;
        Ok(lines)
    }

    fn new(out: Box<dyn Write + Send>, gathers: bool) -> Self {
        let (waiting, arrived) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { waiting, arrived, out: Mutex::new(out), gathers }))
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

    /// Adds a line, which ends with a line feed.
    pub fn add(&self, line: &[u8]) {
        if !self.0.gathers {
            let mut out = hold(&self.0.out);
            let _ = out.write_all(line);
            let _ = out.flush();
            return;
        }
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

/// Who speaks, as far as it's known.
#[derive(Clone, Debug, Default)]
pub struct Speaker {
    /// The project that traces belong to.
    pub project: Option<String>,
    /// The service and its version; with them, errors are what Error Reporting gathers.
    pub service: Option<(String, String)>,
}

/// Writes events as Cloud Logging reads them, a request's line above all.
pub struct CloudLog {
    lines: Lines,
    speaker: Arc<Speaker>,
}

impl CloudLog {
    /// A log of these lines.
    pub fn new(lines: Lines, speaker: Speaker) -> Self {
        Self { lines, speaker: Arc::new(speaker) }
    }

    /// Has panics told as errors, and by nothing else: whatever told them before would
    /// tell all that they say.
    ///
    /// A text that stands in the code is told as it is. What was put together when it
    /// happened may have anybody's name in it: of that the place alone is told.
    pub fn tell_panics(&self) {
        let (lines, speaker) = (self.lines.clone(), self.speaker.clone());
        std::panic::set_hook(Box::new(move |panic| {
            let said = panic.payload().downcast_ref::<&'static str>().copied();
            let place = panic.location();
            let (file, at) = place.map_or(("", 0), |it| (it.file(), it.line()));
            let mut line = Line::begin("ERROR", &speaker);
            let said = said.unwrap_or("what it said isn't told");
            line.message = format!("panicked at {file}:{at}: {said}");
            // Which function it was nobody knows here; the place is told beside it.
            let service = speaker.service.as_ref().map_or("", |(service, _)| service);
            line.report(&speaker, file, at, service);
            lines.add(line.end().as_bytes());
            lines.flush();
        }));
    }
}

/// What is worth a line: all that these crates tell, and what is wrong elsewhere.
pub struct Worth(&'static [&'static str]);

impl Worth {
    /// What these crates tell, and the runtime.
    pub const fn of(crates: &'static [&'static str]) -> Self {
        Self(crates)
    }
}

impl<S> Filter<S> for Worth {
    fn enabled(&self, line: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        let source = line.target().split("::").next().unwrap_or_default();
        let is_ours = || matches!(source, "request" | "runtime") || self.0.contains(&source);
        *line.level() <= Level::WARN || (*line.level() <= Level::INFO && is_ours())
    }
}

impl<S: Subscriber> Layer<S> for CloudLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let severity = match *metadata.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let mut line = Line::begin(severity, &self.speaker);
        event.record(&mut line);
        if severity == "ERROR" {
            let (file, at) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or(0));
            let function = line.function.take();
            let function = function.as_deref().unwrap_or(metadata.target());
            line.report(&self.speaker, file, at, function);
        }
        self.lines.add(line.end().as_bytes());
    }
}

/// A line, as its fields are met.
struct Line {
    text: String,
    /// What Cloud Logging knows of a request.
    request: String,
    severity: &'static str,
    message: String,
    error: String,
    function: Option<String>,
}

impl Line {
    fn begin(severity: &'static str, speaker: &Speaker) -> Self {
        let mut text = String::with_capacity(448);
        let _ = write!(text, r#"{{"time":"{}""#, SystemClock.now());
        Trace::with_current(|trace| {
            text.push_str(r#","logging.googleapis.com/trace":""#);
            if let Some(project) = &speaker.project {
                let _ = write!(text, "projects/{project}/traces/");
            }
            let (trace_id, span_id) = (&trace.trace_id, &trace.span_id);
            let _ = write!(text, r#"{trace_id}","logging.googleapis.com/spanId":"{span_id}""#);
            if trace.sampled {
                text.push_str(r#","logging.googleapis.com/trace_sampled":true"#);
            }
        });
        let (request, message, error) = Default::default();
        Self { text, request, severity, message, error, function: None }
    }

    /// What Error Reporting wants to know, if this speaker's errors go there.
    fn report(&mut self, speaker: &Speaker, file: &str, at: u32, function: &str) {
        let Some((service, version)) = &speaker.service else { return };
        self.text.push_str(r#","@type":"type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent","serviceContext":{"service":"#);
        quote(&mut self.text, |it| it.push_str(service));
        self.text.push_str(r#","version":"#);
        quote(&mut self.text, |it| it.push_str(version));
        self.text.push_str(r#"},"context":{"reportLocation":{"filePath":"#);
        quote(&mut self.text, |it| it.push_str(file));
        let _ = write!(self.text, r#","lineNumber":{at},"functionName":"#);
        quote(&mut self.text, |it| it.push_str(function));
        self.text.push_str("}}");
    }

    fn end(self) -> String {
        let Self { mut text, request, severity, message, error, .. } = self;
        if !message.is_empty() {
            text.push_str(r#","message":"#);
            quote(&mut text, |text| {
                text.push_str(&message);
                if !error.is_empty() {
                    text.push_str(": ");
                    text.push_str(&error);
                }
            });
        }
        let _ = write!(text, r#","severity":"{severity}""#);
        if !request.is_empty() {
            let _ = write!(text, r#","httpRequest":{{{request}}}"#);
        }
        text.push_str("}\n");
        text
    }

    /// Where a field goes, and what it is called there.
    fn place(&mut self, field: &Field) -> Option<&mut String> {
        let name = field.name();
        let in_request = match name {
            "http_request.request_method" => Some("requestMethod"),
            "http_request.request_url" => Some("requestUrl"),
            "http_request.status" => Some("status"),
            "http_request.latency" => Some("latency"),
            // It's there already, where Cloud Logging looks for it.
            "trace_id" => return None,
            _ if name.starts_with("log.") => return None,
            _ => None,
        };
        if let Some(name) = in_request {
            let comma = if self.request.is_empty() { "" } else { "," };
            let _ = write!(self.request, r#"{comma}"{name}":"#);
            return Some(&mut self.request);
        }
        let _ = write!(self.text, r#","{name}":"#);
        Some(&mut self.text)
    }
}

impl tracing::field::Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            _ if value.is_empty() => return,
            "message" => value.clone_into(&mut self.message),
            "error" => value.clone_into(&mut self.error),
            "function" => self.function = Some(value.to_owned()),
            _ => {}
        }
        if matches!(field.name(), "message" | "error") {
            return;
        }
        if let Some(place) = self.place(field) {
            quote(place, |place| place.push_str(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "http_request.status" && value >= 500 {
            self.severity = "ERROR";
        }
        if let Some(place) = self.place(field) {
            let _ = write!(place, "{value}");
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(place) = self.place(field) {
            let _ = write!(place, "{value}");
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(place) = self.place(field) {
            let _ = write!(place, "{value}");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "error" => {
                let _ = write!(self.error, "{value:?}");
            }
            _ => {
                if let Some(place) = self.place(field) {
                    quote(place, |place| {
                        let _ = write!(place, "{value:?}");
                    });
                }
            }
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
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// A place to write to that can be looked into.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Seen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn line(&self) -> Value {
            let mut line: Value = serde_json::from_str(&self.text()).unwrap();
            let time = line.as_object_mut().unwrap().remove("time").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'));
            line
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

    fn trace() -> Trace {
        Trace {
            trace_id: crate::Digits::read("4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
            span_id: crate::Digits::read("00f067aa0ba902b7").unwrap(),
            parent_id: None,
            sampled: true,
        }
    }

    /// What is written of what is told within a trace.
    fn told(speaker: Speaker, tell: impl FnOnce()) -> Value {
        let seen = Seen::default();
        let log = CloudLog::new(Lines::at_once(Box::new(seen.clone())), speaker);
        let subscriber = tracing_subscriber::registry().with(log);
        tracing::subscriber::with_default(subscriber, || trace().within_sync(tell));
        seen.line()
    }

    #[test]
    fn a_requests_line_is_what_cloud_logging_reads() {
        let speaker = Speaker { project: Some("aula-test".to_owned()), service: None };
        let line = told(speaker, || {
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
        assert_eq!(
            line,
            json!({
                "severity": "ERROR",
                "message": "request",
                "function": "courses.get",
                "logging.googleapis.com/trace":
                    "projects/aula-test/traces/4bf92f3577b34da6a3ce929d0e0e4736",
                "logging.googleapis.com/spanId": "00f067aa0ba902b7",
                "logging.googleapis.com/trace_sampled": true,
                "httpRequest": {
                    "requestMethod": "GET", "requestUrl": "/v1/\"quoted\"", "status": 503,
                    "latency": "0.250000s",
                },
            })
        );
    }

    #[test]
    fn an_error_is_what_error_reporting_gathers() {
        let service = Some(("courses".to_owned(), "courses-00001".to_owned()));
        let line = told(Speaker { project: None, service }, || {
            tracing::error!(
                function = "courses.get",
                error = "no store",
                tries = 3,
                "internal error"
            );
        });
        assert_eq!(line["severity"], "ERROR");
        assert_eq!(line["message"], "internal error: no store");
        assert_eq!((&line["tries"], &line["function"]), (&json!(3), &json!("courses.get")));
        assert!(line["@type"].as_str().unwrap().ends_with("v1beta1.ReportedErrorEvent"));
        let service = json!({ "service": "courses", "version": "courses-00001" });
        assert_eq!(line["serviceContext"], service);
        let place = &line["context"]["reportLocation"];
        assert!(place["filePath"].as_str().unwrap().ends_with("log.rs"), "{place}");
        assert_eq!(place["functionName"], "courses.get");
        assert!(place["lineNumber"].as_u64().unwrap() > 0);
    }

    /// A line as the crate has it that others log to Google Cloud with.
    fn as_elsewhere(tell: impl FnOnce()) -> Value {
        let seen = Seen::default();
        let out = seen.clone();
        let layer = tracing_stackdriver::layer().with_writer(move || out.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), tell);
        let mut line = seen.line();
        // Where it stands in the code and in which module: our lines name the function instead.
        for dropped in ["target", "logging.googleapis.com/sourceLocation"] {
            line.as_object_mut().unwrap().remove(dropped).unwrap();
        }
        line
    }

    #[test]
    fn a_line_has_the_shape_that_others_log_in() {
        let request = || {
            tracing::info!(
                function = "courses.get",
                http_request.request_method = "GET",
                http_request.request_url = "/v1/\"quoted\"\\\u{1}ñ",
                http_request.status = 404_u16,
                http_request.latency = format_args!("{:.6}s", 0.25),
                "request"
            );
        };
        let fields = || {
            let text = String::from("a\nb");
            tracing::warn!(count = 3_u64, below = -1_i64, done = true, said = ?text, shown = %text, "told");
        };
        let tells: [&dyn Fn(); 4] = [
            &request,
            &fields,
            &|| tracing::error!(function = "courses.get", "internal error"),
            &|| tracing::debug!("seldom"),
        ];
        for tell in tells {
            let seen = Seen::default();
            let log = CloudLog::new(Lines::at_once(Box::new(seen.clone())), Speaker::default());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(log), tell);
            assert_eq!(seen.line(), as_elsewhere(tell));
        }
    }

    #[test]
    fn gathered_lines_are_written_a_moment_later() {
        let seen = Seen::default();
        let lines = Lines::new(Box::new(seen.clone()), true);
        lines.add(b"one\n");
        assert_eq!(seen.text(), "");
        lines.flush();
        assert_eq!(seen.text(), "one\n");
    }

    #[test]
    fn when_nobody_reads_lines_are_dropped_and_counted() {
        let seen = Seen::default();
        let lines = Lines::new(Box::new(seen.clone()), true);
        lines.add(&vec![b'x'; MOST]);
        lines.add(b"one\n");
        lines.add(b"two\n");
        lines.flush();
        let text = seen.text();
        assert!(text.ends_with("\"2 lines were dropped\"}\n") && !text.contains("one"));
    }
}
