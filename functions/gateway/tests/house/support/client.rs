//! A client of HTTP/1.1: one request at a time on each connection, and
//! connections are kept for the next one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use super::{Person, secrets::Secrets};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub text: String,
    /// The same as JSON; null if it isn't any.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.body
    }

    /// Checks that it's this refusal, in the form that refusals have.
    #[track_caller]
    pub fn is(&self, status: u16, reason: &str) {
        self.is_problem();
        assert_eq!((self.status, &self.body["reason"]), (status, &reason.into()), "{}", self.text);
    }

    /// Checks that it's a refusal in the form that refusals have.
    #[track_caller]
    pub fn is_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], self.status, "{}", self.text);
        for member in ["type", "title", "reason", "trace_id"] {
            assert!(self.body[member].is_string(), "{member}: {}", self.text);
        }
    }

    /// A header; empty if there's none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether some field is blamed.
    pub fn blames(&self, field: &str) -> bool {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors.filter_map(|it| it["field"].as_str()).any(|it| it == field)
    }
}

/// A way to a server, for any number of threads.
#[derive(Debug)]
pub struct Client {
    pub address: SocketAddr,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
    keys: AtomicU64,
    /// What was said in confidence.
    pub secrets: Secrets,
    /// Who runs the platform, once they are signed in.
    pub(super) admin: OnceLock<Person>,
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let (idle, secrets, admin) = Default::default();
        Self { address, idle, keys: AtomicU64::new(1), secrets, admin }
    }

    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &bearer(token), &[])
    }

    /// With an `Idempotency-Key` of its own.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.post_with_key(path, token, &self.new_key(), body)
    }

    pub fn post_with_key(&self, path: &str, token: &str, key: &str, body: &Value) -> Answer {
        self.try_post(path, token, key, body).expect("an answer")
    }

    /// The same where the server may be gone before it has answered.
    pub fn try_post(&self, path: &str, token: &str, key: &str, body: &Value) -> io::Result<Answer> {
        let mut headers = bearer(token);
        headers.push(("Idempotency-Key".to_owned(), key.to_owned()));
        self.try_send("POST", path, &headers, &json(body))
    }

    /// At the version that it is at now, as its `GET` tells.
    pub fn patch(&self, path: &str, token: &str, body: &Value) -> Answer {
        let etag = self.get(path, token).ok()["etag"].as_str().expect("an etag").to_owned();
        self.patch_at(path, token, &etag, body)
    }

    pub fn patch_at(&self, path: &str, token: &str, etag: &str, body: &Value) -> Answer {
        let mut headers = bearer(token);
        headers.push(("If-Match".to_owned(), etag.to_owned()));
        self.send("PATCH", path, &headers, &json(body))
    }

    pub fn delete(&self, path: &str, token: &str) -> Answer {
        self.send("DELETE", path, &bearer(token), &[])
    }

    /// A key that nobody has used yet.
    pub fn new_key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Any request; a body is JSON unless a header says otherwise.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let answer = self.exchange(method, path, headers, body);
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("authorization") {
                self.secrets.note(value.split_once(' ').map_or(&**value, |it| it.1));
            }
        }
        self.secrets.note_body(&serde_json::from_slice(body).unwrap_or_default());
        if let Ok(answer) = &answer {
            self.secrets.note_body(&answer.body);
        }
        answer
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let named = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        if !named("host") {
            let _ = write!(request, "Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        if !body.is_empty() && !named("content-type") {
            request.push_str("Content-Type: application/json\r\n");
        }
        if !body.is_empty() || matches!(method, "POST" | "PATCH" | "PUT") {
            let _ = write!(request, "Content-Length: {}\r\n", body.len());
        }
        request.push_str("\r\n");
        let request = [request.as_bytes(), body].concat();
        let kept = self.idle.lock().unwrap().pop();
        // A kept connection may have been closed meanwhile: then nothing was read on it.
        if let Some(mut connection) = kept
            && connection.get_mut().write_all(&request).is_ok()
            && !connection.fill_buf().unwrap_or_default().is_empty()
        {
            return self.read(connection, method);
        }
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = BufReader::new(stream);
        // A server that refuses a large body answers before it has read it all.
        let _ = connection.get_mut().write_all(&request);
        self.read(connection, method)
    }

    fn read(&self, mut connection: BufReader<TcpStream>, method: &str) -> io::Result<Answer> {
        let status_line = line(&mut connection)?;
        let status = status_line.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {status_line}")))?;
        let mut headers = BTreeMap::new();
        loop {
            let header = line(&mut connection)?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        connection.read_exact(&mut body)?;
        if headers.get("connection").is_none_or(|it| it != "close") {
            self.idle.lock().unwrap().push(connection);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status, headers, text, body })
    }
}

fn bearer(token: &str) -> Vec<(String, String)> {
    let header = ("Authorization".to_owned(), format!("Bearer {token}"));
    Some(header).filter(|_| !token.is_empty()).into_iter().collect()
}

fn json(body: &Value) -> Vec<u8> {
    if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }
}

fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
