//! A provider of accounts elsewhere, as GitHub is one: whoever comes is the same
//! person there.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use runtime::{IdentityProvider, ProviderProtocol};
use serde_json::{Value, json};

/// Starts one that vouches for an address and a number.
pub fn provider(email: &str, number: u64) -> IdentityProvider {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let told = [
        ("/login/oauth/access_token", json!({ "access_token": "gh", "token_type": "bearer" })),
        ("/api/v3/user/emails", json!([{ "email": email, "primary": true, "verified": true }])),
        ("/api/v3/user", json!({ "id": number, "login": "somebody", "name": "Somebody" })),
    ];
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _hung_up = answer(stream, &told);
        }
    });
    IdentityProvider {
        name: "github".to_owned(),
        title: "GitHub".to_owned(),
        protocol: ProviderProtocol::Github,
        issuer: format!("http://{address}"),
        client_id: "aula".to_owned(),
        client_secret: "secret".to_owned(),
    }
}

fn answer(stream: TcpStream, told: &[(&str, Value)]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let found = told.iter().find(|(it, _)| *it == path);
    let body = found.map(|(_, body)| body.to_string()).unwrap_or_default();
    write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
