//! A server that takes mail: where it is, whether it's spoken to by TLS, and as whom.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, bail, ensure};
use percent_encoding::percent_decode_str;

/// A server that takes mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    /// More certificates that are believed, as PEM.
    pub(super) roots: Option<String>,
}

/// Whether a server is spoken to by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Never: it's on the same machine or network.
    Plain,
    /// From hello on (`STARTTLS`), or not at all.
    AfterHello,
    /// From the first byte on.
    FromTheStart,
}

/// Who sends, as the server knows them. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Server {
    /// Believes a certificate too, or what it has signed, beside those that the
    /// machine believes: of a server of one's own.
    #[must_use]
    pub fn trusting(mut self, pem: &str) -> Self {
        self.roots = Some(pem.to_owned());
        self
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, security, login, .. } = self;
        let login = if login.is_some() { ", signed in" } else { "" };
        write!(f, "Server({host}:{port}, {security:?}{login})")
    }
}

impl FromStr for Server {
    type Err = anyhow::Error;

    /// Reads `smtp://host:port`, `smtp://user:password@host:port?tls=required`
    /// or `smtps://user:password@host:port`. What can't be read isn't repeated:
    /// it may hold a password.
    fn from_str(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").context("it isn't smtp:// or smtps://")?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let security = match (scheme, query) {
            ("smtp", "" | "tls=none") => Security::Plain,
            ("smtp", "tls=required") => Security::AfterHello,
            ("smtps", "") => Security::FromTheStart,
            ("smtp" | "smtps", _) => bail!("after the question mark is tls=required or tls=none"),
            _ => bail!("it isn't smtp:// or smtps://"),
        };
        let is_plain = security == Security::Plain;
        ensure!(is_plain || cfg!(feature = "tls"), "this program was built without TLS for mail");
        let authority = authority.trim_end_matches('/');
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(Login::read(login)?), authority),
            None => (None, authority),
        };
        ensure!(login.is_none() || !is_plain, "a password isn't sent without TLS");
        ensure!(!authority.contains(['/', '#']), "there's no path");
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address are between brackets.
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().ok().context("the port isn't one")?)
            }
            _ => (authority, security.port()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        ensure!(!host.is_empty(), "there's no host");
        Ok(Self { host, port, security, login, roots: None })
    }
}

impl Security {
    /// The port, unless another one is said.
    const fn port(self) -> u16 {
        match self {
            Self::Plain => 25,
            Self::AfterHello => 587,
            Self::FromTheStart => 465,
        }
    }
}

impl Login {
    fn read(login: &str) -> anyhow::Result<Self> {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
            (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
        };
        let (user, password) = login.split_once(':').context("there's no password")?;
        let user = decoded(user).context("the user isn't one")?;
        let password = decoded(password).context("the password isn't one")?;
        Ok(Self { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Option<(String, u16, Security)> {
        url.parse::<Server>().ok().map(|it| (it.host, it.port, it.security))
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let plain = |host: &str, port| Some((host.to_owned(), port, Security::Plain));
        assert_eq!(read("smtp://localhost:1025"), plain("localhost", 1025));
        assert_eq!(read("smtp://mail.example"), plain("mail.example", 25));
        assert_eq!(read("smtp://[::1]:2525/"), plain("::1", 2525));
        assert_eq!(read("smtp://[::1]?tls=none"), plain("::1", 25));
        for url in
            ["http://a:1", "localhost:25", "smtp://", "smtp://a:b", "smtp://a/b", "smtps://a?x"]
        {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_from_the_start_or_after_hello() {
        let read = |url: &str| read(url).unwrap();
        let host = "mail.example".to_owned();
        assert_eq!(read("smtps://mail.example"), (host.clone(), 465, Security::FromTheStart));
        assert_eq!(read("smtp://mail.example?tls=required"), (host, 587, Security::AfterHello));
        let server: Server =
            "smtps://ada%40mail.example:p%40ss%3Aword@mail.example".parse().unwrap();
        let login = server.login.clone().unwrap();
        assert_eq!((&*login.user, &*login.password), ("ada@mail.example", "p@ss:word"));
        let shown = format!("{server:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("ada"), "{shown}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_tls_a_server_that_needs_it_is_refused() {
        for url in ["smtps://mail.example", "smtp://mail.example?tls=required"] {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn a_password_is_neither_sent_in_the_clear_nor_repeated() {
        for url in [
            "smtp://user:hunter2@mail.example",
            "smtp://user:hunter2@mail.example?tls=none",
            "smtps://user:hunter2%0d@mail.example",
            "smtps://hunter2@mail.example",
            "smtps://user:hunter2@mail.example:hunter2",
            "http://user:hunter2@mail.example",
        ] {
            let error = url.parse::<Server>().unwrap_err();
            assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
        }
    }
}
