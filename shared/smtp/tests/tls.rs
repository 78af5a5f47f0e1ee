//! Mail by TLS, to a small server that has a certificate, and to some that have a wrong one.

use std::sync::{Arc, Mutex};

use contracts::Timestamp;
use runtime::{
    Clock, Mail,
    mail::{MailError, Message},
};
use smtp::{Server, Smtp};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

const ROOT: &str = include_str!("data/ca.pem");

/// How a server wants to be spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// By TLS from the first byte on.
    FromTheStart,
    /// By TLS after hello.
    AfterHello,
    /// It can't, and says so; whoever sends a password all the same is noted.
    Never,
}

/// What a server has heard, in the clear and by TLS.
#[derive(Default)]
struct Heard {
    clear: Mutex<Vec<String>>,
    secured: Mutex<Vec<String>>,
}

struct Listening {
    port: u16,
    heard: Arc<Heard>,
    _tasks: JoinSet<()>,
}

async fn listening(manner: Manner) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::<Heard>::default());
    let chain = CertificateDer::pem_slice_iter(include_bytes!("data/server.pem"));
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("data/server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let (mut tasks, serving) = (JoinSet::new(), heard.clone());
    tasks.spawn(async move {
        let mut lines = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            lines.spawn(serve(stream, manner, acceptor.clone(), serving.clone()));
        }
    });
    Listening { port, heard, _tasks: tasks }
}

async fn serve(stream: TcpStream, manner: Manner, acceptor: TlsAcceptor, heard: Arc<Heard>) {
    if manner == Manner::FromTheStart {
        if let Ok(stream) = acceptor.accept(stream).await {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 test\r\n").await.unwrap();
            talk(&mut stream, &heard.secured, false).await;
        }
        return;
    }
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await.unwrap();
    if talk(&mut stream, &heard.clear, manner == Manner::AfterHello).await
        && let Ok(stream) = acceptor.accept(stream.into_inner()).await
    {
        talk(&mut BufReader::new(stream), &heard.secured, false).await;
    }
}

/// Talks until the other end hangs up, or wants TLS; whether it does.
async fn talk<S>(stream: &mut BufReader<S>, heard: &Mutex<Vec<String>>, offers: bool) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let command = line.trim_end().to_owned();
        heard.lock().unwrap().push(command.clone());
        let says = match command.as_str() {
            "STARTTLS" => "220 go on",
            "DATA" => "354 go on",
            "." => "250 taken",
            "AUTH PLAIN AGFkYQBwQHNzOndvcmQ=" => "235 welcome",
            it if it.starts_with("AUTH") => "535 who are you?",
            it if it.starts_with("EHLO") && offers => "250-test\r\n250 STARTTLS",
            it if it.starts_with("EHLO") => "250-test\r\n250 AUTH PLAIN LOGIN",
            it if ["MAIL", "RCPT", "QUIT"].iter().any(|verb| it.starts_with(verb)) => "250 ok",
            // A line of the content.
            _ => continue,
        };
        if stream.write_all(format!("{says}\r\n").as_bytes()).await.is_err() {
            return false;
        }
        if command == "STARTTLS" {
            return true;
        }
    }
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

async fn send(url: String, roots: Option<&str>) -> Result<(), MailError> {
    let mut server: Server = url.parse().unwrap();
    if let Some(pem) = roots {
        server = server.trusting(pem);
    }
    let message = Message {
        message_id: "1@aula.example".to_owned(),
        to: "ada@example.com".to_owned(),
        to_name: String::new(),
        subject: "Hello".to_owned(),
        text: "text".to_owned(),
        html: "<p>html</p>".to_owned(),
        headers: Vec::new(),
        attachments: Vec::new(),
    };
    Smtp::new(server, "https://aula.example", Arc::new(Standing)).send(&message).await
}

fn took(heard: &Mutex<Vec<String>>) -> bool {
    heard.lock().unwrap().iter().any(|it| it == "Subject: Hello")
}

#[tokio::test]
async fn mail_goes_by_tls_with_a_password() {
    for (manner, scheme, query) in
        [(Manner::FromTheStart, "smtps", ""), (Manner::AfterHello, "smtp", "?tls=required")]
    {
        let server = listening(manner).await;
        let url = format!("{scheme}://ada:p%40ss%3Aword@localhost:{}{query}", server.port);
        send(url, Some(ROOT)).await.unwrap();
        assert!(took(&server.heard.secured));
        let clear = server.heard.clear.lock().unwrap().clone();
        assert!(clear.iter().all(|it| it.starts_with("EHLO") || it == "STARTTLS"), "{clear:?}");
    }
}

#[tokio::test]
async fn whom_the_server_does_not_know_has_mail_that_waits_and_a_password_that_is_not_told() {
    let server = listening(Manner::FromTheStart).await;
    let url = format!("smtps://ada:hunter2@localhost:{}", server.port);
    let error = send(url, Some(ROOT)).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(!took(&server.heard.secured));
}

#[tokio::test]
async fn nothing_goes_to_a_server_whose_certificate_is_not_believed() {
    for (host, roots) in [("localhost", None), ("127.0.0.1", Some(ROOT))] {
        for (manner, scheme, query) in
            [(Manner::FromTheStart, "smtps", ""), (Manner::AfterHello, "smtp", "?tls=required")]
        {
            let server = listening(manner).await;
            let url = format!("{scheme}://ada:p%40ss%3Aword@{host}:{}{query}", server.port);
            let error = send(url, roots).await.unwrap_err();
            assert!(matches!(error, MailError::Unavailable(_)), "{error}");
            let clear = server.heard.clear.lock().unwrap().clone();
            assert!(!clear.iter().any(|it| it.starts_with("AUTH")), "{clear:?}");
            assert!(!took(&server.heard.secured) && !took(&server.heard.clear));
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_speak_tls_gets_neither_mail_nor_password() {
    let server = listening(Manner::Never).await;
    let url = format!("smtp://ada:p%40ss%3Aword@localhost:{}?tls=required", server.port);
    let error = send(url, Some(ROOT)).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error}");
    let clear = server.heard.clear.lock().unwrap().clone();
    assert!(clear.iter().all(|it| it.starts_with("EHLO") || it == "QUIT"), "{clear:?}");
}
