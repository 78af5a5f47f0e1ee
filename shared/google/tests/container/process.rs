//! A container as a process: how it starts, panics, and ends.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use runtime::{
    Anyone, Domain, Need,
    prelude::{Context, Endpoint, JsonSchema, Result, Route},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long anything may take that isn't promised: the machine may have much to do.
const PATIENCE: Duration = Duration::from_mins(1);

/// What Cloud Run gives a process to end, from the signal on.
const PROMISED: Duration = Duration::from_secs(10);

/// Says something again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    text: String,
}

impl Endpoint for Echo {
    const OPERATION: &'static str = "people.echo";
    const ROUTE: Route = Route::act("/v1/echo");
    type Response = String;
}

/// Panics, and says whom it was about.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fall {
    name: String,
}

impl Endpoint for Fall {
    const OPERATION: &'static str = "people.fall";
    const ROUTE: Route = Route::get("/v1/fall");
    type Response = String;
}

async fn echo(_: Context<Anyone>, request: Echo) -> Result<String> {
    Ok(request.text)
}

async fn fall(_: Context<Anyone>, request: Fall) -> Result<String> {
    assert!(request.name != "nobody", "there is nobody");
    panic!("{} is nowhere to be found", request.name)
}

fn people() -> Domain {
    Domain::new("people").operation(echo).operation(fall).needs(Need::Mail)
}

/// What is set where this program is to be the container itself.
const IS_CONTAINER: &str = "IS_CONTAINER";

#[test]
#[expect(clippy::disallowed_methods, reason = "the same program is the test and the container")]
fn a_container_that_is_told_nothing_says_all_that_it_misses_and_ends() -> ExitCode {
    if env::var_os(IS_CONTAINER).is_some() {
        return google::run(people);
    }
    let mut container = Container::launch(&[]);
    let faults = container.line("it can't start");
    let (status, _) = container.end(PATIENCE);
    assert!(!status.success());
    for name in ["GOOGLE_CLOUD_PROJECT", "AULA_PUBLIC_URL", "AULA_SECRET", "AULA_SMTP_URL"] {
        assert!(faults["message"].as_str().unwrap().contains(name), "{name}: {faults}");
    }
    ExitCode::SUCCESS
}

/// This program as a container, in a process of its own.
struct Container {
    process: Child,
    port: u16,
    lines: Receiver<Value>,
}

impl Container {
    /// One that listens.
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut container = Self::launch(&[
            ("PORT", &port.to_string()),
            ("K_SERVICE", "people"),
            ("K_REVISION", "people-00001"),
            ("GOOGLE_CLOUD_PROJECT", "aula-test"),
            ("AULA_PUBLIC_URL", "https://aula.example"),
            ("AULA_SECRET", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("AULA_SMTP_URL", "smtp://127.0.0.1:9"),
        ]);
        container.line("listening");
        container.port = port;
        container
    }

    fn launch(settings: &[(&str, &str)]) -> Self {
        let own = env::current_exe().unwrap();
        let mut command = Command::new(own);
        let name = "process::a_container_that_is_told_nothing_says_all_that_it_misses_and_ends";
        command.args(["--exact", name, "--nocapture", "--quiet"]);
        command.env_clear().env(IS_CONTAINER, "1").envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (heard, lines) = mpsc::channel();
        let (stdout, stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        let told = heard.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // What the test's own frame says is none of the container's business.
                if let Ok(line) = serde_json::from_str(&line) {
                    let _nobody_listens = heard.send(line);
                }
            }
        });
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _nobody_listens = told.send(Value::String(line));
            }
        });
        Self { process, port: 0, lines }
    }

    /// The next line whose message begins like this; and nothing is told beside the log.
    fn line(&self, begin: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect(begin);
            assert!(line.is_object(), "it isn't a line of the log: {line}");
            if line["message"].as_str().is_some_and(|it| it.starts_with(begin)) {
                return line;
            }
        }
    }

    fn terminate(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.line("stopping");
    }

    /// How it ends, which must be within some time, and what it says until then.
    fn end(&mut self, within: Duration) -> (ExitStatus, Vec<Value>) {
        let (began, mut said) = (Instant::now(), Vec::new());
        loop {
            match self.lines.recv_timeout(within.saturating_sub(began.elapsed())) {
                Ok(line) => said.push(line),
                // Both of its outputs are closed: that is its end.
                Err(RecvTimeoutError::Disconnected) => return (self.process.wait().unwrap(), said),
                Err(RecvTimeoutError::Timeout) => panic!("it doesn't end: {said:?}"),
            }
        }
    }

    /// A request to echo a text, of which only a part has been sent, and that is being read.
    fn half_sent(&self) -> HalfSent {
        let body = json!({ "text": "Ada" }).to_string();
        let (sent, rest) = body.split_at(5);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
            Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n{sent}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        // The function is being run when it says that it wants more.
        assert_eq!(head_of(&mut stream).0, "http/1.1 100 continue");
        HalfSent { stream, rest: rest.to_owned() }
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        head_of(&mut BufReader::new(stream)).0
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _it_has_ended = self.process.kill();
        let _it_has_ended = self.process.wait();
    }
}

