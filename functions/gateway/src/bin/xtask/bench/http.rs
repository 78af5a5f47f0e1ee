//! A small HTTP/1.1 client: one request at a time on a kept connection, and nothing that a
//! benchmark does not need.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// How long an answer may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request being put together; [`Request::bytes`] is what goes on the wire.
#[derive(Debug)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub fn get(path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"), body: Vec::new() }
    }

    /// A request whose body, if any, is added by [`Request::json`].
    pub fn post(path: &str) -> Self {
        Self { head: format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n"), body: Vec::new() }
    }

    /// Adds one header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.head, "{name}: {value}\r\n");
        self
    }

    /// Says that it's the same request whenever it has this key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    /// Signs the request with an access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }

    /// The whole request, ready to be written at once.
    pub fn bytes(self) -> Vec<u8> {
        let head = if self.head.starts_with("GET") {
            format!("{}\r\n", self.head)
        } else {
            format!("{}Content-Length: {}\r\n\r\n", self.head, self.body.len())
        };
        [head.into_bytes(), self.body].concat()
    }
}

/// A kept connection, with the buffer that its answers are read into.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        Self::over(stream)
    }

    /// Takes a stream that is connected, and turns Nagle's algorithm off.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 32 * 1024] })
    }

    /// Writes one whole request.
    pub fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("sending a request")
    }

    /// Waits for the whole answer to the request that was sent last.
    pub fn receive(&mut self) -> Result<Answer<'_>> {
        let mut filled = 0;
        let frame = loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).context("reading an answer")?;
            ensure!(read > 0, "the server closed the connection before it answered");
            filled += read;
            if let Some(frame) = Frame::find(&self.buffer[..filled])? {
                break frame;
            }
        };
        ensure!(frame.end == filled, "the server sent more than one answer");
        Ok(Answer {
            status: frame.status,
            chunked: frame.chunked,
            raw: &self.buffer[frame.body.clone()],
        })
    }
}

/// An answer, still in its connection's buffer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    chunked: bool,
    raw: &'a [u8],
}

impl Answer<'_> {
    /// The body, its chunks joined.
    pub fn body(&self) -> Cow<'_, [u8]> {
        if !self.chunked {
            return Cow::Borrowed(self.raw);
        }
        let mut joined = Vec::with_capacity(self.raw.len());
        // The chunks were walked once already when the end of the answer was looked for.
        let _ = walk_chunks(self.raw, |chunk| joined.extend_from_slice(chunk));
        Cow::Owned(joined)
    }
}

/// Where an answer lies in the bytes read so far.
#[derive(Debug, PartialEq)]
struct Frame {
    status: u16,
    body: Range<usize>,
    chunked: bool,
    end: usize,
}

impl Frame {
    /// Finds a whole answer at the front of `bytes`, or nothing while a part of it is missing.
    fn find(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(blank) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head =
            std::str::from_utf8(&bytes[..blank]).context("the head of an answer is not text")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status: u16 = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("no status in {status_line:?}"))?;
        let mut length = 0;
        let mut chunked = false;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("reading Content-Length")?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        let start = blank + 4;
        let length = if chunked {
            match walk_chunks(&bytes[start..], |_| ())? {
                Some(length) => length,
                None => return Ok(None),
            }
        } else {
            length
        };
        let end = start + length;
        Ok((end <= bytes.len()).then_some(Self { status, body: start..end, chunked, end }))
    }
}

/// Shows each chunk to `visit`; the length of the whole chunked body, or nothing while a part
/// of it is missing.
fn walk_chunks(bytes: &[u8], mut visit: impl FnMut(&[u8])) -> Result<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&rest[..line]).context("a chunk's size is not text")?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            bail!("a chunk has the size {size:?}");
        };
        let data = line + 2;
        // A chunk ends in a line break of its own; so does the empty one that closes the body.
        let Some(chunk) = rest.get(data..data + size + 2) else {
            return Ok(None);
        };
        at += data + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
        visit(&chunk[..size]);
    }
}

/// Sends one request on a connection of its own: the status and the JSON that came back (null
/// when it was no JSON).
pub fn call(address: SocketAddr, request: Request) -> Result<(u16, Value)> {
    exchange(address, &request.bytes())
}

fn exchange(address: SocketAddr, request: &[u8]) -> Result<(u16, Value)> {
    let mut connection = Connection::open(address)?;
    connection.send(request)?;
    let answer = connection.receive()?;
    Ok((answer.status, serde_json::from_slice(&answer.body()).unwrap_or_default()))
}

/// Like [`call`], for a request that must succeed.
pub fn succeed(address: SocketAddr, request: Request) -> Result<Value> {
    let line = request.head.lines().next().unwrap_or_default().to_owned();
    let (status, body) = call(address, request)?;
    ensure!((200..300).contains(&status), "{line} answered {status}: {body}");
    Ok(body)
}

/// Like [`succeed`], for a request that may be sent again: it is while the platform says that it
/// can't do this just now, as one does whose processes have only just started.
pub fn succeed_at_last(address: SocketAddr, request: Request) -> Result<Value> {
    let line = request.head.lines().next().unwrap_or_default().to_owned();
    let bytes = request.bytes();
    let begin = Instant::now();
    loop {
        let (status, body) = exchange(address, &bytes)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let again = status == 503 && begin.elapsed() < PATIENCE;
        ensure!(again, "{line} answered {status}: {body}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
        let frame = Frame::find(bytes).expect("a well-formed answer")?;
        let answer = Answer {
            status: frame.status,
            chunked: frame.chunked,
            raw: &bytes[frame.body.clone()],
        };
        Some((answer.status, answer.body().into_owned()))
    }

    #[test]
    fn an_answer_with_a_length_is_read_whole() {
        let bytes = b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(body(bytes), Some((201, b"hello".to_vec())));
        assert!((0..bytes.len()).all(|end| body(&bytes[..end]).is_none()));
    }

    #[test]
    fn the_chunks_of_an_answer_are_joined() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = [head, "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"].concat().into_bytes();
        assert_eq!(body(&bytes), Some((200, b"abc0123456789".to_vec())));
        assert!((0..bytes.len()).all(|end| body(&bytes[..end]).is_none()));
    }

    #[test]
    fn an_answer_may_have_no_body() {
        assert_eq!(body(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((204, Vec::new())));
    }

    #[test]
    fn a_chunk_without_a_size_is_an_error() {
        assert!(
            Frame::find(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").is_err()
        );
    }

    #[test]
    fn a_request_carries_its_body_and_its_length() {
        let bytes = Request::post("/v1/sessions").json(&serde_json::json!({"a": 1})).bytes();
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\n"));
        assert!(text.ends_with("Content-Length: 7\r\n\r\n{\"a\":1}"));
    }
}
