//! Mail over SMTP, to a small server that does as it's told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use embedded::{Inbox, Smtp, store::Database};
use runtime::{
    Mail,
    mail::{MailError, Message, Taken},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::things::TokioClock;

/// What a server does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Takes,
    /// Answers a command with this.
    Answers(&'static str, &'static str),
    /// Answers the content with this.
    AnswersContent(&'static str),
    /// Hangs up at a command.
    HangsUpAt(&'static str),
    /// Hangs up when it has the content.
    HangsUpAfterContent,
    /// Doesn't say hello.
    IsSilent,
    /// Says nothing when it has the content.
    IsSilentAfterContent,
    /// Hangs up after each message, without a word.
    TakesOneEach,
}

#[derive(Default)]
struct Seen {
    connections: Mutex<u32>,
    commands: Mutex<Vec<String>>,
    messages: Mutex<Vec<String>>,
    content: Notify,
}

struct Server {
    url: String,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn that(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let seen = Arc::<Seen>::default();
        let (mut tasks, serving) = (JoinSet::new(), seen.clone());
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *serving.connections.lock().unwrap() += 1;
                lines.spawn(serve(stream, manner, serving.clone()));
            }
        });
        Self { url, seen, _tasks: tasks }
    }

    fn messages(&self) -> Vec<String> {
        self.seen.messages.lock().unwrap().clone()
    }

    fn recipients(&self) -> Vec<String> {
        let commands = self.seen.commands.lock().unwrap();
        commands.iter().filter(|it| it.starts_with("RCPT")).cloned().collect()
    }
}