/// A request that waits for its other half.
struct HalfSent {
    stream: BufReader<TcpStream>,
    rest: String,
}

impl HalfSent {
    /// Sends the rest; what it's answered.
    fn finish(mut self) -> (String, String) {
        self.stream.get_mut().write_all(self.rest.as_bytes()).unwrap();
        let (head, length) = head_of(&mut self.stream);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

/// The first line of a head, which is read to its end, and how long the body is.
fn head_of(stream: &mut BufReader<TcpStream>) -> (String, usize) {
    let lines = stream.lines().map(|line| line.unwrap().trim_end().to_lowercase());
    let head: Vec<_> = lines.take_while(|it| !it.is_empty()).collect();
    let length = head.iter().find_map(|it| it.strip_prefix("content-length: "));
    (head[0].clone(), length.map_or(0, |it| it.parse().unwrap()))
}

#[test]
fn what_has_begun_is_finished_before_it_ends() {
    let mut container = Container::start();
    let begun = container.half_sent();
    container.terminate();
    // Soon there are no new ones.
    while TcpStream::connect(("127.0.0.1", container.port)).is_ok() {
        thread::yield_now();
    }
    assert_eq!(begun.finish(), ("http/1.1 200 ok".to_owned(), r#""Ada""#.to_owned()));
    container.line("stopped");
    assert!(container.end(PATIENCE).0.success());
}

#[test]
fn what_hangs_does_not_keep_it_from_ending_in_time() {
    let mut container = Container::start();
    let _never_finished = container.half_sent();
    container.terminate();
    let (status, said) = container.end(PROMISED);
    assert!(status.success());
    let is_left = |it: &Value| it["message"].as_str().unwrap().starts_with("some requests were");
    assert!(said.iter().any(is_left), "{said:?}");
}

#[test]
fn a_panic_is_told_within_its_trace_without_what_it_says_and_others_go_on() {
    let container = Container::start();
    let begun = container.half_sent();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    for (name, said) in [("Lovelace", "what it said isn't told"), ("nobody", "there is nobody")] {
        let answer = container.get(&format!("/v1/fall?name={name}"), &headers);
        assert_eq!(answer, "http/1.1 500 internal server error");
        let line = container.line("panicked");
        assert_eq!(line["severity"], "ERROR");
        assert!(line["@type"].as_str().unwrap().ends_with("ReportedErrorEvent"), "{line}");
        assert_eq!(
            line["logging.googleapis.com/trace"],
            format!("projects/aula-test/traces/{trace}")
        );
        assert_eq!(line["serviceContext"]["service"], "people");
        let place = &line["context"]["reportLocation"];
        assert_eq!(place["functionName"], "people");
        assert!(place["filePath"].as_str().unwrap().ends_with("process.rs"), "{line}");
        assert!(line["message"].as_str().unwrap().ends_with(said), "{line}");
        assert!(!line.to_string().contains("Lovelace"), "{line}");
        let request = container.line("request");
        assert_eq!(request["httpRequest"]["status"], 500);
        assert!(!request.to_string().contains("Lovelace"), "{request}");
    }
    // Neither who had begun nor who comes now is disturbed.
    assert_eq!(begun.finish().1, r#""Ada""#);
    assert_eq!(container.get("/health/live", ""), "http/1.1 200 ok");
}
