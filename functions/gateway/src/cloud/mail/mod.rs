//! A server that takes mail and keeps it in the local inbox: what a provider of
//! mail is to the functions.

mod mime;

use std::sync::Arc;

use embedded::Inbox;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The longest line and the largest message, in bytes.
const LONGEST: u64 = 64 * 1024;
const LARGEST: usize = 16 << 20;

/// Takes mail until it's dropped.
pub(super) async fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let mut lines = JoinSet::new();
    loop {
        while lines.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            let inbox = inbox.clone();
            lines.spawn(async move {
                // Who hangs up tries again.
                let _hung_up = converse(stream, &inbox).await;
            });
        }
    }
}

/// One connection, as RFC 5321 has it.
async fn converse(stream: TcpStream, inbox: &Inbox) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut recipient = None;
    stream.write_all(b"220 aula\r\n").await?;
    while let Some(line) = line(&mut stream).await? {
        let command = line.trim_end();
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match &*verb {
            "EHLO" => "250-aula\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "HELO" | "MAIL" | "NOOP" => "250 ok",
            "RSET" => {
                recipient = None;
                "250 ok"
            }
            "RCPT" => {
                recipient = address(command);
                if recipient.is_some() { "250 ok" } else { "501 whom?" }
            }
            "DATA" => match recipient.take() {
                Some(to) => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let Some(content) = content(&mut stream).await? else { return Ok(()) };
                    keep(inbox, &to, &content).await
                }
                None => "503 for whom?",
            },
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 no",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\r\n").await?;
    }
    Ok(())
}

async fn keep(inbox: &Inbox, to: &str, content: &str) -> &'static str {
    let Some(message) = mime::read(to, content) else { return "554 that isn't a message" };
    match inbox.keep(&message).await {
        Ok(()) => "250 taken",
        Err(_) => "451 not now",
    }
}

/// What is between the angle brackets.
fn address(command: &str) -> Option<String> {
    let (_, rest) = command.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned()).filter(|it| !it.is_empty())
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(LONGEST).read_until(b'\n', &mut line).await?;
    Ok(line.ends_with(b"\n").then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// A message, up to the line with a dot alone.
async fn content(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut content = String::new();
    while let Some(line) = line(stream).await? {
        if line == ".\r\n" {
            return Ok(Some(content));
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
        if content.len() > LARGEST {
            break;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use embedded::store::Database;
    use runtime::{Mail as _, SystemClock, mail::Message};

    use super::*;

    #[tokio::test]
    async fn what_is_sent_to_it_is_in_the_inbox() {
        let clock = Arc::new(SystemClock);
        let inbox = || {
            let store = Database::in_memory().unwrap().domain("local", Inbox::COLLECTIONS);
            Arc::new(Inbox::new(store.unwrap(), clock.clone()))
        };
        let (here, there) = (inbox(), inbox());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, here.clone()));
        let sender = embedded::Smtp::new(&url, "https://aula.example", clock.clone(), there);
        let message = Message {
            message_id: "one@aula.example".to_owned(),
            to: "ada@example.com".to_owned(),
            to_name: "Ada Ñandú".to_owned(),
            subject: "Código: 12345678, que es un asunto tan largo que no cabe en una línea sola"
                .to_owned(),
            text: "Hola,\n.\nñandú y 日本\n".to_owned(),
            html: format!("<p>{}</p>", "Hola ñ ".repeat(100)),
            headers: vec![
                ("X-Aula-Ref".to_owned(), "things/1".to_owned()),
                ("Content-Language".to_owned(), "es".to_owned()),
            ],
            attachments: vec![runtime::mail::Attachment {
                filename: "a.ics".to_owned(),
                content_type: "text/calendar; charset=utf-8; method=PUBLISH".to_owned(),
                content: "BEGIN:VCALENDAR\r\nSUMMARY:ñ\r\nEND:VCALENDAR\r\n".to_owned(),
            }],
        };
        let plain = Message {
            message_id: "two@aula.example".to_owned(),
            to_name: "Bo".to_owned(),
            subject: "Hi".to_owned(),
            attachments: Vec::new(),
            ..message.clone()
        };
        let sender = sender.unwrap();
        sender.send(&message).await.unwrap();
        sender.send(&plain).await.unwrap();
        let mut kept = here.newest(Some("ada@example.com"), 10, None).await.unwrap().items;
        kept.sort_by(|a, b| a.message.message_id.cmp(&b.message.message_id));
        let unified = |mut message: Message| {
            message.text = message.text.replace("\r\n", "\n").trim_end().to_owned();
            message.html = message.html.replace("\r\n", "\n").trim_end().to_owned();
            for attachment in &mut message.attachments {
                attachment.content = attachment.content.replace("\r\n", "\n").trim_end().to_owned();
            }
            message
        };
        let kept: Vec<_> = kept.into_iter().map(|it| unified(it.message)).collect();
        assert_eq!(kept, [unified(message), unified(plain)]);
    }
}