/// Serves one connection; hanging up is to return.
async fn serve(stream: TcpStream, manner: Manner, seen: Arc<Seen>) {
    let mut stream = BufReader::new(stream);
    if manner == Manner::IsSilent {
        std::future::pending::<()>().await;
    }
    let mut say = "220 test";
    loop {
        if stream.write_all(format!("{say}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let command = line.trim_end().to_owned();
        seen.commands.lock().unwrap().push(command.clone());
        say = match manner {
            Manner::Answers(at, answer) if command.starts_with(at) => answer,
            Manner::HangsUpAt(at) if command.starts_with(at) => return,
            _ if command.starts_with("EHLO") => "250 test",
            _ if command == "DATA" => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                let Some(content) = content(&mut stream).await else { return };
                seen.content.notify_one();
                match manner {
                    Manner::HangsUpAfterContent => return,
                    Manner::IsSilentAfterContent => std::future::pending().await,
                    Manner::AnswersContent(answer) => answer,
                    _ => {
                        seen.messages.lock().unwrap().push(content);
                        if manner == Manner::TakesOneEach {
                            stream.write_all(b"250 taken\r\n").await.unwrap();
                            return;
                        }
                        "250 taken"
                    }
                }
            }
            _ => "250 ok",
        };
    }
}

/// A message's content, up to the line with a dot alone.
async fn content(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(content);
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn smtp(url: &str) -> (Smtp, Arc<Inbox>) {
    let store = Database::in_memory().unwrap().domain("local", Inbox::COLLECTIONS).unwrap();
    let clock = Arc::new(TokioClock::new());
    let inbox = Arc::new(Inbox::new(store, clock.clone()));
    (Smtp::new(url, "https://aula.example", clock, inbox.clone()).unwrap(), inbox)
}

fn message(number: u32) -> Message {
    Message {
        message_id: format!("{number}@aula.example"),
        to: "ada@example.com".to_owned(),
        to_name: "Ada".to_owned(),
        subject: format!("Message {number}"),
        text: ".\r\nA dot alone\n.\nQUIT".to_owned(),
        html: "<p>html</p>".to_owned(),
        headers: vec![("X-Aula-Ref".to_owned(), "things/1".to_owned())],
        attachments: Vec::new(),
    }
}

async fn inbox_size(inbox: &Inbox) -> usize {
    inbox.newest(None, 100, None).await.unwrap().items.len()
}

#[tokio::test]
async fn a_message_arrives_whole_and_is_in_the_inbox_too() {
    let server = Server::that(Manner::Takes).await;
    let (smtp, inbox) = smtp(&server.url);
    smtp.send(&message(1)).await.unwrap();
    let messages = server.messages();
    assert!(messages[0].contains("Message-ID: <1@aula.example>\r\n"), "{}", messages[0]);
    assert!(messages[0].contains("From: Aula <no-reply@aula.example>\r\n"));
    assert!(messages[0].contains("\r\n.\r\nA dot alone\r\n.\r\nQUIT\r\n"), "{}", messages[0]);
    assert_eq!(messages.len(), 1);
    assert_eq!(inbox_size(&inbox).await, 1);
    assert_eq!(smtp.taken("1@aula.example").await.unwrap(), Taken::Yes);
    assert_eq!(smtp.taken("2@aula.example").await.unwrap(), Taken::CannotTell);
}

#[tokio::test]
async fn a_connection_is_used_again_and_few_are_open_at_once() {
    let server = Server::that(Manner::Takes).await;
    let (smtp, _) = smtp(&server.url);
    for number in 0..3 {
        smtp.send(&message(number)).await.unwrap();
    }
    assert_eq!(*server.seen.connections.lock().unwrap(), 1);
    let messages: Vec<_> = (3..40).map(message).collect();
    let sending = messages.iter().map(|message| smtp.send(message));
    for sent in futures_util::future::join_all(sending).await {
        sent.unwrap();
    }
    assert_eq!((server.messages().len(), *server.seen.connections.lock().unwrap()), (40, 4));
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_replaced() {
    let server = Server::that(Manner::TakesOneEach).await;
    let (smtp, _) = smtp(&server.url);
    for number in 0..3 {
        smtp.send(&message(number)).await.unwrap();
    }
    assert_eq!(server.messages().len(), 3);
}

async fn fails(manner: Manner) -> MailError {
    let server = Server::that(manner).await;
    let (smtp, inbox) = smtp(&server.url);
    let error = smtp.send(&message(1)).await.unwrap_err();
    assert_eq!((server.messages().len(), inbox_size(&inbox).await), (0, 0));
    assert!(!error.to_string().contains("ada@example.com"), "{error}");
    error
}

#[tokio::test]
async fn a_no_for_good_is_a_refusal() {
    for manner in [
        Manner::Answers("MAIL", "550 not you"),
        Manner::Answers("RCPT", "550 <ada@example.com>: no such user"),
        Manner::Answers("DATA", "554 no"),
        Manner::AnswersContent("552 too large"),
    ] {
        let error = fails(manner).await;
        assert!(matches!(error, MailError::Refused(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_no_for_now_certainly_was_not_taken() {
    for manner in [
        Manner::Answers("EHLO", "421 closing"),
        Manner::Answers("EHLO", "554 not here"),
        Manner::Answers("MAIL", "451 later"),
        Manner::Answers("RCPT", "450 <ada@example.com>: busy"),
        Manner::Answers("DATA", "451 later"),
        Manner::Answers("MAIL", "nonsense"),
        Manner::AnswersContent("452 the disk is full"),
        Manner::HangsUpAt("EHLO"),
        Manner::HangsUpAt("RCPT"),
        Manner::HangsUpAt("DATA"),
    ] {
        let error = fails(manner).await;
        assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn without_an_answer_to_the_content_it_cannot_be_told() {
    for manner in [Manner::HangsUpAfterContent, Manner::AnswersContent("nonsense")] {
        let error = fails(manner).await;
        assert!(matches!(error, MailError::Unknown(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    let (smtp, _) = smtp(&url);
    let error = smtp.send(&message(1)).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_for_long() {
    let server = Server::that(Manner::IsSilent).await;
    let (smtp, _) = smtp(&server.url);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let error = smtp.send(&message(1)).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_server_that_says_nothing_when_it_has_the_content_may_have_taken_it() {
    let server = Server::that(Manner::IsSilentAfterContent).await;
    let (smtp, inbox) = smtp(&server.url);
    let message = message(1);
    let waiting = async {
        server.seen.content.notified().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(11)).await;
    };
    let (sent, ()) = tokio::join!(smtp.send(&message), waiting);
    assert!(matches!(sent, Err(MailError::Unknown(_))), "{sent:?}");
    assert_eq!(inbox_size(&inbox).await, 0);
    assert_eq!(smtp.taken("1@aula.example").await.unwrap(), Taken::CannotTell);
}

#[tokio::test]
async fn no_name_or_subject_adds_a_recipient_or_a_header() {
    let server = Server::that(Manner::Takes).await;
    let (smtp, _) = smtp(&server.url);
    let attack = "Ada\r\nBcc: eve@example.com\r\n\r\n.\r\nRCPT TO:<eve@example.com>\r\n";
    let mut attacked = message(1);
    attacked.to_name = attack.to_owned();
    attacked.subject = attack.to_owned();
    attacked.text = attack.to_owned();
    attacked.headers[0].1 = attack.to_owned();
    smtp.send(&attacked).await.unwrap();
    assert_eq!(server.recipients(), ["RCPT TO:<ada@example.com>"]);
    let messages = server.messages();
    let (head, _) = messages[0].split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    attacked.to = "ada@example.com>\r\nRCPT TO:<eve@example.com".to_owned();
    assert!(matches!(smtp.send(&attacked).await, Err(MailError::Refused(_))));
    assert_eq!(server.messages().len(), 1);
}
