//! The built program: how it starts, stops and starts again.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Options, PASSWORD, Server,
    server::{new_folder, run},
    until,
};

#[test]
fn what_was_answered_is_there_after_a_stop_and_after_a_crash() {
    let server = Server::start(Options::default());
    server.register("ada@example.com");
    let data = server.stop();

    let server = Server::on(&data);
    let ada = server.sign_in("ada@example.com");
    server.patch("/v1/users/me", &ada.token, &json!({ "name": "Ada L." })).ok();
    let data = server.kill();

    let server = Server::on(&data);
    let ada = server.sign_in("ada@example.com");
    assert_eq!(server.get("/v1/users/me", &ada.token).ok()["name"], "Ada L.");
    assert_eq!(server.mail_to("ada@example.com").len(), 1, "the mail is kept too");
    let data = server.stop();
    fs::remove_dir_all(data).unwrap();
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let server = Server::start(Options::default());
    let second = run(server.data(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("is in use by another process"), "{said}");
    assert!(said.contains(&server.process_id().to_string()), "it says which one: {said}");
    assert_eq!(server.get("/v1/courses", "").status, 200, "the first one goes on");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let server = Server::start(Options::default());
    let address = server.address.to_string();
    let second = run(&new_folder(), &["--listen", &address]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn in_memory_nothing_is_kept() {
    let data = new_folder();
    let more = vec!["--in-memory".to_owned()];
    let server = Server::start(Options { data: Some(data.clone()), more, ..Options::default() });
    server.register("ada@example.com");
    server.stop();
    assert!(!data.exists());
}

#[test]
fn a_stopping_server_finishes_what_it_has_begun() {
    let mut server = Server::start(Options::default());
    server.register("ada@example.com");
    assert!(server.terminate().success());
    let said = server.said().join("\n");
    assert!(said.contains("stopping") && said.contains("stopped"), "{said}");
    let refused = server.try_send("GET", "/v1/courses", &[], b"");
    assert!(refused.is_err(), "nobody listens any more");
}

/// A registration of which only a part has been sent, and that is being read; and its rest.
fn half_sent(server: &Server) -> (BufReader<TcpStream>, String) {
    let account =
        json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" }).to_string();
    let (sent, rest) = account.split_at(9);
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut stream = BufReader::new(stream);
    let head = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: {}\r\nExpect: 100-continue\r\n\r\n{sent}",
        account.len()
    );
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    // It's being answered already when it's told to send more.
    assert_eq!(status_line(&mut stream), "HTTP/1.1 100 Continue\r\n");
    assert_eq!(status_line(&mut stream), "\r\n");
    (stream, rest.to_owned())
}

fn status_line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

#[test]
fn a_request_that_has_begun_is_answered_by_a_stopping_server() {
    let mut server = Server::start(Options::default());
    let (mut begun, rest) = half_sent(&server);
    server.ask_to_end();
    until("it to stop", || server.said().iter().any(|it| it.contains("stopping")).then_some(()));
    begun.get_mut().write_all(rest.as_bytes()).unwrap();
    assert_eq!(status_line(&mut begun), "HTTP/1.1 202 Accepted\r\n");
    assert!(server.wait().success());
}

#[test]
fn a_request_that_hangs_keeps_no_server_from_stopping_in_time() {
    let mut server = Server::start(Options::default());
    let _never_finished = half_sent(&server);
    let began = Instant::now();
    server.ask_to_end();
    assert!(server.wait().success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let said = server.said().join("\n");
    assert!(said.contains("some requests were still running"), "{said}");
}

#[test]
fn http_2_is_spoken_without_tls() {
    let server = Server::start(Options::default());
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // A frame (RFC 9113): length, type, flags, stream, payload.
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let (settings, headers) = (4, 1);
    // GET, http, and a path and an authority as they are (RFC 7541).
    let mut asked = vec![0x82, 0x86, 0x04, 12];
    asked.extend(b"/health/live");
    asked.extend([0x01, 1, b'x']);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(settings, 0, 0, &[])).unwrap();
    stream.write_all(&frame(headers, 0b101, 1, &asked)).unwrap();
    let answered = loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == headers {
            break payload;
        }
    };
    assert_eq!(answered[0], 0x88, "200");
}

#[test]
fn the_address_can_be_chosen_again_at_once() {
    let first = Server::start(Options::default());
    let (address, data): (SocketAddr, _) = (first.address, first.stop());
    let again = Options { data: Some(data.clone()), listen: Some(address), ..Options::default() };
    Server::start(again).stop();
    fs::remove_dir_all(data).unwrap();
}

#[test]
fn the_demonstration_fills_a_platform_that_passes_its_audit() {
    let data = new_folder();
    let demo = run(&data, &["demo"]);
    let (said, complained) =
        (String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    assert!(demo.status.success(), "{said}{complained}");
    for role in ["admin", "instructor", "student"] {
        let tells =
            |line: &str| line.trim_start().starts_with(role) && line.contains("@aula.example");
        assert!(said.lines().any(tells), "{role}: {said}");
    }
    let audit = run(&data, &["audit"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let again = run(&data, &["demo"]);
    assert_eq!(again.status.code(), Some(1), "it fills an empty platform alone");

    let server = Server::on(&data);
    let mut courses = 0;
    let mut path = "/v1/courses?page_size=20".to_owned();
    loop {
        let page = server.get(&path, "").ok();
        courses += page["items"].as_array().unwrap().len();
        let Some(token) = page["next_page_token"].as_str() else { break };
        path = format!("/v1/courses?page_size=20&page_token={token}");
    }
    assert_eq!(courses, 30);
    // A section is full, and people wait.
    let shown = said.lines().find(|line| line.contains("the full section")).expect("it's told");
    let path = &shown[shown.find("/v1/courses/").expect("its address")..];
    let section = server.get(path.split_whitespace().next().expect("a path"), "").ok();
    assert_eq!(section["seats_free"], 0);
    assert!(section["waitlist_length"].as_u64() > Some(0), "{section}");

    // Whatever it says is worth a look can be looked at, by the admin if by nobody else.
    let admin = said.lines().find(|it| it.trim_start().starts_with("admin")).expect("it's told");
    let (email, password) = (admin.split_whitespace().nth(1), admin.split_whitespace().nth(2));
    let credentials = json!({ "email": email, "password": password });
    let session = server.post("/v1/sessions", "", &credentials).ok();
    let token = session["access_token"].as_str().expect("a token");
    let words = said.split_whitespace().map(|it| it.trim_matches('\''));
    let places = words.filter_map(|it| it.strip_prefix("http://127.0.0.1:8080"));
    let places: Vec<_> = places.filter(|it| *it != "/v1/sessions").collect();
    for place in &places {
        let shown = server.get(place, token);
        assert_eq!(shown.status, 200, "{place}: {}", shown.text);
        assert!(!shown.text.is_empty(), "{place}");
    }
    for kind in ["/page", "/pdf", "/rows", "/calendar?token=", "/local/inbox?to=", "/v1/services"] {
        assert!(places.iter().any(|it| it.contains(kind)), "{kind}: {said}");
    }
    let deliveries = |query: &str| {
        let path = format!("/v1/deliveries?page_size=100&{query}");
        server.get(&path, token).ok()["items"].as_array().map_or(0, Vec::len)
    };
    for kind in ["offered", "rejected", "completed", "certificate_issued", "waitlisted"] {
        assert!(deliveries(&format!("kind={kind}")) > 0, "nobody is told: {kind}");
    }
    let data = server.stop();
    fs::remove_dir_all(data).unwrap();
}

#[test]
fn an_audit_needs_a_folder() {
    let nothing = run(&new_folder(), &["audit"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no folder"));
}
